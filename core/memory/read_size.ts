/**
 * How much is read at a time.
 *
 * @module
 */

import { largestSize, smallestSize } from "./buffer_pool.ts";

/** Bytes that a read is given room for at the most, but for one in bulk. */
export const largestRead = 256 * 1024;

/** Bytes that a read may wait with, however many do. */
const quietRead = 16 * 1024;

/** Reads of a thread that may wait with more. */
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
 * Room for the next read: it grows with reads that fill it, in a few steps, and
 * shrinks again with those that bring little.
 *
 * What a read waits with cannot be taken from it: a connection that has gone
 * quiet keeps it. So, of many connections, only some wait with much; the others
 * are given more once a read was filled, when there is most likely more to come.
 */
export class ReadSize {
  #bytes = smallestSize;
  #most: number;
  #place: Places | undefined;
  #isReleased = false;

  /**
   * Constructs a new instance.
   *
   * @param most Bytes that a read is given room for at the most, but for one in
   * bulk.
   */
  constructor(most = largestRead) {
    this.#most = most;
  }

  /** Bytes that the next read is given room for. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Follows what a read has brought.
   *
   * @param count How many bytes that were. If they are more than there was to be
   * room for, the next one is given more.
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
   * @param most Bytes that it is given room for at the most, unless it had more.
   */
  grow(most: number): void {
    const next = Math.max(this.#bytes, Math.min(this.#bytes * 4, most));
    // A read that follows one which was filled most likely does not wait.
    this.#move(placesFor(next));
    this.#bytes = next;
  }

  /**
   * Makes the next reads larger than usual as long as they bring much, unless
   * many others are.
   */
  readBulk(): void {
    if (this.#move(bulk)) this.#bytes = largestSize;
  }

  /** Ends it: nothing waits any more. It has no place from then on. */
  release(): void {
    this.#move(undefined);
    this.#isReleased = true;
  }

  /** Whether there was a place; where there is none, it keeps what it has. */
  #move(to: Places | undefined): boolean {
    if (to === this.#place) return true;
    if (to !== undefined && (this.#isReleased || !to.take())) return false;
    this.#place?.giveBack();
    this.#place = to;
    return true;
  }
}

/** The places that a read with so much room needs. */
function placesFor(size: number): Places | undefined {
  if (size <= quietRead) return undefined;
  return size <= largestRead ? large : bulk;
}
