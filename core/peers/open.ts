/**
 * Opens peers of all transports.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import { formatAddress, type PeerAddress } from "../net/address.ts";
import type { AllowedPeers } from "../net/allowed_peers.ts";
import type { TlsTrust } from "../net/tls_trust.ts";
import { openDatagramPeer } from "./datagram.ts";
import type { Peer } from "./peer.ts";
import { locatePeer } from "./locate.ts";
import { openStreamPeer } from "./stream.ts";

/** Options for {@linkcode openPeer}. */
export interface OpenPeerOptions {
  /** Aborts the attempt. */
  readonly signal: AbortSignal;
  /**
   * The peers that may be opened.
   *
   * @default {"*"}
   */
  readonly allowed?: AllowedPeers;
  /**
   * Bytes that are written to a stream peer before everything else, TLS
   * included.
   *
   * @default {new Uint8Array()}
   */
  readonly preface?: Uint8Array;
  /**
   * Seconds of silence before TCP probes the peer; 0: never.
   *
   * @default {0}
   */
  readonly keepAlive?: number;
  /**
   * Which certificates of a `tls` peer are trusted beside those of the public
   * authorities, and the name that they have.
   *
   * @default {{}}
   */
  readonly trust?: TlsTrust;
}

/**
 * Opens a connection to a peer.
 *
 * @param given Its address, with a port where the transport has one.
 * @param options How to connect, and when to give up.
 * @returns The connection; the caller closes it.
 * @throws {Error} If it cannot be opened: refused, unreachable, unknown name,
 * permission missing, not allowed; `signal`'s reason if that was aborted.
 */
export async function openPeer(
  given: PeerAddress,
  options: OpenPeerOptions,
): Promise<Peer> {
  const address = "path" in given
    ? { ...given, path: absolutePath(given.path) }
    : given;
  const {
    signal,
    allowed = "*",
    preface = new Uint8Array(),
    keepAlive = 0,
    trust = {},
  } = options;
  signal.throwIfAborted();
  try {
    const place = await locatePeer(address, allowed, signal);
    return place.transport === "udp" || place.transport === "unix-dgram"
      ? await openDatagramPeer(place, signal)
      : await openStreamPeer(place, { signal, preface, keepAlive, trust });
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`Cannot open peer ${formatAddress(address)}`, {
      cause: error,
    });
  }
}
