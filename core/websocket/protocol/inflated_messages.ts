/**
 * Where the messages of a read lie that came compressed.
 *
 * @module
 */

import type { IncomingMessages } from "../engine.ts";
import { lacksEnding } from "./ending.ts";

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
  /** Whether each message so far has the ending, and there is one. */
  #ended = true;

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
   * @param ending Bytes that are added to it if it does not end with them and
   * would not be too large with them; may be empty.
   * @param maxMessage Bytes that it may have at most.
   */
  end(isText: boolean, ending: Uint8Array, maxMessage: number): void {
    this.#end(ending, maxMessage);
    if (isText !== this.#lastIsText) {
      this.#lastIsText = isText;
      (this.#turns ??= []).push(this.#ends.length);
    }
    this.#ends.push(this.length);
  }

  #end(ending: Uint8Array, maxMessage: number): void {
    const { written } = this;
    const { length } = ending;
    if (length > 0) {
      const start = this.length - written;
      if (!lacksEnding(this.bytes, start, this.length, ending)) return;
      if (written + length <= maxMessage) {
        this.reserve(length);
        this.bytes.set(ending, this.length);
        this.length += length;
        return;
      }
    }
    this.#ended = false;
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
    return {
      data,
      ends,
      ...this.#turns !== undefined && { turns: this.#turns },
      ...this.#ended && { ended: true },
    };
  }
}
