/**
 * Copies bytes together.
 *
 * @module
 */

/**
 * Joins bytes that lie in several places.
 *
 * @param parts The bytes, in order.
 * @returns A copy of all of them.
 *
 * @example Usage
 * ```ts
 * import { joinBytes } from "./join_bytes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const parts = [new Uint8Array([1, 2]), new Uint8Array(), new Uint8Array([3])];
 * assertEquals(joinBytes(parts), new Uint8Array([1, 2, 3]));
 * ```
 */
export function joinBytes(
  parts: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
