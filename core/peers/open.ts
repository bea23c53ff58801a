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
import { connectStream, openStreamPeer } from "./stream.ts";

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

/** A peer that a connection was made to, and nothing sent. */
export interface ReachedPeer {
  /**
   * Begins: sends what comes before everything else, TLS included.
   *
   * @param signal Aborts it; the connection is closed then.
   * @returns The peer.
   * @throws {Error} If it fails; the connection is closed then.
   */
  open(signal: AbortSignal): Promise<Peer>;
  /** Closes it in place of opening it. */
  close(): void;
}

/**
 * Connects to a peer, and sends nothing.
 *
 * @param given Its address, with a port where the transport has one.
 * @param options How to connect, and when to give up.
 * @returns What is connected; the caller opens or closes it.
 * @throws {Error} As {@linkcode openPeer}.
 */
export async function reachPeer(
  given: PeerAddress,
  options: OpenPeerOptions,
): Promise<ReachedPeer> {
  const address = withAbsolutePath(given);
  const { signal, allowed = "*" } = options;
  signal.throwIfAborted();
  try {
    const place = await locatePeer(address, allowed, signal);
    if (place.transport === "udp" || place.transport === "unix-dgram") {
      const peer = await openDatagramPeer(place, signal);
      return { open: () => Promise.resolve(peer), close: () => peer.close() };
    }
    const connection = await connectStream(place, signal);
    return {
      async open(signal: AbortSignal): Promise<Peer> {
        const { preface, keepAlive, trust } = withDefaults(options);
        try {
          return await openStreamPeer(place, {
            signal,
            preface,
            keepAlive,
            trust,
            connection,
          });
        } catch (error) {
          signal.throwIfAborted();
          throw explain(error, address);
        }
      },
      close: () => connection.close(),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, address);
  }
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
  const address = withAbsolutePath(given);
  const { signal, allowed, preface, keepAlive, trust } = withDefaults(options);
  signal.throwIfAborted();
  try {
    const place = allowed === "*"
      ? address
      : await locatePeer(address, allowed, signal);
    return place.transport === "udp" || place.transport === "unix-dgram"
      ? await openDatagramPeer(place, signal)
      : await openStreamPeer(place, { signal, preface, keepAlive, trust });
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, address);
  }
}

const nothing = new Uint8Array();

function withDefaults(
  {
    signal,
    allowed = "*",
    preface = nothing,
    keepAlive = 0,
    trust = {},
  }: OpenPeerOptions,
): Required<OpenPeerOptions> {
  return { signal, allowed, preface, keepAlive, trust };
}

function withAbsolutePath(address: PeerAddress): PeerAddress {
  return "path" in address
    ? { ...address, path: absolutePath(address.path) }
    : address;
}

function explain(cause: unknown, address: PeerAddress): Error {
  return new Error(`Cannot open peer ${formatAddress(address)}`, { cause });
}
