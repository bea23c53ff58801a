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

  /** Ends it at once: what waits, and what still comes, is dropped. */
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
