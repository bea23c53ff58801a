/**
 * The interface of a client's connection after its request: bytes in, chunk by
 * chunk, and bytes out.
 *
 * @module
 */

import type { Reader } from "../../memory/read_budget.ts";

/** While at least this many bytes wait to be sent, a stream is full. */
export const highWaterMark = 64 * 1024;

/** A connection to a client. */
export interface ByteStream {
  /** Whether a chunk waits, because chunks arrive faster than they are taken. */
  readonly isWaiting: boolean;
  /** Whether no chunk will follow those that wait. */
  readonly hasEnded: boolean;
  /** Whether the connection is released. */
  readonly isClosed: boolean;
  /** Bytes that wait to be sent. */
  readonly pending: number;
  /** Bytes that the system has taken so far. */
  readonly sent: number;
  /**
   * Whether so many bytes wait that {@linkcode ByteStreamHandler.onDrain} will
   * follow.
   */
  readonly isFull: boolean;
  /** Its place among all readers, which take turns. */
  readonly reader: Reader;
  /**
   * Begins to read, at most one chunk ahead of what is taken.
   *
   * @param handler Receives what happens.
   */
  start(handler: ByteStreamHandler): void;
  /**
   * Takes the chunk that waits.
   *
   * @returns The chunk, or `undefined` if none does. Its bytes may be changed;
   * they are valid until the next call.
   */
  next(): Uint8Array | undefined;
  /**
   * Reads.
   *
   * @returns A promise that resolves when a chunk waits, or none will.
   */
  more(): Promise<void>;
  /** Reads on while the chunk that was taken last is still in use, so that an end is noticed. */
  readAhead(): void;
  /** Drops what waits, and what still arrives. */
  drop(): void;
  /**
   * Sends bytes. After the end of either side it does nothing.
   *
   * @param bytes The bytes; they must not be changed.
   * @returns Whether there is room for more.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * Sends bytes, as {@linkcode write} does.
   *
   * @returns A promise that resolves when they are sent, or will never be: they
   * may be changed from then on.
   */
  transfer(bytes: Uint8Array): Promise<void>;
  /** Ends our side, after what was written. */
  end(): void;
  /** Releases the connection once what was written is sent, or cannot be. */
  closeSoon(): void;
  /** Releases the connection at once. */
  close(): void;
}

/** Receives what happens on a {@linkcode ByteStream}. */
export interface ByteStreamHandler {
  /** Called when bytes have arrived from the client. */
  onData(): void;
  /** Called when the system has taken what made the stream full. */
  onDrain(): void;
  /**
   * Called when nothing more will arrive from the client; perhaps more than
   * once.
   *
   * @param reason Why the connection was lost; empty if the client ended it.
   */
  onGone(reason: string): void;
  /** Called when the connection is released. */
  onClose(): void;
}
