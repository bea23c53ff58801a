/**
 * Numbers that look random and come again with the same seed, for tests.
 *
 * @module
 */

/** A generator of numbers. */
export class Random {
  #state: number;

  /** @param seed Unsigned 32-bit integer. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 to `limit`, which it is not. */
  below(limit: number): number {
    // Mulberry32: a counter, mixed.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  /** Whether something of a probability happens. */
  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000;
  }

  /** One of some. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** Bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/**
 * The seed of a run: from the environment variable `WEBSOCKSY_SEED`, to have
 * the same run again, or a new one.
 */
export function chooseSeed(): number {
  const text = Deno.env.get("WEBSOCKSY_SEED") ?? "";
  if (text === "") return crypto.getRandomValues(new Uint32Array(1))[0]!;
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new RangeError(
      `Cannot start a run: WEBSOCKSY_SEED is "${text}", not an unsigned 32-bit integer`,
    );
  }
  return seed;
}
