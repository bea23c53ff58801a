/**
 * Decides how much is read at a time.
 *
 * @module
 */

import { largestSize, smallestSize } from "./buffer_pool.ts";

/** Most bytes of a read, except in bulk. */
export const largestRead = 256 * 1024;

/** Bytes that any waiting read may hold. */
const quietRead = 16 * 1024;

/** A limited number of reads of a thread that may hold more while they wait. */
class Places {
  #free: number;

  /** Constructs a new instance with so many places. */
  constructor(most: number) {
    this.#free = most;
  }

  take(): boolean {
    if (this.#free === 0) return false;
    this.#free--;
    return true;
  }

  giveBack(): void {
    this.#free++;
  }
}

const large = new Places(64);
const bulk = new Places(16);

/**
 * The size of the next read. It grows in a few steps with reads that fill it,
 * and shrinks again with reads that return little.
 *
 * The memory of a pending read cannot be taken back: a quiet connection keeps
 * it. So only some of many connections wait with much memory; the others get
 * more after a read was filled, when more data is likely.
 */
export class ReadSize {
  #bytes = smallestSize;
  #most: number;
  #place: Places | undefined;
  #isReleased = false;

  /**
   * Constructs a new instance.
   *
   * @param most Most bytes of a read, except in bulk.
   */
  constructor(most = largestRead) {
    this.#most = most;
  }

  /** Bytes of room for the next read. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adapts to the result of a read.
   *
   * @param count Bytes that were read. If they are more than the requested
   * room, the next read gets more.
   */
  follow(count: number): void {
    const size = this.#bytes;
    if (count > size) {
      this.grow(this.#most);
    } else if (size > smallestSize) {
      let next = size;
      while (next > smallestSize && count * 8 <= next) next /= 4;
      if (!this.#move(placesFor(next))) {
        next = quietRead;
        this.#move(undefined);
      }
      this.#bytes = next;
    }
  }

  /**
   * Makes the next read four times as large.
   *
   * @param most Most bytes of room for it, unless it already has more.
   */
  grow(most: number): void {
    const next = Math.max(this.#bytes, Math.min(this.#bytes * 4, most));
    // A read after one that was filled most likely does not wait.
    this.#move(placesFor(next));
    this.#bytes = next;
  }

  /**
   * Makes the next reads larger than usual while they return much, unless many
   * others are large.
   */
  readBulk(): void {
    if (this.#move(bulk)) this.#bytes = largestSize;
  }

  /** Gives up the place, when no read is pending any more. */
  release(): void {
    this.#move(undefined);
    this.#isReleased = true;
  }

  /**
   * Takes a place, and returns whether there was one; otherwise, the size
   * stays.
   */
  #move(to: Places | undefined): boolean {
    if (to === this.#place) return true;
    if (to !== undefined && (this.#isReleased || !to.take())) return false;
    this.#place?.giveBack();
    this.#place = to;
    return true;
  }
}

/** The kind of place that a read of this size needs. */
function placesFor(size: number): Places | undefined {
  if (size <= quietRead) return undefined;
  return size <= largestRead ? large : bulk;
}
