/**
 * The grammar of JSON (RFC 8259) as a table: for each state and each byte, the
 * next state or an action.
 *
 * The table does not count nesting; its reader does. States within a key differ
 * from states within a string value, so that nothing else needs to be
 * remembered.
 *
 * @module
 */

/** States, and, from {@linkcode FIRST_ACTION} on, actions. */
export const State = {
  /** A byte that is not allowed here: the default of the table. */
  invalid: 0,
  /** A value has to begin. */
  value: 1,
  /** A value has to begin, or the array ends. */
  firstValue: 2,
  /** A key has to begin. */
  key: 3,
  /** A key has to begin, or the object ends. */
  firstKey: 4,
  /** After a key: a colon follows. */
  colon: 5,
  /** After a value within an array or object: a comma follows, or the end. */
  after: 6,
  /** Within a string that is a value; five states more for its escapes. */
  string: 7,
  /** Within a string that is a key; five states more for its escapes. */
  keyString: 13,
  /** After the sign of a number. */
  minus: 19,
  /** After a number's leading zero. */
  zero: 20,
  /** Within the digits before the point. */
  integer: 21,
  /** After the point. */
  point: 22,
  /** Within the digits after the point. */
  fraction: 23,
  /** After `e`. */
  exponent: 24,
  /** After the sign of the exponent. */
  exponentSign: 25,
  /** Within the digits of the exponent. */
  exponentDigits: 26,
  /** Within `true`, `false` or `null`: one state for each letter but the last. */
  literal: 27,
  /** A value ends with this byte. */
  endValue: 37,
  /** A number has ended before this byte, which belongs to what follows. */
  endNumber: 38,
  /** An array begins. */
  beginArray: 39,
  /** An object begins. */
  beginObject: 40,
  /** An array ends. */
  endArray: 41,
  /** An object ends. */
  endObject: 42,
  /**
   * A comma: what follows depends on whether it is in an array or an object.
   */
  comma: 43,
} as const;

/** From this number on, entries of the table are actions. */
export const FIRST_ACTION: number = State.endValue;

const SPACE = " \t\n\r";
const DIGITS = "0123456789";
const HEX_DIGITS = DIGITS + "abcdefABCDEF";
/** What ends a number: white space, structure, and what begins another value. */
const DELIMITERS = SPACE + ',:[]{}"-tfn';

/**
 * Builds the table.
 *
 * @returns What follows: at `state << 8 | byte`, the next state or an action.
 */
export function buildJsonTable(): Uint8Array {
  const table = new Uint8Array(FIRST_ACTION << 8);

  function on(state: number, bytes: string, next: number): void {
    for (let index = 0; index < bytes.length; index++) {
      table[state << 8 | bytes.charCodeAt(index)] = next;
    }
  }

  function onString(state: number, end: number): void {
    // Bytes of 0x80 and above are those of non-ASCII characters.
    table.fill(state, state << 8 | 0x20, (state + 1) << 8);
    on(state, '"', end);
    on(state, "\\", state + 1);
    on(state + 1, '"\\/bfnrt', state);
    on(state + 1, "u", state + 2);
    on(state + 2, HEX_DIGITS, state + 3);
    on(state + 3, HEX_DIGITS, state + 4);
    on(state + 4, HEX_DIGITS, state + 5);
    on(state + 5, HEX_DIGITS, state);
  }

  function onNumber(state: number, digits: string, next: number): void {
    on(state, DELIMITERS, State.endNumber);
    on(state, digits, next);
  }

  for (let state: number = State.value; state <= State.after; state++) {
    on(state, SPACE, state);
  }
  let literal: number = State.literal;
  for (const word of ["true", "false", "null"]) {
    on(State.value, word.charAt(0), literal);
    for (let index = 1; index < word.length; index++) {
      const last = index === word.length - 1;
      on(literal, word.charAt(index), last ? State.endValue : literal + 1);
      literal++;
    }
  }
  on(State.value, '"', State.string);
  on(State.value, "[", State.beginArray);
  on(State.value, "{", State.beginObject);
  on(State.value, "-", State.minus);
  on(State.value, "0", State.zero);
  on(State.value, "123456789", State.integer);
  // An array's first value is like any other, except for white space before it.
  for (let byte = 0x21; byte < 0x80; byte++) {
    table[State.firstValue << 8 | byte] = table[State.value << 8 | byte]!;
  }
  on(State.firstValue, "]", State.endArray);

  on(State.key, '"', State.keyString);
  on(State.firstKey, '"', State.keyString);
  on(State.firstKey, "}", State.endObject);
  on(State.colon, ":", State.value);
  on(State.after, ",", State.comma);
  on(State.after, "]", State.endArray);
  on(State.after, "}", State.endObject);
  onString(State.string, State.endValue);
  onString(State.keyString, State.colon);

  on(State.minus, "0", State.zero);
  on(State.minus, "123456789", State.integer);
  onNumber(State.zero, "", State.zero);
  onNumber(State.integer, DIGITS, State.integer);
  on(State.point, DIGITS, State.fraction);
  onNumber(State.fraction, DIGITS, State.fraction);
  on(State.exponentSign, DIGITS, State.exponentDigits);
  onNumber(State.exponentDigits, DIGITS, State.exponentDigits);
  on(State.zero, ".", State.point);
  on(State.integer, ".", State.point);
  for (const state of [State.zero, State.integer, State.fraction]) {
    on(state, "eE", State.exponent);
  }
  on(State.exponent, DIGITS, State.exponentDigits);
  on(State.exponent, "+-", State.exponentSign);
  return table;
}
