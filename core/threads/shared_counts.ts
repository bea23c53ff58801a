/**
 * Counts of connections that several threads share.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import {
  clientOf,
  type ConnectionCounts,
  type ConnectionLimits,
  type TooMany,
} from "../server/connection_counts.ts";

/** Most addresses that can have connections at once; a power of two. */
const capacity = 2 ** 17;

// Places in the memory: the lock, the number of connections, the number of
// entries, and the entries, of four numbers each.
const lockAt = 0;
const totalAt = 1;
const usedAt = 2;
const tableAt = 4;
const entrySize = 4;

/** Offsets in an entry. An entry that is not used has no family. */
const familyAt = 2;
const countAt = 3;

/**
 * Counts in memory that threads share: a table with open addressing, under a
 * lock that is held for some hundred nanoseconds.
 */
export class SharedCounts implements ConnectionCounts {
  /** The memory, to pass to other threads. */
  readonly memory: SharedArrayBuffer;
  #numbers: Int32Array;

  /**
   * Constructs a new instance.
   *
   * @param memory The memory of another thread's counts; absent: new counts.
   */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ??
      new SharedArrayBuffer(4 * (tableAt + capacity * entrySize));
    this.#numbers = new Int32Array(this.memory);
  }

  get total(): number {
    return Atomics.load(this.#numbers, totalAt);
  }

  /** Number of addresses that have connections. */
  get addresses(): number {
    return Atomics.load(this.#numbers, usedAt);
  }

  add(remote: RemoteAddress, limits: ConnectionLimits): TooMany {
    const key = toKey(remote);
    this.#lock();
    try {
      return this.#add(key, limits);
    } finally {
      this.#unlock();
    }
  }

  remove(remote: RemoteAddress): void {
    const key = toKey(remote);
    this.#lock();
    try {
      this.#numbers[totalAt]!--;
      if (key !== undefined) this.#leave(this.#find(key));
    } finally {
      this.#unlock();
    }
  }

  #add(key: Key | undefined, limits: ConnectionLimits): TooMany {
    const numbers = this.#numbers;
    const { maxConnections: most, maxConnectionsPerAddress: each } = limits;
    if (most > 0 && numbers[totalAt]! >= most) return "too many connections";
    if (key !== undefined) {
      const entry = this.#find(key);
      const count = numbers[entry + countAt]!;
      if (each > 0 && count >= each) {
        return "too many connections from this address";
      }
      if (count === 0) {
        // A nearly full table is slow, so it accepts no more.
        if (numbers[usedAt]! >= capacity * 7 / 8) return "too many connections";
        numbers[usedAt]!++;
        [numbers[entry], numbers[entry + 1], numbers[entry + familyAt]] = key;
      }
      numbers[entry + countAt] = count + 1;
    }
    numbers[totalAt]!++;
    return undefined;
  }

  /** Finds the entry of a key, or the free entry for it. */
  #find([high, low, family]: Key): number {
    const numbers = this.#numbers;
    for (let slot = slotOf(high, low);; slot = (slot + 1) % capacity) {
      const entry = tableAt + slot * entrySize;
      const found = numbers[entry + familyAt];
      if (found === 0) return entry;
      if (
        found === family && numbers[entry] === high &&
        numbers[entry + 1] === low
      ) return entry;
    }
  }

  /** Counts one connection less, and frees an entry without connections. */
  #leave(entry: number): void {
    const numbers = this.#numbers;
    numbers[entry + countAt]!--;
    if (numbers[entry + countAt]! > 0) return;
    numbers[usedAt]!--;
    // The entries after it, up to the next gap, move up, unless that would put
    // them before the slot at which a search for them starts.
    let gap = (entry - tableAt) / entrySize;
    for (let slot = (gap + 1) % capacity;; slot = (slot + 1) % capacity) {
      const from = tableAt + slot * entrySize;
      if (numbers[from + familyAt] === 0) break;
      const first = slotOf(numbers[from]!, numbers[from + 1]!);
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

/** A client: the halves of its number, and the family of its address. */
type Key = readonly [high: number, low: number, family: number];

function toKey(remote: RemoteAddress): Key | undefined {
  const client = clientOf(remote);
  if (client === undefined) return undefined;
  const { family, value } = client;
  return [Number(value >> 32n) | 0, Number(value & 0xffffffffn) | 0, family];
}

function slotOf(high: number, low: number): number {
  let hash = Math.imul(high ^ 0x9e3779b9, 0x85ebca6b) ^ low;
  hash = Math.imul(hash ^ hash >>> 15, 0x2c1b3c6d);
  hash = Math.imul(hash ^ hash >>> 12, 0x297a2d39);
  return (hash ^ hash >>> 15) & capacity - 1;
}
