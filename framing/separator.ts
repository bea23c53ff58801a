/**
 * The `separator` framing function.
 *
 * @module
 */

import type { Framer } from "../core/api.ts";
import { createDelimited } from "./delimited.ts";

/** What a letter after a backslash means. */
const ESCAPES: ReadonlyMap<string, number> = new Map([
  ["r", 0x0d],
  ["t", 0x09],
  ["n", 0x0a],
  ["0", 0x00],
  ["f", 0x0c],
  ["\\", 0x5c],
]);

/** The configuration of `separator`. */
export interface SeparatorOptions {
  /** The bytes that end a message, at least one. */
  readonly separator: Uint8Array;
  /**
   * Whether messages are sent to the client without the separator.
   *
   * @default {false}
   */
  readonly strip: boolean;
  /**
   * Whether the separator is added to messages of the client that do not end
   * with it.
   *
   * @default {false}
   */
  readonly append: boolean;
}

/**
 * Makes a framer that waits for a separator and sends the bytes before it as a
 * binary message, with the separator unless `strip` is set.
 *
 * @param config The separator: its UTF-8 bytes, where `\r`, `\t`, `\n`, `\0`,
 * `\f`, `\\` and `\xHH` (exactly two hexadecimal digits) stand for one byte
 * each. It may be followed by `,strip` (remove it from messages for the client)
 * and `,append` (add it to messages of the client that do not end with it).
 * @returns The framer.
 * @throws {SyntaxError} If the separator is empty, an escape is malformed or a
 * word after it unknown.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createSeparator } from "./separator.ts";
 *
 * const framer = createSeparator(String.raw`\r\n.\r\n,strip`);
 * const data = new TextEncoder().encode("one\r\n.\r\ntwo");
 *
 * assertEquals(framer.frame(data, 11), { length: 8, type: "binary", end: 3 });
 * assertEquals(framer.frame(data.subarray(8), 3), null);
 * ```
 */
export function createSeparator(config: string): Framer {
  const { separator, strip, append } = parseSeparator(config);
  return createDelimited({
    delimiter: separator,
    type: "binary",
    strip,
    append,
  });
}

/**
 * Parses the configuration of `separator`.
 *
 * A comma that is followed by three letters or more, up to the end or the next
 * such comma, begins a word; any other comma is part of the separator.
 *
 * @param config The configuration as it was written.
 * @returns The options, defaults filled in.
 * @throws {SyntaxError} If the separator is empty, an escape is malformed or a
 * word unknown or repeated.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseSeparator } from "./separator.ts";
 *
 * assertEquals(parseSeparator(String.raw`A\r\xfF\\,strip`), {
 *   separator: new Uint8Array([65, 13, 255, 92]),
 *   strip: true,
 *   append: false,
 * });
 * assertEquals(parseSeparator(",").separator, new Uint8Array([44]));
 * ```
 */
export function parseSeparator(config: string): SeparatorOptions {
  const words = new Set<string>();
  let rest = config;
  for (;;) {
    const [all, word] = /,\s*([a-z]{3,})\s*$/i.exec(rest) ?? [];
    if (all === undefined || word === undefined) break;
    if (word !== "strip" && word !== "append") {
      throw separatorError(
        config,
        `"${word}" is not one of strip, append (a comma of the separator is \\x2c)`,
      );
    }
    if (words.has(word)) throw separatorError(config, `"${word}" is repeated`);
    words.add(word);
    rest = rest.slice(0, -all.length);
  }
  return {
    separator: unescape(rest, config),
    strip: words.has("strip"),
    append: words.has("append"),
  };
}

/** Converts a separator with escapes to its bytes. */
function unescape(separator: string, config: string): Uint8Array {
  if (separator === "") throw separatorError(config, "it is empty");
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  let index = 0;
  while (index < separator.length) {
    const backslash = separator.indexOf("\\", index);
    const end = backslash === -1 ? separator.length : backslash;
    for (const byte of encoder.encode(separator.slice(index, end))) {
      bytes.push(byte);
    }
    if (backslash === -1) break;
    const escape = parseEscape(separator, backslash, config);
    bytes.push(escape.byte);
    index = backslash + escape.length;
  }
  return new Uint8Array(bytes);
}

/** Parses the escape that begins with the backslash at `start`. */
function parseEscape(
  separator: string,
  start: number,
  config: string,
): { readonly byte: number; readonly length: number } {
  const letter = separator.slice(start + 1, start + 2);
  if (letter === "") {
    throw separatorError(config, "a backslash at its end escapes nothing");
  }
  if (letter === "x") {
    const digits = separator.slice(start + 2, start + 4);
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
