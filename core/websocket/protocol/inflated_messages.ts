/**
 * Where the messages of a read lie that came compressed.
 *
 * @module
 */

import type { IncomingMessages } from "../engine.ts";

/** Bytes: the smallest buffer. */
const leastCapacity = 1024;

/** Messages one after another, in one buffer that grows as they are written to it. */
export class InflatedMessages {
  /** The buffer; bytes from {@linkcode length} on are free. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** Bytes in use: those of all messages, and of the one that is being written. */
  length = 0;

  #ends: number[] = [];
  #turns: number[] | undefined;
  #lastIsText = false;

  /** Bytes of the message that is being written. */
  get written(): number {
    return this.length - (this.#ends.at(-1) ?? 0);
  }

  /**
   * Makes room.
   *
   * @param size How many bytes are to be free.
   */
  reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(
      Math.max(needed, 2 * this.length, leastCapacity),
    );
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /** The message that is being written, as far as it has been. */
  last(): Uint8Array {
    return this.bytes.subarray(this.length - this.written, this.length);
  }

  /**
   * Ends the message that is being written.
   *
   * @param isText Whether it is text.
   */
  end(isText: boolean): void {
    if (isText !== this.#lastIsText) {
      this.#lastIsText = isText;
      (this.#turns ??= []).push(this.#ends.length);
    }
    this.#ends.push(this.length);
  }

  /**
   * Hands the messages out, and drops one that is not ended.
   *
   * @returns The messages; `undefined` if there are none.
   */
  take(): IncomingMessages | undefined {
    const ends = this.#ends;
    if (ends.length === 0) return undefined;
    const data = this.bytes.subarray(0, ends.at(-1));
    const turns = this.#turns;
    return turns === undefined ? { data, ends } : { data, ends, turns };
  }
}
