/**
 * Reads and writes a client's connection with TLS, which is a `Duplex` of
 * Node.js.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import type { Reader } from "../../memory/read_budget.ts";
import { type ByteStream, type ByteStreamHandler } from "./byte_stream.ts";

/** A `Duplex` as a {@linkcode ByteStream}. */
export class DuplexStream implements ByteStream {
  readonly reader: Reader;
  #stream: Duplex;
  #chunks: ChunkQueue;
  #written = 0;

  /**
   * Constructs a new instance.
   *
   * @param stream The stream, which it owns from then on.
   * @param head What was read of it before.
   * @param reader Identifies the connection below it to the read budget.
   */
  constructor(stream: Duplex, head: Uint8Array, reader: Reader) {
    this.#stream = stream;
    this.reader = reader;
    this.#chunks = new ChunkQueue(stream);
    if (head.length > 0) this.#chunks.push(head);
  }

  get isWaiting(): boolean {
    return this.#chunks.isWaiting;
  }

  get hasEnded(): boolean {
    return this.#chunks.hasEnded;
  }

  get isClosed(): boolean {
    return this.#stream.destroyed;
  }

  get pending(): number {
    return this.#stream.writableLength;
  }

  get sent(): number {
    return this.#written - this.pending;
  }

  get isFull(): boolean {
    return this.#stream.writableNeedDrain;
  }

  start(handler: ByteStreamHandler): void {
    const gone = (reason: string): void => {
      if (this.#chunks.hasEnded) return;
      handler.onGone(reason);
      this.#chunks.end();
    };
    this.#stream.on("data", (chunk: Uint8Array) => {
      handler.onData();
      this.#chunks.push(chunk);
    });
    this.#stream.on("drain", () => handler.onDrain());
    this.#stream.on("end", () => gone(""));
    this.#stream.on("error", (error) => gone(error.message));
    this.#stream.on("close", () => {
      gone("");
      handler.onClose();
    });
  }

  next(): Uint8Array | undefined {
    return this.#chunks.next();
  }

  more(): Promise<void> {
    return this.#chunks.more();
  }

  /** A TLS socket always reads ahead. */
  readAhead(): void {}

  drop(): void {
    this.#chunks.drop();
  }

  write(bytes: Uint8Array): boolean {
    this.#written += bytes.length;
    return this.#stream.write(bytes);
  }

  transfer(bytes: Uint8Array): Promise<void> {
    this.#written += bytes.length;
    return new Promise((resolve) => {
      this.#stream.write(bytes, () => resolve());
    });
  }

  end(): void {
    this.#stream.end();
  }

  closeSoon(): void {
    this.#stream.end(() => this.#stream.destroy());
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** Most bytes of waiting chunks before the socket is paused. */
const readAhead = 128 * 1024;

/** Reads a socket no faster than its chunks are taken. */
class ChunkQueue {
  #socket: Duplex;
  #chunks: Uint8Array[] = [];
  #waiting = 0;
  #wanted: (() => void) | undefined;
  #hasEnded = false;

  /**
   * Constructs a new instance.
   *
   * @param socket The socket; it is paused and resumed from here.
   */
  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Whether chunks wait, because they arrive faster than they are taken. */
  get isWaiting(): boolean {
    return this.#chunks.length > 0;
  }

  /** Whether no chunk will follow those that wait. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Adds a chunk that was read.
   *
   * @param chunk The bytes; nothing is done after the end.
   */
  push(chunk: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting >= readAhead) this.#socket.pause();
    this.#tell();
  }

  /**
   * Takes the chunk that waits.
   *
   * @returns The chunk; `undefined` if none does.
   */
  next(): Uint8Array | undefined {
    const chunk = this.#chunks.shift();
    this.#waiting -= chunk?.length ?? 0;
    return chunk;
  }

  /**
   * Reads on. It must not be called again before its promise has resolved.
   *
   * @returns A promise that resolves when a chunk waits, or none will.
   */
  more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = resolve;
      if (this.isWaiting || this.#hasEnded) this.#tell();
      else if (this.#socket.isPaused()) this.#socket.resume();
    });
  }

  /** Ends it, after the chunks that wait. */
  end(): void {
    this.#hasEnded = true;
    this.#tell();
  }

  /** Ends it at once, and drops what waits and what still arrives. */
  drop(): void {
    this.end();
    this.#chunks = [];
    this.#waiting = 0;
    this.#socket.resume();
  }

  #tell(): void {
    this.#wanted?.();
    this.#wanted = undefined;
  }
}
