/**
 * A peer: the socket that a WebSocket is connected to, and how it is opened.
 *
 * @module
 */

import { formatAddress, type PeerAddress } from "./address.ts";
import type { AllowedPeers } from "./allow_peer.ts";
import { openDatagramPeer } from "./datagram_peer.ts";
import { locatePeer } from "./peer_gate.ts";
import { openStreamPeer } from "./stream_peer.ts";
import type { IncomingMessages } from "../websocket.ts";

/** A connection to a peer. */
export interface Peer {
  /**
   * The least room, in bytes, that a read needs so that nothing is cut off: 1
   * for streams, the largest datagram for datagrams.
   */
  readonly minimumRead: number;
  /** Whether {@linkcode Peer.read} gives datagrams: each whole, none of them the end. */
  readonly isDatagram: boolean;
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

/** Options for {@linkcode openPeer}. */
export interface OpenPeerOptions {
  /** Gives up when it is aborted. */
  readonly signal: AbortSignal;
  /**
   * The peers that may be opened.
   *
   * @default {"*"}
   */
  readonly allowed?: AllowedPeers;
  /**
   * What is written to a stream before everything else, TLS included.
   *
   * @default {new Uint8Array()}
   */
  readonly preface?: Uint8Array;
}

/**
 * Opens a connection to a peer.
 *
 * @param address Its address, with a port where the transport has one.
 * @param options When to give up.
 * @returns The connection; whoever asked for it closes it.
 * @throws {Error} If it cannot be opened: refused, unreachable, unknown name,
 * permission missing, not allowed; `signal`'s reason if that was aborted.
 */
export async function openPeer(
  address: PeerAddress,
  options: OpenPeerOptions,
): Promise<Peer> {
  const { signal, allowed = "*", preface = new Uint8Array() } = options;
  signal.throwIfAborted();
  try {
    const place = await locatePeer(address, allowed, signal);
    return place.transport === "udp" || place.transport === "unix-dgram"
      ? await openDatagramPeer(place, signal)
      : await openStreamPeer(place, { signal, preface });
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`Cannot open peer ${formatAddress(address)}`, {
      cause: error,
    });
  }
}
