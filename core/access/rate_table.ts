/**
 * How often each of many clients has done something, in memory that threads can
 * share: a table of fixed size.
 *
 * @module
 */

import { keyOfText } from "../memory/count_table.ts";

/**
 * Sets of entries, and entries in each; powers of two. A client has its place
 * in one set: where that is full, the client that is nearest to its full share
 * again makes room.
 */
const sets = 2 ** 13;
const ways = 4;

/** Numbers before the entries: the first one is the lock. */
const head = 4;
const entrySize = 4;

/** Bytes that a table takes. */
export const rateTableBytes = 4 * (head + sets * ways * entrySize);

/** A share of time, as GCRA has it: equal to a bucket of tokens, in one number. */
export interface Share {
  /** Milliseconds that one use costs. */
  readonly cost: number;
  /** Milliseconds' worth of uses that may come at once. */
  readonly burst: number;
}

/** Counts uses, under a lock that is held for less than a microsecond. */
export class RateTable {
  #numbers: Int32Array;
  #times: Float64Array;

  /**
   * Constructs a new instance.
   *
   * @param memory The memory of another thread's table, or zeros of
   * {@linkcode rateTableBytes}.
   */
  constructor(memory: ArrayBuffer | SharedArrayBuffer) {
    this.#numbers = new Int32Array(memory);
    this.#times = new Float64Array(memory);
  }

  /**
   * Takes a use, if there is one left.
   *
   * @param key Who, and of what.
   * @param share What it has.
   * @param now The time, in milliseconds, the same in all threads.
   * @returns 0; or the milliseconds after which there is one again.
   */
  take(key: string, { cost, burst }: Share, now: number): number {
    return this.#update(key, now, (time) => {
      const wait = time + cost - burst - now;
      return wait > 0 ? [time, wait] : [time + cost, 0];
    });
  }

  /**
   * Uses more than is left, perhaps, and tells how long to pause for it.
   *
   * @param key Who, and of what.
   * @param share What it has; its cost is that of all of this use.
   * @param now The time, as for {@linkcode take}.
   * @returns Milliseconds until it is made up for.
   */
  spend(key: string, { cost, burst }: Share, now: number): number {
    return this.#update(key, now, (time) => {
      const after = time + cost;
      return [after, Math.max(0, after - burst - now)];
    });
  }

  /**
   * Tells whether there is a use left, and takes none.
   *
   * @param key Who, and of what.
   * @param share What it has.
   * @param now The time, as for {@linkcode take}.
   * @returns As of {@linkcode take}.
   */
  peek(key: string, { cost, burst }: Share, now: number): number {
    const [high, low] = keyOfText(key);
    this.#lock();
    try {
      const entry = this.#find(high, low);
      const isOwn = this.#numbers[entry] === high &&
        this.#numbers[entry + 1] === low;
      const time = isOwn ? Math.max(this.#times[(entry + 2) / 2]!, now) : now;
      return Math.max(0, time + cost - burst - now);
    } finally {
      this.#unlock();
    }
  }

  /** Changes the time up to which a key has used its share, from now at the earliest. */
  #update(
    key: string,
    now: number,
    change: (time: number) => readonly [time: number, wait: number],
  ): number {
    const [high, low] = keyOfText(key);
    this.#lock();
    try {
      const entry = this.#find(high, low);
      // Entries are of two numbers and a time of twice their size.
      const timeAt = (entry + 2) / 2;
      const isOwn = this.#numbers[entry] === high &&
        this.#numbers[entry + 1] === low;
      const before = isOwn ? Math.max(this.#times[timeAt]!, now) : now;
      const [time, wait] = change(before);
      this.#numbers[entry] = high;
      this.#numbers[entry + 1] = low;
      this.#times[timeAt] = time;
      return wait;
    } finally {
      this.#unlock();
    }
  }

  /** Finds the entry of a key, or the one that it replaces. */
  #find(high: number, low: number): number {
    const first = head + (low & sets - 1) * ways * entrySize;
    let oldest = first;
    for (let way = 0; way < ways; way++) {
      const entry = first + way * entrySize;
      if (
        this.#numbers[entry] === high && this.#numbers[entry + 1] === low
      ) return entry;
      if (this.#times[(entry + 2) / 2]! < this.#times[(oldest + 2) / 2]!) {
        oldest = entry;
      }
    }
    return oldest;
  }

  #lock(): void {
    while (Atomics.compareExchange(this.#numbers, 0, 0, 1) !== 0) {
      Atomics.wait(this.#numbers, 0, 1, 1);
    }
  }

  #unlock(): void {
    Atomics.store(this.#numbers, 0, 0);
    Atomics.notify(this.#numbers, 0, 1);
  }
}
