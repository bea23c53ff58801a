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

  next(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#chunks.next();
  }

  /** It reads ahead by itself. */
  readAhead(): void {}

  drop(): void {
    this.#chunks.drop();
  }

  write(bytes: Uint8Array, sent?: () => void): boolean {
    return this.#stream.write(bytes, sent);
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
