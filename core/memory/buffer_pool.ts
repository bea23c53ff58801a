/**
 * Memory that connections of a thread share: who reads takes some, and gives it
 * back when nothing looks at it any more, a write that is under way included.
 *
 * @module
 */

/** Bytes before those that are read: the header of a frame fits there. */
export const headroom = 16;

/**
 * Bytes after those that are asked for. What was written at once is often a round
 * number of bytes: it leaves some of these free, which tells that it was all.
 */
export const tailroom = 16;

/** The smallest size, in bytes. */
export const smallestSize = 1024;

/** The largest size, in bytes. Each is four times the one before. */
export const largestSize = 1024 * 1024;

/** How many bytes are kept of each size, and how many pieces, at the most. */
const mostBytesKept = 8 * 1024 * 1024;
const mostKept = 64;

/** The pieces of one size that nobody uses. */
interface Unused {
  readonly pieces: Uint8Array<ArrayBuffer>[];
  readonly most: number;
}

const unused = new Map<number, Unused>();
for (let size = smallestSize; size <= largestSize; size *= 4) {
  const most = Math.min(mostKept, mostBytesKept / size);
  unused.set(size, { pieces: [], most });
}

/**
 * Takes memory. It may hold what belongs to another connection, and must not go
 * to code that is not trusted.
 *
 * @param size Bytes that there is to be room for.
 * @returns Memory for them, for {@linkcode headroom} bytes before them and
 * {@linkcode tailroom} after them.
 */
export function takeMemory(size: number): Uint8Array<ArrayBuffer> {
  return unused.get(size)?.pieces.pop() ??
    new Uint8Array(headroom + size + tailroom);
}

/**
 * Gives back memory that was taken. Nobody may look at it any more, and nothing
 * be read into it.
 *
 * @param memory The memory; any that is of none of the sizes is not kept.
 */
export function giveMemory(memory: Uint8Array<ArrayBuffer>): void {
  const kept = unused.get(memory.length - headroom - tailroom);
  if (kept !== undefined && kept.pieces.length < kept.most) {
    kept.pieces.push(memory);
  }
}
