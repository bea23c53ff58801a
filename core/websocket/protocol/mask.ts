/**
 * Unmasking of what a client sends, RFC 6455 section 5.3.
 *
 * A mask is kept as one number, the first of its four bytes the lowest. Words
 * are read and written at any offset through a `DataView`, which takes far less
 * time than byte by byte: `deno bench tests/support/receiver_bench.ts`.
 *
 * @module
 */

/** From this many bytes on, moving first and then XORing aligned words in place is faster. */
const ALIGNED_LIMIT = 1024;

/**
 * Unmasks bytes, moving them towards the start of the same buffer on the way.
 *
 * @param view The buffer.
 * @param from Offset of the masked bytes.
 * @param to Offset to which they go; not above `from`.
 * @param length How many bytes.
 * @param mask The mask for the first byte and those after it.
 *
 * @example Usage
 * ```ts
 * import { unmask } from "./mask.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const data = new Uint8Array([0, 0, 0x11, 0x22, 0x33, 0x44, 0x51]);
 * unmask(new DataView(data.buffer), 2, 0, 5, 0x40302010);
 * assertEquals([...data.subarray(0, 5)], [1, 2, 3, 4, 0x41]);
 * ```
 */
export function unmask(
  view: DataView,
  from: number,
  to: number,
  length: number,
  mask: number,
): void {
  if (length >= ALIGNED_LIMIT) {
    if (from !== to) move(view, from, to, length);
    unmaskInPlace(view, to, length, mask);
    return;
  }
  // Each word is read before anything from its place on is written, as `to` is not above `from`.
  let end = from + (length & ~15);
  while (from < end) {
    view.setInt32(to, view.getInt32(from, true) ^ mask, true);
    view.setInt32(to + 4, view.getInt32(from + 4, true) ^ mask, true);
    view.setInt32(to + 8, view.getInt32(from + 8, true) ^ mask, true);
    view.setInt32(to + 12, view.getInt32(from + 12, true) ^ mask, true);
    from += 16;
    to += 16;
  }
  end = from + (length & 12);
  while (from < end) {
    view.setInt32(to, view.getInt32(from, true) ^ mask, true);
    from += 4;
    to += 4;
  }
  end = from + (length & 3);
  while (from < end) {
    view.setUint8(to++, view.getUint8(from++) ^ mask);
    mask >>>= 8;
  }
}

function move(view: DataView, from: number, to: number, length: number): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  bytes.copyWithin(to, from, from + length);
}

/** Unmasks many bytes where they are, by aligned words. */
function unmaskInPlace(
  view: DataView,
  at: number,
  length: number,
  mask: number,
): void {
  const head = -(view.byteOffset + at) & 3;
  unmask(view, at, at, head, mask);
  mask = rotateMask(mask, head);
  // The words are in the machine's byte order: little-endian wherever Deno runs.
  const words = new Int32Array(
    view.buffer,
    view.byteOffset + at + head,
    (length - head) >>> 2,
  );
  const unrolled = words.length & ~3;
  let index = 0;
  for (; index < unrolled; index += 4) {
    words[index] = words[index]! ^ mask;
    words[index + 1] = words[index + 1]! ^ mask;
    words[index + 2] = words[index + 2]! ^ mask;
    words[index + 3] = words[index + 3]! ^ mask;
  }
  const rest = head + 4 * index;
  unmask(view, at + rest, at + rest, length - rest, mask);
}

/**
 * Turns a mask to the place in a payload that lies some bytes further on.
 *
 * @param mask The mask for one byte and those after it.
 * @param count How many bytes further on.
 * @returns The mask for that byte and those after it.
 *
 * @example Usage
 * ```ts
 * import { rotateMask } from "./mask.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(rotateMask(0x40302010, 5), 0x10403020);
 * ```
 */
export function rotateMask(mask: number, count: number): number {
  const shift = (count & 3) << 3;
  // A shift by 32 bits is one by none, which leaves the mask as it is, too.
  return (mask >>> shift) | (mask << (32 - shift));
}
