/**
 * The `separator` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";
import { createDelimiterSearch } from "./delimiter.ts";

/** What a letter behind a backslash stands for. */
const ESCAPES: ReadonlyMap<string, number> = new Map([
  ["r", 0x0d],
  ["t", 0x09],
  ["n", 0x0a],
  ["0", 0x00],
  ["f", 0x0c],
  ["\\", 0x5c],
]);

/**
 * Makes a framer that waits for a separator and sends what is before it, and
 * the separator with it, as a binary message.
 *
 * @param config The separator: its UTF-8 bytes, where `\r`, `\t`, `\n`, `\0`,
 * `\f`, `\\` and `\xHH` (exactly two hexadecimal digits) stand for one byte each.
 * @returns The framer.
 * @throws {SyntaxError} If the separator is empty or an escape is malformed.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createSeparator } from "./separator.ts";
 *
 * const framer = createSeparator(String.raw`\r\n.\r\n`);
 * const data = new TextEncoder().encode("one\r\n.\r\ntwo");
 *
 * assertEquals(framer.frame(data, 11), { length: 8, type: "binary" });
 * assertEquals(framer.frame(data.subarray(8), 3), null);
 * ```
 */
export function createSeparator(config: string): Framer {
  const find = createDelimiterSearch(parseSeparator(config));

  return {
    frame(data: Uint8Array, fresh: number): Frame | null {
      const length = find(data, fresh);
      return length === 0 ? null : { length, type: "binary" };
    },
  };
}

/**
 * Parses the configuration of `separator`.
 *
 * @param config The separator as it was written, with escapes.
 * @returns The bytes it stands for, at least one.
 * @throws {SyntaxError} If the separator is empty or an escape is malformed.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseSeparator } from "./separator.ts";
 *
 * assertEquals([...parseSeparator(String.raw`A\r\xfF\\`)], [65, 13, 255, 92]);
 * ```
 */
export function parseSeparator(config: string): Uint8Array {
  if (config === "") throw separatorError(config, "it is empty");
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  let index = 0;
  while (index < config.length) {
    const backslash = config.indexOf("\\", index);
    const end = backslash === -1 ? config.length : backslash;
    for (const byte of encoder.encode(config.slice(index, end))) {
      bytes.push(byte);
    }
    if (backslash === -1) break;
    const escape = parseEscape(config, backslash);
    bytes.push(escape.byte);
    index = backslash + escape.length;
  }
  return new Uint8Array(bytes);
}

/** Parses the escape that begins with the backslash at `start`. */
function parseEscape(
  config: string,
  start: number,
): { readonly byte: number; readonly length: number } {
  const letter = config.slice(start + 1, start + 2);
  if (letter === "") {
    throw separatorError(config, "a backslash at its end escapes nothing");
  }
  if (letter === "x") {
    const digits = config.slice(start + 2, start + 4);
    if (!/^[0-9a-f]{2}$/i.test(digits)) {
      throw separatorError(config, '"\\x" needs two hexadecimal digits');
    }
    return { byte: parseInt(digits, 16), length: 4 };
  }
  const byte = ESCAPES.get(letter);
  if (byte === undefined) {
    throw separatorError(config, `"\\${letter}" is not an escape`);
  }
  return { byte, length: 2 };
}

function separatorError(config: string, why: string): SyntaxError {
  return new SyntaxError(`Cannot use separator "${config}": ${why}`);
}
