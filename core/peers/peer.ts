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
  /** Whether {@linkcode Peer.read} gives datagrams: each whole, none of them the end. */
  readonly isDatagram: boolean;
  /** Whether a read takes all that has arrived, as far as there is room for it. */
  readonly readsAll: boolean;
  /**
   * Bytes that are handed over at once at the most. Where so many were read, the
   * rest of what the service wrote may be on its way.
   */
  readonly pieceSize: number;
  /**
   * Reads what has arrived, waiting until something has.
   *
   * @param buffer Room for it.
   * @returns Number of bytes read, or `null` at the end of the stream.
   * @throws {Error} If the connection failed or was closed.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Writes messages, in order: to a stream their bytes, else each as a
   * datagram. It must not be called again before its promise has settled, and
   * the bytes of `messages` must not be changed before then.
   *
   * @returns A promise that resolves when the system has taken all of them.
   * @throws {CloseError} 1009 if a message is too large for a datagram.
   * @throws {Error} If the connection failed or was closed.
   */
  write(messages: IncomingMessages): Promise<void>;
  /** Bytes that the system has taken so far: whether a slow peer makes progress. */
  readonly written: number;
  /**
   * Tells the peer that nothing more will be written.
   *
   * @throws {Error} If the connection has failed.
   */
  closeWrite(): Promise<void>;
  /** Ends the connection; reads and writes that wait fail. A second call does nothing. */
  close(): void;
}
