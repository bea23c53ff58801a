/**
 * A peer: the socket that a WebSocket is connected to.
 *
 * @module
 */

import type { IncomingMessages } from "../websocket/engine.ts";

/** A connection to a peer. */
export interface Peer {
  /**
   * The least room, in bytes, that a read needs so that nothing is cut off: 1
   * for streams, the largest datagram for datagrams.
   */
  readonly minimumRead: number;
  /**
   * Whether {@linkcode Peer.read} returns datagrams: each whole, and without an
   * end.
   */
  readonly isDatagram: boolean;
  /** Whether a read returns all bytes that have arrived and fit. */
  readonly readsAll: boolean;
  /**
   * Most bytes that arrive at once. After a read of so many, the rest of the
   * service's write may still follow.
   */
  readonly pieceSize: number;
  /**
   * Reads the bytes that have arrived, or waits for some.
   *
   * @param buffer Room for it.
   * @returns Number of bytes read, or `null` at the end of the stream.
   * @throws {Error} If the connection failed or was closed.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Writes messages, in order: their bytes to a stream peer, otherwise each as
   * a datagram. It must not be called again before its promise has settled, and
   * the bytes of `messages` must not be changed before then.
   *
   * @returns A promise that resolves when the system has taken all of them.
   * @throws {CloseError} 1009 if a message is too large for a datagram.
   * @throws {Error} If the connection failed or was closed.
   */
  write(messages: IncomingMessages): Promise<void>;
  /**
   * Bytes that the system has taken so far, which shows whether a slow peer
   * makes progress.
   */
  readonly written: number;
  /**
   * Closes the writing side: the peer gets no further data.
   *
   * @throws {Error} If the connection has failed.
   */
  closeWrite(): Promise<void>;
  /**
   * Closes the connection; pending reads and writes fail. A second call does
   * nothing.
   */
  close(): void;
}
