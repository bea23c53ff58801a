/**
 * The `json` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../../core/api.ts";
import { parseWords } from "../words.ts";
import { createJsonLines } from "./lines.ts";
import { buildJsonTable, FIRST_ACTION, State } from "./table.ts";

/** The grammar; built once and never changed. */
const TABLE = buildJsonTable();

/**
 * Makes a framer that sends each JSON value (RFC 8259: object, array, string,
 * number, `true`, `false` or `null`) as a text message of its own, with the
 * white space before it.
 *
 * A number at the top level ends before the next byte that cannot be part of
 * it: white space, structure, or the start of another value. All other values
 * end with their last byte. At bytes that cannot be JSON, everything that is
 * held is sent as one binary message, and the byte after them starts a value
 * again.
 *
 * Only white space left when the peer ends is dropped.
 *
 * Each byte is read once. Beyond the bytes held, the framer needs a bit for
 * each level of nesting.
 *
 * @param config `lines`: there is one value on each line, both ways; see
 * {@linkcode createJsonLines}.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is something else.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createJson } from "./json.ts";
 *
 * const framer = createJson("");
 * const data = new TextEncoder().encode('{"a":"}"} 12');
 *
 * assertEquals(framer.frame(data, 12), { length: 9, type: "text" });
 * assertEquals(framer.frame(data.subarray(9), 3), null);
 * ```
 */
export function createJson(config: string): Framer {
  const words = parseWords(config, { framing: "json", words: ["lines"] });
  if (words.has("lines")) return createJsonLines();
  const levels = new Levels();
  let state: number = State.value;
  // How many of the bytes held were read.
  let scanned = 0;

  function take(length: number, type: "text" | "binary"): Frame {
    state = State.value;
    scanned = 0;
    levels.clear();
    return { length, type };
  }

  /**
   * Carries out an action of the table.
   *
   * @returns The next state; {@linkcode State.endValue} or {@linkcode
   * State.endNumber} if a value at the top level has ended.
   */
  function act(action: number): number {
    switch (action) {
      case State.beginArray:
        levels.push(false);
        return State.firstValue;
      case State.beginObject:
        levels.push(true);
        return State.firstKey;
      case State.comma:
        return levels.inObject() ? State.key : State.value;
      case State.endArray:
      case State.endObject:
        if (levels.inObject() !== (action === State.endObject)) {
          return State.invalid;
        }
        levels.pop();
        return levels.depth === 0 ? State.endValue : State.after;
      default:
        return levels.depth === 0 ? action : State.after;
    }
  }

  return {
    remainder: "text",
    frame(data: Uint8Array): Frame | null {
      // Local copies: the loop runs once for each byte.
      const table = TABLE;
      let current = state;
      let index = scanned;
      while (index < data.length) {
        let next = table[current << 8 | data[index]!]!;
        if (next >= FIRST_ACTION) {
          const action = next;
          next = act(action);
          if (next === State.endValue) return take(index + 1, "text");
          if (next === State.endNumber) return take(index, "text");
          // The byte after a number is read again, as the start of what
          // follows.
          if (action === State.endNumber) index--;
        }
        if (next === State.invalid) return take(data.length, "binary");
        current = next;
        index++;
      }
      state = current;
      scanned = index;
      return null;
    },
    end({ length }: Uint8Array): Frame | null {
      // No value has begun: there is only white space.
      return state === State.value && levels.depth === 0
        ? { length, type: "discard" }
        : null;
    },
  };
}

/** The arrays and objects that are open, a bit each. */
class Levels {
  /** How many are open. */
  depth = 0;
  #bits = new Uint8Array(16);

  push(object: boolean): void {
    const place = this.depth >> 3;
    if (place === this.#bits.length) {
      const bits = new Uint8Array(place * 2);
      bits.set(this.#bits);
      this.#bits = bits;
    }
    const bit = 1 << (this.depth & 7);
    if (object) this.#bits[place]! |= bit;
    else this.#bits[place]! &= ~bit;
    this.depth++;
  }

  pop(): void {
    this.depth--;
  }

  /** Whether the innermost is an object. At least one is open. */
  inObject(): boolean {
    const level = this.depth - 1;
    return (this.#bits[level >> 3]! >> (level & 7) & 1) === 1;
  }

  clear(): void {
    this.depth = 0;
    // Memory of a deeply nested message is not kept for the next ones.
    if (this.#bits.length > 1024) this.#bits = new Uint8Array(16);
  }
}
