/**
 * Counts of many keys in memory that threads can share.
 *
 * @module
 */

import { createHash } from "node:crypto";

// Places in the memory: the lock, the sum of all counts, the number of
// entries, and the entries, of four numbers each.
const lockAt = 0;
const totalAt = 1;
const usedAt = 2;
const tableAt = 4;
const entrySize = 4;

/** Offsets in an entry. An entry that is not used has no kind. */
const kindAt = 2;
const countAt = 3;

/**
 * Bytes that a table takes.
 *
 * @param capacity Most keys that can have a count at once; a power of two.
 */
export function bytesOfTable(capacity: number): number {
  return 4 * (tableAt + capacity * entrySize);
}

/** Bytes that a table of addresses or users takes. */
export const countTableBytes: number = bytesOfTable(2 ** 17);

/** A key: the halves of a number, and its kind, which is not 0. */
export type CountKey = readonly [high: number, low: number, kind: number];

/**
 * Makes a key of a text.
 *
 * @param text The text.
 * @param kind The kind of the key.
 * @returns The key: in practice, no other text has the same one.
 */
export function keyOfText(text: string, kind = 1): CountKey {
  const digest = createHash("sha256").update(text).digest();
  return [digest.readInt32LE(0), digest.readInt32LE(4), kind];
}

/** How much may be counted; 0: any number. */
export interface CountLimits {
  /** Most of all keys together. */
  readonly total: number;
  /** Most of the key. */
  readonly each: number;
}

/**
 * Counts in memory that threads share: a table with open addressing, under a
 * lock that is held for some hundred nanoseconds.
 */
export class CountTable<
  Memory extends ArrayBuffer | SharedArrayBuffer =
    | ArrayBuffer
    | SharedArrayBuffer,
> {
  /** The memory, to pass to other threads. */
  readonly memory: Memory;
  #numbers: Int32Array;
  #capacity: number;

  /**
   * Constructs a new instance.
   *
   * @param memory The memory of another thread's counts, or zeros of
   * {@linkcode bytesOfTable}.
   */
  constructor(memory: Memory) {
    this.memory = memory;
    this.#numbers = new Int32Array(memory);
    this.#capacity = (this.#numbers.length - tableAt) / entrySize;
  }

  /** The sum of all counts. */
  get total(): number {
    return Atomics.load(this.#numbers, totalAt);
  }

  /** Number of keys that have a count. */
  get used(): number {
    return Atomics.load(this.#numbers, usedAt);
  }

  /**
   * Counts one more.
   *
   * @param key Whose; absent: it counts only in the sum.
   * @param limits How much may be counted.
   * @returns Which limit is reached, so that it is not counted; `undefined`: none.
   */
  add(
    key: CountKey | undefined,
    limits: CountLimits,
  ): keyof CountLimits | undefined {
    this.#lock();
    try {
      return this.#add(key, limits);
    } finally {
      this.#unlock();
    }
  }

  /** Counts one less, which was counted. */
  remove(key: CountKey | undefined): void {
    this.#lock();
    try {
      this.#numbers[totalAt]!--;
      if (key !== undefined) this.#leave(this.#find(key));
    } finally {
      this.#unlock();
    }
  }

  /**
   * Changes a number of a key, which is in no sum.
   *
   * @param key Whose.
   * @param change Makes the new number of the one before, 0 if there is none; it
   * is called once.
   * @returns The one before. Where there is no room, it stays as it is.
   */
  change(key: CountKey, change: (before: number) => number): number {
    this.#lock();
    try {
      const entry = this.#find(key);
      const before = this.#numbers[entry + countAt]!;
      const after = change(before);
      if (after === before || before === 0 && !this.#enter(entry, key)) {
        return before;
      }
      this.#numbers[entry + countAt] = after;
      if (after === 0) this.#free(entry);
      return before;
    } finally {
      this.#unlock();
    }
  }

  #add(
    key: CountKey | undefined,
    { total, each }: CountLimits,
  ): keyof CountLimits | undefined {
    const numbers = this.#numbers;
    if (total > 0 && numbers[totalAt]! >= total) return "total";
    if (key !== undefined) {
      const entry = this.#find(key);
      const count = numbers[entry + countAt]!;
      if (each > 0 && count >= each) return "each";
      if (count === 0 && !this.#enter(entry, key)) return "total";
      numbers[entry + countAt] = count + 1;
    }
    numbers[totalAt]!++;
    return undefined;
  }

  /** Gives a free entry to a key, if there is room. */
  #enter(entry: number, [high, low, kind]: CountKey): boolean {
    const numbers = this.#numbers;
    // A nearly full table is slow, so it accepts no more.
    if (numbers[usedAt]! >= this.#capacity * 7 / 8) return false;
    numbers[usedAt]!++;
    numbers[entry] = high;
    numbers[entry + 1] = low;
    numbers[entry + kindAt] = kind;
    return true;
  }

  /** Finds the entry of a key, or the free entry for it. */
  #find([high, low, kind]: CountKey): number {
    const numbers = this.#numbers;
    const capacity = this.#capacity;
    for (
      let slot = slotOf(high, low, capacity);;
      slot = (slot + 1) % capacity
    ) {
      const entry = tableAt + slot * entrySize;
      const found = numbers[entry + kindAt];
      if (found === 0) return entry;
      if (
        found === kind && numbers[entry] === high &&
        numbers[entry + 1] === low
      ) return entry;
    }
  }

  /** Counts one less, and frees an entry without a count. */
  #leave(entry: number): void {
    const numbers = this.#numbers;
    numbers[entry + countAt]!--;
    if (numbers[entry + countAt]! === 0) this.#free(entry);
  }

  #free(entry: number): void {
    const numbers = this.#numbers;
    const capacity = this.#capacity;
    numbers[usedAt]!--;
    // The entries after it, up to the next gap, move up, unless that would put
    // them before the slot at which a search for them starts.
    let gap = (entry - tableAt) / entrySize;
    for (let slot = (gap + 1) % capacity;; slot = (slot + 1) % capacity) {
      const from = tableAt + slot * entrySize;
      if (numbers[from + kindAt] === 0) break;
      const first = slotOf(numbers[from]!, numbers[from + 1]!, capacity);
      const distance = (slot - first + capacity) % capacity;
      if (distance < (slot - gap + capacity) % capacity) continue;
      numbers.copyWithin(tableAt + gap * entrySize, from, from + entrySize);
      gap = slot;
    }
    const last = tableAt + gap * entrySize;
    numbers.fill(0, last, last + entrySize);
  }

  #lock(): void {
    const numbers = this.#numbers;
    while (Atomics.compareExchange(numbers, lockAt, 0, 1) !== 0) {
      Atomics.wait(numbers, lockAt, 1, 1);
    }
  }

  #unlock(): void {
    Atomics.store(this.#numbers, lockAt, 0);
    Atomics.notify(this.#numbers, lockAt, 1);
  }
}

function slotOf(high: number, low: number, capacity: number): number {
  let hash = Math.imul(high ^ 0x9e3779b9, 0x85ebca6b) ^ low;
  hash = Math.imul(hash ^ hash >>> 15, 0x2c1b3c6d);
  hash = Math.imul(hash ^ hash >>> 12, 0x297a2d39);
  return (hash ^ hash >>> 15) & capacity - 1;
}
