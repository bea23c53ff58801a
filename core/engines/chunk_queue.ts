/**
 * What is read of a socket, for someone who takes it chunk by chunk.
 *
 * @module
 */

import type { Duplex } from "node:stream";

/** Chunks may wait up to this many bytes before the socket is paused. */
const readAhead = 128 * 1024;

/** Reads a socket no faster than its chunks are taken. */
export class ChunkQueue {
  #socket: Duplex;
  #chunks: Uint8Array[] = [];
  #waiting = 0;
  #wanted: ((chunk: Uint8Array | undefined) => void) | undefined;
  #hasEnded = false;

  /**
   * Constructs a new instance.
   *
   * @param socket The socket; it is paused and resumed from here.
   */
  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Whether chunks wait, because they are taken more slowly than they come. */
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
    if (this.#wanted !== undefined) {
      const wanted = this.#wanted;
      this.#wanted = undefined;
      return wanted(chunk);
    }
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting >= readAhead) this.#socket.pause();
  }

  /**
   * Takes the next chunk. It must not be called again before its promise has
   * resolved.
   *
   * @returns The chunk, at once or when it has been read; `undefined` at the end.
   */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#waiting -= chunk.length;
      return chunk;
    }
    if (this.#hasEnded) return undefined;
    const { promise, resolve } = Promise.withResolvers<
      Uint8Array | undefined
    >();
    this.#wanted = resolve;
    if (this.#socket.isPaused()) this.#socket.resume();
    return promise;
  }

  /** Ends it, after the chunks that wait. */
  end(): void {
    this.#hasEnded = true;
    this.#wanted?.(undefined);
    this.#wanted = undefined;
  }

  /** Ends it at once: what waits, and what still comes, is dropped. */
  drop(): void {
    this.end();
    this.#chunks = [];
    this.#waiting = 0;
    this.#socket.resume();
  }
}
