/**
 * Decodes text files without silently replacing invalid bytes.
 *
 * @module
 */

/**
 * Decodes a file that is UTF-8.
 *
 * @param bytes The file; a byte order mark is kept.
 * @returns Its text; or, if it is not UTF-8, the number of the first line that is
 * not, and why.
 *
 * @example Usage
 * ```ts
 * import { decodeText } from "./text.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decodeText(new Uint8Array([0x61, 0x0a, 0xfc])), {
 *   line: 2,
 *   why: 'it is not UTF-8: byte fc in "�"',
 * });
 * ```
 */
export function decodeText(
  bytes: Uint8Array,
): { readonly text: string } | { readonly line: number; readonly why: string } {
  const text = decode(bytes);
  if (text !== undefined) return { text };
  let line = 1;
  let start = 0;
  for (let index = 0;; index++) {
    const byte = bytes[index];
    if (byte !== undefined && byte !== lineFeed && byte !== carriageReturn) {
      continue;
    }
    const part = bytes.subarray(start, index);
    if (decode(part) === undefined) return { line, why: describeForeign(part) };
    if (byte === undefined) throw new Error("no line is the wrong one");
    if (byte === carriageReturn && bytes[index + 1] === lineFeed) index++;
    start = index + 1;
    line++;
  }
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

function decode(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Says what is wrong with a line that is not UTF-8.
 *
 * @param line The line, without its end.
 * @returns Its first byte that is not UTF-8, and the text around it.
 */
function describeForeign(line: Uint8Array): string {
  let place = 0;
  // Skip each complete character; none has more than four bytes.
  search: while (place < line.length) {
    for (let size = 1; size <= 4; size++) {
      const part = line.subarray(place, place + size);
      if (part.length === size && decode(part) !== undefined) {
        place += size;
        continue search;
      }
    }
    break;
  }
  const byte = (line[place] ?? 0).toString(16).padStart(2, "0");
  const around = lenient.decode(line.subarray(Math.max(0, place - 20)))
    .replace(/\p{Cc}/gu, " ").slice(0, 40);
  return `it is not UTF-8: byte ${byte} in "${around.trim()}"`;
}
