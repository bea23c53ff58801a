/**
 * How much is read at a time, and the memory that a peer is read into.
 *
 * @module
 */

import {
  giveMemory,
  headroom,
  largestSize,
  smallestSize,
  tailroom,
  takeAtLeast,
  takeMemory,
} from "./buffer_pool.ts";

/** Most bytes of a read, except in bulk. */
export const largestRead = 256 * 1024;

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

/** Up to this size, any number of reads may wait. */
const quietRead = 1024;

/**
 * How many larger reads of a thread may wait: those of each kind hold 8 MiB at
 * the most, however many connections have received much.
 */
const medium = { most: 16 * 1024, places: new Places(512) };
const large = { most: largestRead, places: new Places(32) };
const bulk = { most: largestSize, places: new Places(8) };

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
      while (!this.#move(placesFor(next))) next = smallerThan(next);
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
    if (this.#move(bulk.places)) this.#bytes = largestSize;
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

/** The places for reads of this size; `undefined`: any number may wait. */
function placesFor(size: number): Places | undefined {
  if (size <= quietRead) return undefined;
  if (size <= medium.most) return medium.places;
  return size <= large.most ? large.places : bulk.places;
}

/** The largest size that needs no place for this one. */
function smallerThan(size: number): number {
  if (size > large.most) return large.most;
  return size > medium.most ? medium.most : quietRead;
}

/** Most bytes of a socket that are read together, in several reads. */
export const largestTogether = 64 * 1024;

/**
 * Memory for reads, in which bytes stay until they are consumed. The room for
 * the next read grows with the traffic and shrinks again: an idle connection
 * holds 256 bytes, a busy one reads 256 KiB at a time, and a few in bulk 1 MiB.
 * Bytes are moved only if the next read needs room after bytes that are held.
 */
export class ReadBuffer {
  #size = new ReadSize();
  #bytes = takeMemory(this.#size.bytes);
  /** The room that was offered last while nothing was held. */
  #room: Uint8Array<ArrayBuffer> | undefined;
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
   * Offers room for the next read, after the bytes held. Views returned before
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
      // Also releases memory that was taken for a message larger than any read.
      if (capacity !== headroom + size + tailroom) {
        giveMemory(this.#bytes);
        this.#bytes = takeMemory(size);
      }
    } else if (capacity - this.#end < size + tailroom) {
      // Doubling keeps the cost of a long message linear in its length.
      const wanted = headroom + held + size + tailroom;
      const from = this.#bytes;
      const bytes = wanted <= capacity
        ? from
        : takeAtLeast(Math.max(wanted, 2 * held));
      bytes.set(this.view(), headroom);
      if (bytes !== from) giveMemory(from);
      this.#bytes = bytes;
      this.#start = headroom;
      this.#end = headroom + held;
    }
    const length = size + tailroom;
    if (held > 0) {
      return this.#bytes.subarray(this.#end, this.#end + length);
    }
    // Small reads use the same room again and again.
    const room = this.#room;
    return room?.buffer === this.#bytes.buffer && room.length === length
      ? room
      : this.#room = this.#bytes.subarray(headroom, headroom + length);
  }

  /**
   * Offers room for another read, after the bytes that were read into the last
   * room and are not yet committed. Until that read has ended, the caller may
   * commit and consume those bytes, but not ask for other room.
   *
   * @param count How many bytes were read and not committed.
   * @returns The room; `undefined` if there are so many bytes that it is not
   * worth keeping them together with the next ones.
   */
  more(count: number): Uint8Array<ArrayBuffer> | undefined {
    const total = this.length + count;
    const left = largestTogether - total;
    if (left <= 0) return undefined;
    // The read may have to wait; it then counts as the next one.
    const least = Math.min(this.#size.bytes / 2, left);
    if (this.#bytes.length - this.#end - count < least) {
      this.#moveToStart(total, least);
      this.#end -= count;
    }
    return this.#bytes.subarray(this.#end + count);
  }

  /** Moves the bytes held, so that there is room after them. */
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
   * Returns the bytes that were read and are not yet committed.
   *
   * @param count How many bytes were read.
   */
  fresh(count: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#end, this.#end + count);
  }

  /**
   * Commits a read into the room offered last.
   *
   * @param count How many bytes were read.
   */
  commit(count: number): void {
    this.#end += count;
    this.#size.follow(count);
  }

  /**
   * Makes the next reads larger than usual while they return much, unless many
   * others are large: for bytes that are forwarded as they are read. The system
   * then wakes both ends less often, and a wake-up costs more than the copy.
   */
  readBulk(): void {
    this.#size.readBulk();
  }

  /**
   * Releases the memory: no read into it is pending, and no view of it is used.
   */
  release(): void {
    this.#size.release();
    giveMemory(this.#bytes);
    this.#bytes = none;
    this.#room = undefined;
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
