/**
 * The memory that a peer is read into.
 *
 * @module
 */

import { giveMemory, headroom, tailroom, takeMemory } from "./buffer_pool.ts";
import { ReadSize } from "./read_size.ts";

/** Bytes up to which what lies in a socket is read together, in several reads. */
export const largestTogether = 64 * 1024;

/**
 * Memory for reads, in which bytes stay until they are consumed. What it offers
 * for the next read grows with the traffic and shrinks again: an idle
 * connection holds 1 KiB, a busy one reads 256 KiB at a time, and a few in bulk
 * 1 MiB. Bytes are moved only where room for the next read is needed behind some
 * that are held.
 */
export class ReadBuffer {
  #size = new ReadSize();
  #bytes = takeMemory(this.#size.bytes);
  #start = headroom;
  #end = headroom;

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
    const size = Math.max(this.#size.bytes, minimum);
    const held = this.length;
    const capacity = this.#bytes.length;
    if (held === 0) {
      this.#start = this.#end = headroom;
      // Also gives up memory that a message larger than any read has left behind.
      if (capacity !== headroom + size + tailroom) {
        giveMemory(this.#bytes);
        this.#bytes = takeMemory(size);
      }
    } else if (capacity - this.#end < size + tailroom) {
      // Doubling keeps the cost of a long message linear in its length.
      const wanted = headroom + held + size + tailroom;
      const bytes = wanted <= capacity
        ? this.#bytes
        : new Uint8Array(Math.max(wanted, 2 * held));
      bytes.set(this.view(), headroom);
      this.#bytes = bytes;
      this.#start = headroom;
      this.#end = headroom + held;
    }
    return this.#bytes.subarray(this.#end, this.#end + size + tailroom);
  }

  /**
   * Offers room for another read, behind what was read into the room offered
   * last and is not yet committed. Until that read has ended, what was read
   * before can be committed and consumed, but no other room be asked for.
   *
   * @param count How many bytes were read and not committed.
   * @returns The room; `undefined` if there are so many that they need not be
   * kept together with what follows.
   */
  more(count: number): Uint8Array<ArrayBuffer> | undefined {
    const total = this.length + count;
    const left = largestTogether - total;
    if (left <= 0) return undefined;
    // The read may have to wait, and is then the next one.
    const least = Math.min(this.#size.bytes / 2, left);
    if (this.#bytes.length - this.#end - count < least) {
      this.#moveToStart(total, least);
      this.#end -= count;
    }
    return this.#bytes.subarray(this.#end + count);
  }

  /** Moves bytes to where there is room behind them. */
  #moveToStart(count: number, room: number): void {
    const from = this.#bytes;
    const bytes = from.subarray(this.#start, this.#start + count);
    if (from.length - headroom - count < room) {
      this.#size.grow(largestTogether);
      let size = this.#size.bytes;
      while (size < largestTogether && size < 2 * count) size *= 4;
      this.#bytes = takeMemory(size);
    }
    this.#bytes.set(bytes, headroom);
    if (this.#bytes !== from) giveMemory(from);
    this.#start = headroom;
    this.#end = headroom + count;
  }

  /**
   * Shows what was read and is not yet committed.
   *
   * @param count How many bytes were read.
   */
  fresh(count: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#end, this.#end + count);
  }

  /**
   * Follows a read into the room offered last.
   *
   * @param count How many bytes were read.
   */
  commit(count: number): void {
    this.#end += count;
    this.#size.follow(count);
  }

  /**
   * Makes the next reads larger than usual as long as they bring much, unless
   * many others are: for what is passed on as it is read. The system then wakes
   * those at both ends less often, which costs more than to copy what they get.
   */
  readBulk(): void {
    this.#size.readBulk();
  }

  /** Ends it: nobody reads into it, or looks at what it holds, any more. */
  release(): void {
    this.#size.release();
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
