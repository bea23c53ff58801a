/**
 * The memory that a peer is read into.
 *
 * @module
 */

/** Bytes that a read is given room for at first. */
export const smallestRead = 1024;

/** Bytes that a read is given room for at the most. */
export const largestRead = 256 * 1024;

/** Bytes that a bulk read is given room for. */
const bulkRead = 1024 * 1024;

/** How many bulk reads a thread has at the same time, at the most. */
const mostBulkReads = 16;
let bulkReads = 0;

/** Bytes before those held that are never read into: the header of a frame fits there. */
const headroom = 16;

/** How many pieces of the smallest size are kept for connections to come. */
const mostUnused = 64;
const unused: Uint8Array<ArrayBuffer>[] = [];

/**
 * Takes memory for a read. The smallest size is used again and again, where
 * connections come and go.
 *
 * @param size Bytes that a read is to be given.
 * @param spare Memory that was taken before, which will do if it is as large.
 * @returns Memory for them and for a header before them; what it holds is of
 * no meaning.
 */
export function takeMemory(
  size: number,
  spare?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (spare?.length === headroom + size) return spare;
  return (size === smallestRead ? unused.pop() : undefined) ??
    new Uint8Array(headroom + size);
}

/**
 * Gives back memory that was taken, and that nobody looks at any more.
 *
 * @param memory The memory.
 */
export function giveMemory(memory: Uint8Array<ArrayBuffer>): void {
  if (memory.length !== headroom + smallestRead) return;
  if (unused.length < mostUnused) unused.push(memory);
}

/**
 * Tells how much room the next read is to be given: it grows with the traffic
 * and shrinks again.
 *
 * @param size Room that the last read was given, in bytes.
 * @param count Bytes that it read.
 * @returns Room for the next one, in bytes.
 */
export function nextReadSize(size: number, count: number): number {
  if (count >= size) return Math.min(largestRead, size * 4);
  let next = size;
  while (next > smallestRead && count * 8 <= next) next /= 4;
  return next;
}

/**
 * Memory for reads, in which bytes stay until they are consumed. What it offers
 * for the next read grows with the traffic and shrinks again: an idle
 * connection holds 1 KiB, a busy one reads 256 KiB at a time, and a few in bulk
 * 1 MiB. Bytes are moved only where room for the next read is needed behind some
 * that are held.
 */
export class ReadBuffer {
  #bytes = takeMemory(smallestRead);
  #start = headroom;
  #end = headroom;
  #readSize = smallestRead;
  #isBulk = false;

  /** Number of bytes held. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The memory in which the held bytes lie, from {@linkcode start} to {@linkcode end}. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** Offset of the first byte held. */
  get start(): number {
    return this.#start;
  }

  /** Offset after the last byte held. */
  get end(): number {
    return this.#end;
  }

  /** The bytes held, as a view. */
  view(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.buffer, this.#start, this.length);
  }

  /**
   * Offers room for the next read, behind the bytes held. Views given before
   * are no longer valid.
   *
   * @param minimum The least room that will do, in bytes.
   * @returns The room.
   */
  room(minimum: number): Uint8Array<ArrayBuffer> {
    const size = Math.max(this.#readSize, minimum);
    const held = this.length;
    const capacity = this.#bytes.length;
    if (held === 0) {
      this.#start = this.#end = headroom;
      // Also gives up memory that a message larger than any read has left behind.
      if (capacity !== headroom + size) this.#bytes = takeMemory(size);
    } else if (capacity - this.#end < size) {
      // Doubling keeps the cost of a long message linear in its length.
      const wanted = headroom + held + size;
      const bytes = wanted <= capacity
        ? this.#bytes
        : new Uint8Array(Math.max(wanted, 2 * held));
      bytes.set(this.view(), headroom);
      this.#bytes = bytes;
      this.#start = headroom;
      this.#end = headroom + held;
    }
    return this.#bytes.subarray(this.#end, this.#end + size);
  }

  /**
   * Takes note of a read into the room offered last.
   *
   * @param count How many bytes were read.
   */
  commit(count: number): void {
    this.#end += count;
    if (this.#isBulk && count * 8 > bulkRead) return;
    this.#endBulk();
    this.#readSize = nextReadSize(this.#readSize, count);
  }

  /**
   * Makes the next reads larger than usual as long as they bring much, unless
   * many others are: for what is passed on as it is read. The system then wakes
   * those at both ends less often, which costs more than to copy what they get.
   */
  readBulk(): void {
    if (this.#isBulk || bulkReads >= mostBulkReads) return;
    this.#isBulk = true;
    bulkReads++;
    this.#readSize = bulkRead;
  }

  #endBulk(): void {
    if (!this.#isBulk) return;
    this.#isBulk = false;
    bulkReads--;
  }

  /** Ends it: nobody reads into it, or looks at what it holds, any more. */
  release(): void {
    this.#endBulk();
    giveMemory(this.#bytes);
    this.#bytes = none;
    this.#start = this.#end = 0;
  }

  /**
   * Drops bytes from the start.
   *
   * @param count How many; at most {@linkcode length}.
   */
  consume(count: number): void {
    this.#start += count;
  }
}

const none = new Uint8Array(0);
