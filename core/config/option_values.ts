/**
 * Parsers for values that several options have in common. The message of an
 * error follows the name of the option.
 *
 * @module
 */

/** The most seconds that a timer can wait: 2^31 - 1 ms, halved for the ping's answer. */
const mostSeconds = 1_000_000;

/**
 * Parses a whole number.
 *
 * @param value Digits.
 * @param least The least one that is valid.
 * @param most The greatest one that is valid.
 * @returns The number.
 * @throws {SyntaxError} If it is not a whole number.
 * @throws {RangeError} If it is out of bounds.
 */
export function parseInteger(
  value: string,
  least: number,
  most: number,
): number {
  if (!/^\d+$/.test(value)) {
    throw new SyntaxError(`it is a whole number, not "${value}"`);
  }
  const number = Number(value);
  if (number < least || number > most) {
    throw new RangeError(`it is ${least} to ${most}, not ${value}`);
  }
  return number;
}

/**
 * Parses a number of seconds.
 *
 * @param value Digits, with a fraction or without.
 * @param least The least that is valid.
 * @returns Seconds.
 * @throws {SyntaxError} If it is not such a number.
 * @throws {RangeError} If it is out of bounds.
 */
export function parseSeconds(value: string, least = 0): number {
  if (!/^\d+(\.\d+)?$/.test(value)) {
    throw new SyntaxError(`it is a number of seconds, not "${value}"`);
  }
  const seconds = Number(value);
  if (seconds < least || seconds > mostSeconds) {
    throw new RangeError(
      `it is ${least} to ${mostSeconds} seconds, not ${value}`,
    );
  }
  return seconds;
}

/**
 * Parses one of several words.
 *
 * @param value The word.
 * @param choices All of them.
 * @returns The word.
 * @throws {SyntaxError} If it is none of them.
 */
export function parseChoice<const T extends string>(
  value: string,
  choices: readonly T[],
): T {
  const choice = choices.find((choice) => choice === value);
  if (choice === undefined) {
    throw new SyntaxError(`it is one of ${choices.join(", ")}, not "${value}"`);
  }
  return choice;
}

/**
 * Parses a name.
 *
 * @param value The name.
 * @returns The name.
 * @throws {SyntaxError} If it is empty.
 */
export function parseName(value: string): string {
  if (value === "") throw new SyntaxError("it is empty");
  return value;
}

/**
 * Parses the permissions of a file.
 *
 * @param value Three octal digits, perhaps after a zero; empty: none.
 * @returns Their bits, if there are some.
 * @throws {SyntaxError} If they are not such digits.
 */
export function parseMode(value: string): number | undefined {
  if (value === "") return undefined;
  if (!/^0?[0-7]{3}$/.test(value)) {
    throw new SyntaxError(`it is three octal digits, not "${value}"`);
  }
  return parseInt(value, 8);
}

/**
 * Parses the path of a URL.
 *
 * @param value A slash, and what follows it; empty: none.
 * @returns The path, if there is one.
 * @throws {SyntaxError} If it is not such a path.
 */
export function parsePath(value: string): string | undefined {
  if (value === "") return undefined;
  if (!/^\/[!"$->@-~]*$/.test(value)) {
    throw new SyntaxError(`it is a path such as /path, not "${value}"`);
  }
  return value;
}
