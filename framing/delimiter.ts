/**
 * Finds a delimiter in bytes that arrive in pieces, for `separator` and
 * `newline`.
 *
 * @module
 */

/** Finds the end of the first message in the bytes that are held. */
export type FindDelimiter = (data: Uint8Array, fresh: number) => number;

/**
 * Makes a search for the first end of a delimiter, for one connection.
 *
 * It reads each byte once, for any delimiter and any pieces: where a delimiter
 * may have begun, it continues byte by byte with the algorithm of Knuth, Morris
 * and Pratt, also from one read to the next; otherwise, `indexOf` finds the
 * next byte that may begin one.
 *
 * @param delimiter The delimiter, one byte or more.
 * @returns A function that takes what a {@linkcode Framer} is given and answers
 * the number of bytes up to and including the first delimiter, or 0 if there is
 * none yet.
 *
 * @example A delimiter that straddles two reads
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createDelimiterSearch } from "./delimiter.ts";
 *
 * const find = createDelimiterSearch(new Uint8Array([13, 10]));
 *
 * assertEquals(find(new Uint8Array([65, 13]), 2), 0);
 * assertEquals(find(new Uint8Array([65, 13, 10, 66]), 2), 3);
 * ```
 */
export function createDelimiterSearch(delimiter: Uint8Array): FindDelimiter {
  const first = delimiter[0]!;
  if (delimiter.length === 1) {
    return (data, fresh) => data.indexOf(first, data.length - fresh) + 1;
  }
  const borders = computeBorders(delimiter);
  // How many bytes of the delimiter were found at the end of the last read.
  let held = 0;

  return function findDelimiter(data: Uint8Array, fresh: number): number {
    let index = data.length - fresh;
    // All bytes are fresh: nothing of an earlier read is left.
    let matched = index === 0 ? 0 : held;
    held = 0;
    while (index < data.length) {
      if (matched === 0) {
        index = data.indexOf(first, index) + 1;
        if (index === 0) return 0;
        matched = 1;
        continue;
      }
      while (matched > 0 && data[index] !== delimiter[matched]) {
        matched = borders[matched - 1]!;
      }
      if (matched === 0) continue;
      index++;
      if (++matched === delimiter.length) return index;
    }
    held = matched;
    return 0;
  };
}

/**
 * For each prefix of the delimiter, the length of the longest shorter prefix
 * that is also its suffix: how much still matches if the next byte does not.
 */
function computeBorders(delimiter: Uint8Array): Uint32Array {
  const borders = new Uint32Array(delimiter.length);
  let border = 0;
  for (let index = 1; index < delimiter.length; index++) {
    while (border > 0 && delimiter[index] !== delimiter[border]) {
      border = borders[border - 1]!;
    }
    if (delimiter[index] === delimiter[border]) border++;
    borders[index] = border;
  }
  return borders;
}
