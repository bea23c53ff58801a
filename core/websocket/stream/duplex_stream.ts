/**
 * A client's connection with TLS, which is a stream of Node.js.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { type ByteStream, type ByteStreamHandler } from "./byte_stream.ts";
import { ChunkQueue } from "./chunk_queue.ts";

/** A `Duplex` as a {@linkcode ByteStream}. */
export class DuplexStream implements ByteStream {
  #stream: Duplex;
  #chunks: ChunkQueue;
  #written = 0;

  /**
   * Constructs a new instance.
   *
   * @param stream The stream, which it owns from then on.
   * @param head What was read of it before.
   */
  constructor(stream: Duplex, head: Uint8Array) {
    this.#stream = stream;
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

  /** It reads ahead by itself. */
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
