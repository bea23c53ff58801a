/**
 * A client's connection without TLS, read and written with nothing between.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  giveMemory,
  nextReadSize,
  smallestRead,
  takeMemory,
} from "../read_buffer.ts";
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
 * A `Deno.Conn` as a {@linkcode ByteStream}. It reads into memory of its own,
 * whose size follows the traffic; two pieces of it take turns while chunks are
 * taken more slowly than they come.
 */
export class ConnectionStream implements ByteStream {
  pending = 0;
  isFull = false;
  isClosed = false;
  hasEnded = false;
  #connection: Deno.Conn;
  #handler: ByteStreamHandler | undefined;
  #begun: BegunRead | undefined;
  #isReading = false;
  #isDropping = false;
  #readSize = smallestRead;
  /** Chunks that wait: one, or two where the first came with the request. */
  #held: Chunk[] = [];
  /** Memory of the chunk that was taken last. */
  #lent: Uint8Array<ArrayBuffer> | undefined;
  /** Memory that nobody uses. */
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #wanted: ((chunk: Uint8Array | undefined) => void) | undefined;
  #writes: Write[] = [];
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
  constructor({ connection, begun }: DetachedConnection, head: Uint8Array) {
    this.#connection = connection;
    this.#begun = begun;
    if (head.length > 0) this.#held.push({ bytes: head, memory: undefined });
  }

  get isWaiting(): boolean {
    return this.#held.length > 0;
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    this.#read();
  }

  next(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    this.#spare = this.#lent ?? this.#spare;
    this.#lent = undefined;
    const chunk = this.#held.shift();
    if (chunk !== undefined) {
      this.#lent = chunk.memory;
      return chunk.bytes;
    }
    if (this.hasEnded) return undefined;
    const { promise, resolve } = Promise.withResolvers<
      Uint8Array | undefined
    >();
    this.#wanted = resolve;
    this.readAhead();
    return promise;
  }

  readAhead(): void {
    if (this.#isReading || this.hasEnded || this.isWaiting) return;
    this.#read();
  }

  drop(): void {
    this.#isDropping = true;
    this.#held = [];
    this.#give(undefined);
    this.readAhead();
  }

  write(bytes: Uint8Array, sent?: () => void): boolean {
    if (this.isClosed || this.#isEnding) {
      sent?.();
      return true;
    }
    this.pending += bytes.length;
    this.#writes.push({ bytes, sent });
    if (!this.#isWriting) this.#flush();
    if (this.pending >= highWaterMark) this.isFull = true;
    return !this.isFull;
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
    this.#connection.close();
    this.#onEnd("");
    for (const { sent } of this.#writes.splice(0)) sent?.();
    this.pending = 0;
    if (this.#spare !== undefined) giveMemory(this.#spare);
    this.#spare = undefined;
    this.#handler?.onClose();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
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
    this.#isReading = false;
    if (this.isClosed) {
      giveMemory(memory);
    } else if (length === null) {
      giveMemory(memory);
      this.#onEnd("");
      if (this.#wroteEnd) this.close();
    } else {
      this.#readSize = nextReadSize(this.#readSize, length);
      this.#handler!.onData();
      if (this.#isDropping) {
        this.#spare = memory;
        this.readAhead();
      } else {
        this.#give({ bytes: memory.subarray(0, length), memory });
      }
    }
  }

  #begin(): BegunRead {
    const memory = takeMemory(this.#readSize, this.#spare);
    this.#spare = undefined;
    return { memory, count: this.#connection.read(memory) };
  }

  /** Gives a chunk to whoever waits for it, or keeps it; `undefined` is the end. */
  #give(chunk: Chunk | undefined): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted !== undefined) {
      this.#lent = chunk?.memory;
      wanted(chunk?.bytes);
    } else if (chunk !== undefined) this.#held.push(chunk);
  }

  async #flush(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#writes.length > 0) {
        const count = this.#countToJoin();
        await this.#writeAll(
          count === 1 ? this.#writes[0]!.bytes : Buffer.concat(
            this.#writes.slice(0, count).map(({ bytes }) => bytes),
          ),
        );
        if (this.isClosed) return;
        for (const { sent } of this.#writes.splice(0, count)) sent?.();
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
    }
    if (!this.isFull || this.isClosed) return;
    this.isFull = false;
    this.#handler!.onDrain();
  }

  /** How many writes are joined to the next one. */
  #countToJoin(): number {
    let count = 0;
    let length = 0;
    for (const { bytes } of this.#writes) {
      length += bytes.length;
      if (count > 0 && length > joinLimit) break;
      count++;
    }
    return count;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0 && !this.isClosed;) {
      const count = await this.#connection.write(rest);
      this.pending -= count;
      rest = rest.subarray(count);
    }
  }

  #onEnd(reason: string): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#handler?.onGone(reason);
    this.#give(undefined);
  }

  /** The connection is lost, unless it was closed by us. */
  #fail(error: unknown): void {
    if (this.isClosed) return;
    this.#onEnd(error instanceof Error ? error.message : String(error));
    this.close();
  }
}
