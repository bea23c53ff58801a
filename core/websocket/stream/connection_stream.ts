/**
 * A client's connection without TLS, read and written with nothing between.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { giveWay } from "../../memory/read_budget.ts";
import { giveMemory, headroom, takeMemory } from "../../memory/buffer_pool.ts";
import { ReadSize } from "../../memory/read_size.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
} from "../../time/shared_timers.ts";
import {
  type ByteStream,
  type ByteStreamHandler,
  highWaterMark,
} from "./byte_stream.ts";
import type { BegunRead, DetachedConnection } from "./http_connection.ts";

/** Writes that wait are joined to one as long as they come to no more than this many bytes. */
const joinLimit = 16 * 1024;

/** A write that waits. */
interface Write {
  readonly bytes: Uint8Array;
  readonly sent: (() => void) | undefined;
}

/** What was read. */
interface Chunk {
  readonly bytes: Uint8Array;
  /** The memory that it lies in, if that can be used again. */
  readonly memory: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * A `Deno.Conn` as a {@linkcode ByteStream}. It reads into memory that others
 * use as well, and whose size follows the traffic: one piece of it, and another
 * while chunks are taken more slowly than they come.
 */
export class ConnectionStream implements ByteStream {
  pending = 0;
  sent = 0;
  isFull = false;
  isClosed = false;
  hasEnded = false;
  #connection: Deno.Conn;
  #onReleased: () => void;
  #handler: ByteStreamHandler | undefined;
  #begun: BegunRead | undefined;
  #keepAlive: SharedTimer | undefined;
  /** Resolves when the read that has begun has ended. */
  #reading: Promise<void> | undefined;
  #isDropping = false;
  #readSize = new ReadSize();
  /** Chunks that wait: one, or two where the first came with the request. */
  #held: Chunk[] = [];
  /** Memory of the chunk that was taken last. */
  #lent: Uint8Array<ArrayBuffer> | undefined;
  #writes: Write[] = [];
  /** How many of them are being sent. */
  #joined = 0;
  #isWriting = false;
  #isEnding = false;
  /** Our side has ended, and everything before is sent. */
  #wroteEnd = false;
  #closesSoon = false;

  /**
   * Constructs a new instance.
   *
   * @param detached The connection, which it owns from then on.
   * @param head What was read of it before.
   */
  constructor(detached: DetachedConnection, head: Uint8Array) {
    const { connection, begun, keepAlive, onReleased } = detached;
    this.#connection = connection;
    this.#keepAlive = keepAlive;
    this.#onReleased = onReleased;
    this.#begun = begun;
    if (head.length > 0) this.#held.push({ bytes: head, memory: undefined });
  }

  get isWaiting(): boolean {
    return this.#held.length > 0;
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    this.#reading = this.#read();
  }

  next(): Uint8Array | undefined {
    if (this.#lent !== undefined) giveMemory(this.#lent);
    const chunk = this.#held.length > 0 ? this.#held.shift() : undefined;
    this.#lent = chunk?.memory;
    return chunk?.bytes;
  }

  more(): Promise<void> {
    this.readAhead();
    return this.#reading ?? Promise.resolve();
  }

  readAhead(): void {
    if (this.#reading || this.hasEnded || this.isWaiting) return;
    this.#reading = this.#read();
  }

  drop(): void {
    this.#isDropping = true;
    this.#held = [];
    this.readAhead();
  }

  write(bytes: Uint8Array): boolean {
    this.#queue(bytes, undefined);
    return !this.isFull;
  }

  transfer(bytes: Uint8Array): Promise<void> {
    if (this.#isWriting || this.isClosed || this.#isEnding) {
      return new Promise((resolve) => this.#queue(bytes, resolve));
    }
    this.#count(bytes.length);
    return this.#flush(bytes);
  }

  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (!this.#isWriting) this.#flush();
  }

  closeSoon(): void {
    this.#closesSoon = true;
    if (!this.#isWriting) this.close();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    cancelSharedTimer(this.#keepAlive);
    this.#connection.close();
    this.#onReleased();
    this.#onEnd("");
    // Those that are being sent may still be looked at: they end with the write.
    const waiting = this.#writes.splice(this.#isWriting ? this.#joined : 0);
    for (const { sent } of waiting) sent?.();
    this.pending = 0;
    this.#readSize.release();
    this.#handler?.onClose();
  }

  async #read(): Promise<void> {
    const { memory, count } = this.#begun ?? this.#begin();
    this.#begun = undefined;
    let length: number | null;
    try {
      length = await count;
    } catch (error) {
      giveMemory(memory);
      this.#fail(error);
      return;
    }
    const turn = giveWay(length ?? 0);
    if (turn !== undefined) await turn;
    this.#reading = undefined;
    if (this.isClosed) {
      giveMemory(memory);
    } else if (length === null) {
      giveMemory(memory);
      this.#onEnd("");
      if (this.#wroteEnd) this.close();
    } else {
      // The room for a header is read into as well.
      this.#readSize.follow(length - headroom);
      this.#handler!.onData();
      if (this.#isDropping) {
        giveMemory(memory);
        this.readAhead();
      } else {
        this.#held.push({ bytes: memory.subarray(0, length), memory });
      }
    }
  }

  #begin(): BegunRead {
    const memory = takeMemory(this.#readSize.bytes);
    return { memory, count: this.#connection.read(memory) };
  }

  #queue(bytes: Uint8Array, sent: (() => void) | undefined): void {
    if (this.isClosed || this.#isEnding) {
      sent?.();
      return;
    }
    this.#writes.push({ bytes, sent });
    this.#count(bytes.length);
    if (!this.#isWriting) this.#flush();
  }

  #count(length: number): void {
    this.pending += length;
    if (this.pending >= highWaterMark) this.isFull = true;
  }

  /**
   * Sends what waits, and ends our side if it is to end then.
   *
   * @param first What is sent before.
   */
  async #flush(first?: Uint8Array): Promise<void> {
    this.#isWriting = true;
    this.#joined = 0;
    try {
      for (
        let bytes = first ?? this.#join();
        bytes !== undefined;
        bytes = this.#join()
      ) {
        while (bytes.length > 0) {
          const count: number = await this.#connection.write(bytes);
          if (this.isClosed) return;
          this.pending -= count;
          this.sent += count;
          if (count === bytes.length) break;
          bytes = bytes.subarray(count);
        }
        this.#endJoined();
      }
      if (this.#closesSoon) this.close();
      else if (this.#isEnding && !this.#wroteEnd) {
        await this.#connection.closeWrite();
        this.#wroteEnd = true;
        if (this.#closesSoon || this.hasEnded) this.close();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isWriting = false;
      this.#endJoined();
    }
    if (!this.isFull || this.isClosed) return;
    this.isFull = false;
    this.#handler!.onDrain();
  }

  /** Tells that those which were sent together are, or never will be. */
  #endJoined(): void {
    for (const { sent } of this.#writes.splice(0, this.#joined)) sent?.();
    this.#joined = 0;
  }

  /** Takes the writes that wait, as far as they are joined to one. */
  #join(): Uint8Array | undefined {
    let count = 0;
    let length = 0;
    for (const { bytes } of this.#writes) {
      length += bytes.length;
      if (count > 0 && length > joinLimit) break;
      count++;
    }
    this.#joined = count;
    return count < 2
      ? this.#writes[0]?.bytes
      : Buffer.concat(this.#writes.slice(0, count).map(({ bytes }) => bytes));
  }

  #onEnd(reason: string): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#handler?.onGone(reason);
  }

  /** The connection is lost, unless it was closed by us. */
  #fail(error: unknown): void {
    if (this.isClosed) return;
    this.#onEnd(error instanceof Error ? error.message : String(error));
    this.close();
  }
}
