/**
 * The ends of messages.
 *
 * @module
 */

/**
 * Whether a message does not end with certain bytes.
 *
 * @param bytes Hold the message.
 * @param start Offset of its first byte.
 * @param end Offset after its last byte.
 * @param ending The bytes that it may end with.
 *
 * @example Usage
 * ```ts
 * import { lacksEnding } from "./ending.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array([0x61, 0x0d, 0x0a]);
 * const ending = new Uint8Array([0x0d, 0x0a]);
 *
 * assertEquals(lacksEnding(bytes, 0, 3, ending), false);
 * assertEquals(lacksEnding(bytes, 0, 2, ending), true);
 * assertEquals(lacksEnding(bytes, 2, 3, ending), true);
 * ```
 */
export function lacksEnding(
  bytes: Uint8Array,
  start: number,
  end: number,
  ending: Uint8Array,
): boolean {
  let left = ending.length;
  if (end - start < left) return true;
  while (left > 0 && bytes[--end] === ending[left - 1]) left--;
  return left > 0;
}
