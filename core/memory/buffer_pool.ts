/**
 * Memory that the connections of a thread share. A connection takes some to
 * read into, and returns it when nothing uses it any more, pending writes
 * included.
 *
 * @module
 */

/** Bytes before those that are read: the header of a frame fits there. */
export const headroom = 16;

/**
 * Bytes after those that are requested. The size of one write is often a round
 * number: if the read leaves some of these free, the socket has no more data.
 */
export const tailroom = 16;

/** The smallest size, in bytes: each idle connection waits with two of them. */
export const smallestSize = 256;

/** The largest size, in bytes. Each is four times the one before. */
export const largestSize = 1024 * 1024;

/**
 * Most bytes that are kept of each size, and most pieces. Those of the largest
 * sizes would leave holes in the memory of the process, which it keeps: so many
 * stay that few are ever dropped.
 */
const mostBytesKept = 16 * 1024 * 1024;
const mostKept = 64;

/** The unused pieces of one size. */
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
 * Takes memory. It may contain data of another connection, and must not be
 * passed to untrusted code.
 *
 * @param size Bytes that must fit.
 * @returns Memory for them, for {@linkcode headroom} bytes before them and
 * {@linkcode tailroom} after them.
 */
export function takeMemory(size: number): Uint8Array<ArrayBuffer> {
  return unused.get(size)?.pieces.pop() ??
    new Uint8Array(headroom + size + tailroom);
}

/**
 * Returns memory that was taken. The caller must not use it any more, and no
 * read into it may be pending.
 *
 * @param memory The memory; it is kept only if it has one of the sizes.
 */
export function giveMemory(memory: Uint8Array<ArrayBuffer>): void {
  const kept = unused.get(memory.length - headroom - tailroom);
  if (kept !== undefined && kept.pieces.length < kept.most) {
    kept.pieces.push(memory);
  }
}

/**
 * Takes memory of a usual size in which so many bytes fit, if there is one, or
 * memory of just that length. See {@linkcode takeMemory}.
 *
 * @param bytes The least length.
 * @returns The memory.
 */
export function takeAtLeast(bytes: number): Uint8Array<ArrayBuffer> {
  const room = headroom + tailroom;
  let size = smallestSize;
  while (room + size < bytes && size < largestSize) size *= 4;
  return room + size < bytes ? new Uint8Array(bytes) : takeMemory(size);
}
