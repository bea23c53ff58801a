/**
 * What compresses: DEFLATE (RFC 1951), one message after another, each of which
 * can refer to those before it.
 *
 * It finds repetitions by two hash tables: one of four bytes at each place, and
 * one of eight. All earlier places with the same hash are a chain. Long
 * repetitions are looked for in the chain of eight bytes, which is so much
 * shorter than that of four that few places have to be tried.
 *
 * @module
 */

import {
  Block,
  distanceCode,
  distanceExtra,
  fixedLiteralBits,
  leastMatch,
  lengthCode,
  lengthExtra,
  mostMatch,
  mostSymbols,
} from "./block.ts";

/** Bytes from which a place can be entered in the second table. */
const longHash = 8;

/** Bytes after the window that may be read, and mean nothing. */
const padding = 8;

/** Bytes of a message that are taken at a time, at most. */
const step = 16 * 1024;

/** Bits of the two tables' entries at most. */
const mostHashBits = 14;

/** How hard repetitions are looked for. */
interface Effort {
  /** Places of the chain of four bytes that are tried, and of eight. */
  readonly short: number;
  readonly long: number;
  /** A repetition at least so long is taken without looking for a longer one at the next byte. */
  readonly lazy: number;
  /** With a repetition at least so long, only a quarter of the places are tried at the next byte. */
  readonly good: number;
}

/** By the level, 1 to 9. */
const efforts: readonly Effort[] = [
  { short: 1, long: 1, lazy: 1, good: 8 },
  { short: 1, long: 4, lazy: 1, good: 8 },
  { short: 2, long: 8, lazy: 1, good: 8 },
  { short: 2, long: 16, lazy: 16, good: 8 },
  { short: 4, long: 32, lazy: 32, good: 8 },
  { short: 4, long: 96, lazy: 258, good: 8 },
  { short: 8, long: 128, lazy: 258, good: 16 },
  { short: 16, long: 256, lazy: 258, good: 32 },
  { short: 64, long: 1024, lazy: 258, good: 258 },
];

/** The block that is being made: a message is compressed at once. */
const block = new Block();

/** The multiplier of a hash, whose upper bits are taken. */
const multiplier = -1640531535;
const otherMultiplier = -2048144777;

/**
 * Bytes that a {@linkcode Deflater} takes.
 *
 * @param windowBits Base-2 logarithm of its window, 8 to 15.
 */
export function deflaterSize(windowBits: number): number {
  // Twice the window; for each of its places two entries; and two tables.
  const hashBits = Math.min(windowBits - 1, mostHashBits);
  return 6 * 2 ** windowBits + 4 * 2 ** hashBits + padding;
}

/**
 * Compresses messages for one receiver.
 *
 * @example Usage
 * ```ts
 * import { Deflater } from "./deflater.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const deflater = new Deflater(15);
 * const message = new TextEncoder().encode("Hello");
 * const target = new Uint8Array(20);
 * const size = deflater.deflate(message, 0, 5, target, 0, 20, 6);
 * assertEquals(
 *   target.subarray(0, size),
 *   new Uint8Array([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
 * );
 * ```
 */
export class Deflater {
  /** All of its memory. */
  #memory: ArrayBuffer;
  /** What was sent last, and what is being sent: twice the window. */
  #bytes: Uint8Array;
  #words: DataView;
  /** The last place of each hash of four bytes and of eight, modulo 2^16. */
  #shortTable: Uint16Array;
  #longTable: Uint16Array;
  /** For each place of the window the one before it with the same hash. */
  #shortChain: Uint16Array;
  #longChain: Uint16Array;
  #window: number;
  #shift: number;
  /** What a place in the window is less than the same one in the tables, modulo 2^16. */
  #base = 0;
  /** Where what the receiver knows begins, and ends. */
  #start = 0;
  #end = 0;
  /** Where what is not in the tables yet begins. */
  #shortEnd = 0;
  #longEnd = 0;

  /**
   * Constructs a new instance.
   *
   * @param windowBits Base-2 logarithm of the window, 8 to 15: how far back a
   * message refers at most. {@linkcode deflaterSize} tells what memory it takes.
   */
  constructor(windowBits: number) {
    const window = 1 << windowBits;
    const hashBits = Math.min(windowBits - 1, mostHashBits);
    this.#window = window;
    this.#shift = 32 - hashBits;
    const memory = this.#memory = new ArrayBuffer(deflaterSize(windowBits));
    const bytes = 2 * window + padding;
    this.#bytes = new Uint8Array(memory, 0, bytes);
    this.#words = new DataView(memory, 0, bytes);
    let at = bytes;
    function take(length: number): Uint16Array {
      const taken = new Uint16Array(memory, at, length);
      at += taken.byteLength;
      return taken;
    }
    this.#shortTable = take(1 << hashBits);
    this.#longTable = take(1 << hashBits);
    this.#shortChain = take(window);
    this.#longChain = take(window);
  }

  /**
   * Compresses a message. It ends at a byte, without the four bytes that RFC
   * 7692 section 7.2.1 has removed.
   *
   * @param data The bytes in which the message lies.
   * @param from Offset of its first byte.
   * @param to Offset of the byte after it.
   * @param target Where the result is written.
   * @param at Offset in `target` at which to begin.
   * @param room Bytes that may be written there.
   * @param level 1, the fastest, to 9, the smallest.
   * @returns Bytes that were written; -1: there is too little room, and nothing
   * that follows refers to anything before it.
   */
  deflate(
    data: Uint8Array,
    from: number,
    to: number,
    target: Uint8Array,
    at: number,
    room: number,
    level: number,
  ): number {
    const effort = efforts[level - 1]!;
    block.start(at, at + room);
    while (from < to) {
      const length = Math.min(to - from, step, this.#window);
      if (this.#end + length > 2 * this.#window) this.#slide();
      if (block.count + length > mostSymbols && !block.write(target)) {
        return this.#giveUp();
      }
      this.#bytes.set(data.subarray(from, from + length), this.#end);
      this.#find(this.#end + length, effort);
      from += length;
    }
    if (!block.write(target)) return this.#giveUp();
    block.finish(target);
    return block.at - at;
  }

  /** Makes what follows refer to nothing before it. */
  forget(): void {
    // Entries of the tables that are too old are recognized when they are read.
    this.#start = this.#end;
  }

  /** Frees its memory at once. Nothing may be called after it. */
  free(): void {
    this.#memory.transfer(0);
  }

  #giveUp(): -1 {
    this.forget();
    return -1;
  }

  /** Moves what can still be referred to to the beginning. */
  #slide(): void {
    const by = this.#end - this.#window;
    this.#bytes.copyWithin(0, by, this.#end);
    this.#base = (this.#base + by) & 0xffff;
    this.#end = this.#window;
    this.#start = Math.max(0, this.#start - by);
    this.#shortEnd = Math.max(0, this.#shortEnd - by);
    this.#longEnd = Math.max(0, this.#longEnd - by);
  }

  /** Makes symbols of the bytes up to a place. */
  #find(end: number, { short, long, lazy, good }: Effort): void {
    const bytes = this.#bytes;
    const words = this.#words;
    const shortTable = this.#shortTable;
    const longTable = this.#longTable;
    const shortChain = this.#shortChain;
    const longChain = this.#longChain;
    const base = this.#base;
    const shift = this.#shift;
    const start = this.#start;
    const window = this.#window;
    const mask = window - 1;
    const shortEnd = end - leastMatch;
    const longEnd = end - longHash;
    const { symbols, literalCounts, distanceCounts } = block;
    let { count, fixedBits, extraBits } = block;
    let at = this.#end;

    // What was too near to the end before.
    for (let to = this.#shortEnd; to < at && to <= shortEnd; to++) {
      const place = (to + base) & 0xffff;
      const hash = Math.imul(words.getInt32(to, true), multiplier) >>> shift;
      shortChain[place & mask] = shortTable[hash]!;
      shortTable[hash] = place;
    }
    for (let to = this.#longEnd; to < at && to <= longEnd; to++) {
      const place = (to + base) & 0xffff;
      const hash = (Math.imul(words.getInt32(to, true), multiplier) +
        Math.imul(words.getInt32(to + 4, true), otherMultiplier)) >>> shift;
      longChain[place & mask] = longTable[hash]!;
      longTable[hash] = place;
    }

    // What was found at the byte before, which is not a symbol yet if `isOpen`.
    let isOpen = false;
    let lastLength = 0;
    let lastDistance = 0;
    while (at < end) {
      let best = 0;
      let distance = 0;
      if (at <= shortEnd) {
        const here = (at + base) & 0xffff;
        const word = words.getInt32(at, true);
        const part = Math.imul(word, multiplier);
        const shortHash = part >>> shift;
        const shortPlace = shortTable[shortHash]!;
        let longPlace = here;
        shortChain[here & mask] = shortPlace;
        shortTable[shortHash] = here;
        if (at <= longEnd) {
          const hash = (part +
            Math.imul(words.getInt32(at + 4, true), otherMultiplier)) >>>
            shift;
          longPlace = longTable[hash]!;
          longChain[here & mask] = longPlace;
          longTable[hash] = here;
        }
        if (lastLength < lazy) {
          best = Math.max(lastLength, leastMatch - 1);
          const most = Math.min(end - at, mostMatch);
          const farthest = Math.min(at - start, window);
          const isGood = lastLength >= good;
          // A longer one has the same bytes where the best one so far ends.
          let last = words.getInt32(at + best - 3, true);
          let before = 0;
          // Only where there is no long one, a short one is looked for.
          let chain = longChain;
          let place = longPlace;
          let left = isGood ? long >> 2 : long;
          while (true) {
            // Each place of a chain is further away, or is not of this window.
            const back = (here - place) & 0xffff;
            if (left-- === 0 || back <= before || back > farthest) {
              if (
                distance > 0 || lastLength >= longHash || chain === shortChain
              ) {
                break;
              }
              chain = shortChain;
              place = shortPlace;
              left = isGood ? short >> 2 : short;
              before = 0;
              continue;
            }
            const from = at - back;
            if (
              words.getInt32(from + best - 3, true) === last &&
              words.getInt32(from, true) === word
            ) {
              let length = 4;
              while (length < most) {
                const difference = words.getInt32(from + length, true) ^
                  words.getInt32(at + length, true);
                if (difference !== 0) {
                  length += (31 - Math.clz32(difference & -difference)) >>> 3;
                  break;
                }
                length += 4;
              }
              if (length > best) {
                best = Math.min(length, most);
                if (best > lastLength) distance = back;
                if (length >= most) break;
                last = words.getInt32(at + best - 3, true);
              }
            }
            before = back;
            place = chain[place & mask]!;
          }
          if (distance === 0) best = 0;
        }
      }
      if (lastLength > 0 && best <= lastLength) {
        // Nothing longer begins here: take what begins at the byte before.
        symbols[count++] = lastLength << 16 | lastDistance;
        const length = lengthCode[lastLength]!;
        const less = lastDistance - 1;
        const code = distanceCode[less < 256 ? less : 256 + (less >> 7)]!;
        literalCounts[257 + length]!++;
        distanceCounts[code]!++;
        fixedBits += fixedLiteralBits[257 + length]! + 5;
        extraBits += lengthExtra[length]! + distanceExtra[code]!;
        const next = at - 1 + lastLength;
        let to = at + 1;
        for (; to < next && to <= longEnd; to++) {
          const place = (to + base) & 0xffff;
          const part = Math.imul(words.getInt32(to, true), multiplier);
          const shortHash = part >>> shift;
          shortChain[place & mask] = shortTable[shortHash]!;
          shortTable[shortHash] = place;
          const hash = (part +
            Math.imul(words.getInt32(to + 4, true), otherMultiplier)) >>>
            shift;
          longChain[place & mask] = longTable[hash]!;
          longTable[hash] = place;
        }
        for (; to < next && to <= shortEnd; to++) {
          const place = (to + base) & 0xffff;
          const hash = Math.imul(words.getInt32(to, true), multiplier) >>>
            shift;
          shortChain[place & mask] = shortTable[hash]!;
          shortTable[hash] = place;
        }
        at = next;
        isOpen = false;
        lastLength = 0;
        continue;
      }
      if (isOpen) {
        const byte = bytes[at - 1]!;
        symbols[count++] = byte << 16;
        literalCounts[byte]!++;
        fixedBits += fixedLiteralBits[byte]!;
      }
      isOpen = true;
      lastLength = best;
      lastDistance = distance;
      at++;
    }
    if (isOpen) {
      const byte = bytes[at - 1]!;
      symbols[count++] = byte << 16;
      literalCounts[byte]!++;
      fixedBits += fixedLiteralBits[byte]!;
    }
    this.#shortEnd = Math.max(this.#shortEnd, shortEnd + 1);
    this.#longEnd = Math.max(this.#longEnd, longEnd + 1);
    block.count = count;
    block.fixedBits = fixedBits;
    block.extraBits = extraBits;
    this.#end = end;
  }
}
