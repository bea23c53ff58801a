/**
 * What the `stream` engine needs of a client's connection once its request has
 * been read: bytes in, chunk by chunk, and bytes out.
 *
 * @module
 */

import type { Reader } from "../../memory/read_budget.ts";

/** While at least this many bytes wait to be sent, a stream is full. */
export const highWaterMark = 64 * 1024;

/** A connection to a client. */
export interface ByteStream {
  /** Whether a chunk waits, because they are taken more slowly than they come. */
  readonly isWaiting: boolean;
  /** Whether no chunk will follow those that wait. */
  readonly hasEnded: boolean;
  /** Whether the connection is released. */
  readonly isClosed: boolean;
  /** Bytes that wait to be sent. */
  readonly pending: number;
  /** Bytes that the system has taken so far. */
  readonly sent: number;
  /** Whether so much waits that {@linkcode ByteStreamHandler.onDrain} will follow. */
  readonly isFull: boolean;
  /** What decides how soon it has its turn among all who read. */
  readonly reader: Reader;
  /**
   * Begins to read, at most one chunk ahead of what is taken.
   *
   * @param handler Who is told what happens.
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
  /** Drops what waits, and what still comes. */
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

/** Who is told what happens on a {@linkcode ByteStream}. */
export interface ByteStreamHandler {
  /** Bytes have come from the client. */
  onData(): void;
  /** The client has taken what made the stream full. */
  onDrain(): void;
  /**
   * Nothing more will come from the client. It may be told more than once.
   *
   * @param reason Why the connection was lost; empty if the client ended it.
   */
  onGone(reason: string): void;
  /** The connection is released. */
  onClose(): void;
}
