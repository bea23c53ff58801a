/**
 * Peers that are streams: TCP, TLS and Unix sockets.
 *
 * @module
 */

import { untilAborted } from "../time/abortable.ts";
import {
  type InternetAddress,
  type StreamAddress,
  toSystemPath,
} from "../net/address.ts";
import { keepAlive, keepAliveLater } from "../net/keep_alive.ts";
import type { TlsTrust } from "../net/tls_trust.ts";
import type { Peer } from "./peer.ts";
import { cancelSharedTimer, type SharedTimer } from "../time/shared_timers.ts";
import { type ByteConnection, openTls } from "./tls.ts";
import type { PeerPlace } from "./locate.ts";
import type { IncomingMessages } from "../websocket/engine.ts";

/** How what a service writes at once is handed over. */
interface Handover {
  /** As {@linkcode Peer.readsAll}. */
  readonly readsAll: boolean;
  /** As {@linkcode Peer.pieceSize}. */
  readonly pieceSize: number;
}

const tcp: Handover = { readsAll: true, pieceSize: Infinity };

/**
 * A read gives one record, which has at most 2^14 bytes (RFC 8446 section 5.1).
 * What is longer is sent in several, one after another.
 */
const tls: Handover = { readsAll: false, pieceSize: 16 * 1024 };

/**
 * Linux copies as much at a time, and wakes the reader after each: 32 KiB, and
 * what of a page of 4 KiB it does not need for itself.
 */
const unix: Handover = { readsAll: true, pieceSize: 36_544 };

/** Options for {@linkcode openStreamPeer}. */
export interface OpenStreamPeerOptions {
  /** Gives up when it is aborted. */
  readonly signal: AbortSignal;
  /** What is written before everything else, TLS included. */
  readonly preface: Uint8Array;
  /** Seconds of silence before TCP asks whether the peer is there; 0: never. */
  readonly keepAlive: number;
  /** Which certificates are trusted beside those of the public authorities. */
  readonly trust: TlsTrust;
}

/**
 * Opens a connection to a peer that is a stream. A name with several addresses
 * is tried with each of them until one answers.
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
      const connection = await connectUnix(toSystemPath(address.path), signal);
      return new StreamPeer(await begin(connection, preface), unix);
    }
    case "tcp": {
      const connection = await connectTcp(address, options);
      const timer = keepAliveLater(connection, options.keepAlive);
      return new StreamPeer(connection, tcp, timer);
    }
    case "tls":
      return new StreamPeer(
        await openTls(address.hostname, {
          ...options,
          connect: () => connectBelowTls(address, options),
        }),
        tls,
      );
  }
}

/** What TLS is spoken over can be told nothing any more once it is. */
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
  { signal, preface }: OpenStreamPeerOptions,
): Promise<Deno.TcpConn> {
  const { hostname, port, resolved = [hostname] } = address;
  if (port === undefined) throw new TypeError("the address names no port");
  const connection = await connectToOne(resolved, port, signal);
  // Messages are written as they come; to hold back the last of several would
  // only delay it.
  connection.setNoDelay(true);
  return await begin(connection, preface);
}

/** Connects to the first host that answers. */
async function connectToOne(
  hostnames: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  let failure: unknown;
  for (const hostname of hostnames) {
    try {
      return await connectUntilAborted({ hostname, port }, signal);
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}

/** Milliseconds that a connection which is not wanted any longer has to be made, and closed. */
const lateTimeout = 1000;

/**
 * Deno loses the socket when its own signal is aborted in the moment in which
 * the connection is made: it is aborted only some time after.
 */
function connectUntilAborted(
  options: { readonly hostname: string; readonly port: number },
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  function abortLate(): void {
    timer = setTimeout(() => late.abort(), lateTimeout);
  }
  function settle(): void {
    clearTimeout(timer);
    signal.removeEventListener("abort", abortLate);
  }
  const connecting = Deno.connect({ ...options, signal: late.signal });
  signal.addEventListener("abort", abortLate, { once: true });
  connecting.then(settle, settle);
  return untilAborted(connecting, signal, (late) => late.close());
}

/** Writes what is to be written first; there is room for it in a new connection. */
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

/** `Deno.connect` takes no signal for Unix sockets. */
function connectUnix(
  path: string,
  signal: AbortSignal,
): Promise<Deno.UnixConn> {
  const connecting = Deno.connect({ transport: "unix", path });
  return untilAborted(connecting, signal, (late) => late.close());
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

  async write({ data }: IncomingMessages): Promise<void> {
    let rest = data;
    while (rest.length > 0) {
      const count = await this.#connection.write(rest);
      this.written += count;
      if (count === rest.length) return;
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
