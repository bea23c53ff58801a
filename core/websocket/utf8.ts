/**
 * Tells whether bytes are valid UTF-8, and where their last whole character
 * ends.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";

/** Up to this many bytes, a loop costs less than a call out of JavaScript. */
const LOOP_LIMIT = 48;

/**
 * Tells whether bytes are valid UTF-8 as RFC 3629 defines it: no overlong
 * forms, no surrogates, nothing above U+10FFFF and no character cut short. A
 * byte order mark is a character like any other. An empty range is valid.
 *
 * @param data The bytes.
 * @param start Offset of the first byte to look at.
 * @param end Offset after the last byte to look at.
 * @returns Whether the bytes from `start` to `end` are valid UTF-8.
 *
 * @example Usage
 * ```ts
 * import { isValidUtf8 } from "./utf8.ts";
 * import { assert, assertFalse } from "@std/assert";
 *
 * assert(isValidUtf8(new TextEncoder().encode("grüß dich")));
 * assertFalse(isValidUtf8(new Uint8Array([0x41, 0xff])));
 * assert(isValidUtf8(new Uint8Array([0x41, 0xff]), 0, 1));
 * ```
 */
export function isValidUtf8(
  data: Uint8Array,
  start = 0,
  end: number = data.length,
): boolean {
  if (end - start <= LOOP_LIMIT) {
    while (start < end && data[start]! < 0x80) start++;
    if (start >= end) return true;
  }
  // The loop has passed ASCII only, so the rest starts at a character.
  return isUtf8(
    start === 0 && end === data.length ? data : data.subarray(start, end),
  );
}

/**
 * Finds where the last whole character ends: text may be cut there, or be
 * checked up to there while more bytes are to come.
 *
 * @param data Bytes that may end in the middle of a character.
 * @param start Offset of the first byte, which starts a character.
 * @param end Offset after the last byte.
 * @returns The offset of a character at the end that lacks bytes; `end` if
 * there is none, and also where the bytes at the end are not UTF-8 at all.
 *
 * @example Usage
 * ```ts
 * import { endOfCharacters } from "./utf8.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const euro = new TextEncoder().encode("1€");
 * assertEquals(endOfCharacters(euro, 0, 3), 1);
 * assertEquals(endOfCharacters(euro, 0, 4), 4);
 * ```
 */
export function endOfCharacters(
  data: Uint8Array,
  start: number,
  end: number,
): number {
  const stop = Math.max(start, end - 3);
  for (let index = end - 1; index >= stop; index--) {
    const byte = data[index]!;
    if (byte < 0x80) return end;
    if (byte >= 0xc0) {
      // These start no character.
      if (byte < 0xc2 || byte > 0xf4) return end;
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      if (index + length <= end) return end;
      return index + 1 < end && !canFollow(byte, data[index + 1]!)
        ? end
        : index;
    }
  }
  return end;
}

/**
 * Whether a continuation byte may be the second one of a character: what would
 * be an overlong form, a surrogate or above U+10FFFF shows there (RFC 3629
 * section 4).
 */
function canFollow(first: number, second: number): boolean {
  switch (first) {
    case 0xe0:
      return second >= 0xa0;
    case 0xed:
      return second < 0xa0;
    case 0xf0:
      return second >= 0x90;
    case 0xf4:
      return second < 0x90;
    default:
      return true;
  }
}
