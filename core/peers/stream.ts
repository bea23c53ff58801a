/**
 * Stream peers: TCP, TLS and Unix sockets.
 *
 * @module
 */

import {
  type InternetAddress,
  type StreamAddress,
  toSystemPath,
} from "../net/address.ts";
import {
  dialTcp,
  dialUnix,
  keepAlive,
  keepAliveLater,
} from "../net/connection.ts";
import type { TlsTrust } from "../net/tls_trust.ts";
import type { Peer } from "./peer.ts";
import { cancelSharedTimer, type SharedTimer } from "../time/shared_timers.ts";
import { type ByteConnection, openTls } from "./tls.ts";
import { NoneReached, reachFirst } from "./first.ts";
import type { PeerPlace } from "./locate.ts";
import type { IncomingMessages } from "../websocket/engine.ts";

/** How one write of a service arrives. */
interface Handover {
  /** As {@linkcode Peer.readsAll}. */
  readonly readsAll: boolean;
  /** As {@linkcode Peer.pieceSize}. */
  readonly pieceSize: number;
}

const tcp: Handover = { readsAll: true, pieceSize: Infinity };

/**
 * A read returns one record, which has at most 2^14 bytes (RFC 8446 section
 * 5.1). Longer data arrives in several records.
 */
const tls: Handover = { readsAll: false, pieceSize: 16 * 1024 };

/**
 * Linux copies so much at a time, and wakes the reader after each: 32 KiB, and
 * the part of a page of 4 KiB that it does not need itself.
 */
const unix: Handover = { readsAll: true, pieceSize: 36_544 };

/** Options for {@linkcode openStreamPeer}. */
export interface OpenStreamPeerOptions {
  /** Aborts the attempt. */
  readonly signal: AbortSignal;
  /** Bytes that are written before everything else, TLS included. */
  readonly preface: Uint8Array;
  /** Seconds of silence before TCP probes the peer; 0: never. */
  readonly keepAlive: number;
  /** Which certificates are trusted beside those of the public authorities. */
  readonly trust: TlsTrust;
  /** A connection that is already made, over which nothing was sent. */
  readonly connection?: StreamConnection | undefined;
}

/** A connection to a stream peer, without TLS. */
export type StreamConnection = Deno.TcpConn | Deno.UnixConn;

/**
 * Connects to a stream peer, and sends nothing.
 *
 * @param address Its address.
 * @param signal Aborts the attempt.
 * @returns The connection.
 * @throws {Error} If there is none.
 */
export async function connectStream(
  address: PeerPlace<StreamAddress>,
  signal: AbortSignal,
): Promise<StreamConnection> {
  return address.transport === "unix"
    ? await dialUnix(toSystemPath(address.path), signal)
    : await connectInternet(address, signal);
}

/**
 * Opens a connection to a stream peer. If its name has several addresses, they
 * are tried one after another, each with a head start, until one answers.
 *
 * @param address Its address.
 * @param options When to give up, and what is written first.
 * @returns The connection.
 * @throws {Error} If it cannot be opened.
 */
export async function openStreamPeer(
  address: PeerPlace<StreamAddress>,
  options: OpenStreamPeerOptions,
): Promise<Peer> {
  const { signal, preface } = options;
  switch (address.transport) {
    case "unix": {
      const connection = options.connection ??
        await dialUnix(toSystemPath(address.path), signal);
      return new StreamPeer(await begin(connection, preface), unix);
    }
    case "tcp": {
      const connection = await connectTcp(address, options);
      const timer = keepAliveLater(connection, options.keepAlive);
      return new StreamPeer(connection, tcp, timer);
    }
    case "tls":
      return new StreamPeer(await openTlsOver(address, options), tls);
  }
}

async function openTlsOver(
  address: PeerPlace<InternetAddress>,
  options: OpenStreamPeerOptions,
): Promise<ByteConnection> {
  let { connection } = options;
  function connect(): Promise<Deno.TcpConn> {
    const made = connection;
    // TLS may have to start again.
    connection = undefined;
    return connectBelowTls(address, { ...options, connection: made });
  }
  try {
    return await openTls(address.hostname, { ...options, connect });
  } finally {
    // It failed before it needed one.
    connection?.close();
  }
}

/**
 * Keep-alive must be set before TLS starts, which takes the connection over.
 */
async function connectBelowTls(
  address: PeerPlace<InternetAddress>,
  options: OpenStreamPeerOptions,
): Promise<Deno.TcpConn> {
  const connection = await connectTcp(address, options);
  keepAlive(connection, options.keepAlive);
  return connection;
}

async function connectTcp(
  address: PeerPlace<InternetAddress>,
  { signal, preface, connection: made }: OpenStreamPeerOptions,
): Promise<Deno.TcpConn> {
  const connection = made === undefined
    ? await connectInternet(address, signal)
    : made as Deno.TcpConn;
  // Messages are written as they come: Nagle's algorithm would only delay the
  // last of several.
  connection.setNoDelay(true);
  return await begin(connection, preface);
}

function connectInternet(
  { hostname, port, resolved = [hostname] }: PeerPlace<InternetAddress>,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  if (port === undefined) throw new TypeError("the address names no port");
  return connectToOne(resolved, port, signal);
}

/** Connects to the first host that answers; one that hangs does not take all the time. */
async function connectToOne(
  hostnames: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const [first] = hostnames;
  if (hostnames.length === 1) {
    return await dialTcp({ hostname: first!, port }, signal);
  }
  let failure: unknown;
  try {
    const { reached } = await reachFirst([...hostnames.keys()], {
      signal,
      reach: (index, signal) =>
        dialTcp({ hostname: hostnames[index]!, port }, signal),
      close: (late) => late.close(),
      fail: (_, error): void => {
        failure = error;
      },
    });
    return reached;
  } catch (error) {
    throw error instanceof NoneReached ? failure : error;
  }
}

/** Writes the first bytes, which always fit into a new connection. */
async function begin<T extends Deno.Conn>(
  connection: T,
  preface: Uint8Array,
): Promise<T> {
  try {
    let rest = preface;
    while (rest.length > 0) {
      rest = rest.subarray(await connection.write(rest));
    }
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

class StreamPeer implements Peer {
  readonly minimumRead = 1;
  readonly isDatagram = false;
  readonly readsAll: boolean;
  readonly pieceSize: number;
  written = 0;
  #connection: ByteConnection;
  #keepAlive: SharedTimer | undefined;
  #closed = false;

  constructor(
    connection: ByteConnection,
    { readsAll, pieceSize }: Handover,
    keepAlive?: SharedTimer,
  ) {
    this.#connection = connection;
    this.#keepAlive = keepAlive;
    this.readsAll = readsAll;
    this.pieceSize = pieceSize;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#connection.read(buffer);
  }

  write({ data }: IncomingMessages): Promise<void> {
    if (data.length === 0) return Promise.resolve();
    // Nearly always, the system takes all at once: an async function would cost
    // more.
    return this.#connection.write(data).then((count) => {
      this.written += count;
      return count < data.length
        ? this.#writeRest(data.subarray(count))
        : undefined;
    });
  }

  async #writeRest(rest: Uint8Array): Promise<void> {
    while (rest.length > 0) {
      const count = await this.#connection.write(rest);
      this.written += count;
      rest = rest.subarray(count);
    }
  }

  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    cancelSharedTimer(this.#keepAlive);
    this.#connection.close();
  }
}
