/**
 * The services that a bridge under test connects to, in a worker of the load
 * generator: a port for each, so that nothing needs to be agreed upon. It
 * posts a {@linkcode PeerReady} once, and `null` whenever as much has arrived
 * as was asked for in {@linkcode PeerCounter.Wanted}.
 *
 * @module
 */

import { repeat } from "./frames.ts";
import { currentThread } from "./process.ts";

/** Bytes that are read or written at a time. */
export const BLOCK_SIZE = 256 * 1024;

/** A line of 80 bytes, its end included. */
export const LINE = new TextEncoder().encode("l".repeat(78) + "\r\n");

/**
 * The services: `source` sends bytes without end, `lines` lines of 80 bytes,
 * `sink` takes and counts, `echo` sends back, `greet` sends one byte and waits.
 */
export type Service = "source" | "lines" | "sink" | "echo" | "greet";

/** What the worker posts when its services listen. */
export interface PeerReady {
  /** Port of each service, on 127.0.0.1. */
  readonly ports: Readonly<Record<Service, number>>;
  /** Thread id of the worker. */
  readonly thread: number;
}

/** Places in the counters that the worker shares with its owner. */
export const PeerCounter = {
  /** Bytes that `sink` has received. */
  Received: 0,
  /** Number of received bytes at which the worker posts `null`; 0: never. */
  Wanted: 1,
  /** Number of counters. */
  Count: 2,
} as const;

interface WorkerScope {
  onmessage: ((event: MessageEvent<SharedArrayBuffer>) => void) | null;
  postMessage(message: PeerReady | null): void;
}

// Only in a worker: the constants above are imported by its owner, too.
if (typeof WorkerGlobalScope !== "undefined") {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = ({ data }) => serve(scope, new BigInt64Array(data));
}

declare const WorkerGlobalScope: unknown;

function serve(scope: WorkerScope, counters: BigInt64Array): void {
  const bytes = new Uint8Array(BLOCK_SIZE).fill(0x78);
  const lines = repeat(LINE, BLOCK_SIZE);
  const ports = {
    source: listen((connection) => send(connection, bytes)),
    lines: listen((connection) => send(connection, lines)),
    sink: listen((connection) => sink(connection, counters, scope)),
    echo: listen(echo),
    greet: listen(greet),
  };
  scope.postMessage({ ports, thread: currentThread() });
}

function listen(serve: (connection: Deno.TcpConn) => Promise<void>): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void acceptAll(listener, serve);
  return listener.addr.port;
}

async function acceptAll(
  listener: Deno.TcpListener,
  serve: (connection: Deno.TcpConn) => Promise<void>,
): Promise<void> {
  while (true) {
    try {
      const connection = await listener.accept();
      connection.setNoDelay(true);
      // A bridge may end a connection in any way: that is no failure of the
      // peer's, and the client sees what is missing.
      serve(connection).catch(() => {}).finally(() => connection.close());
    } catch (error) {
      // The bridge has reset the connection before it could be accepted.
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }
}

async function send(connection: Deno.Conn, block: Uint8Array): Promise<void> {
  while (true) await writeAll(connection, block);
}

async function sink(
  connection: Deno.Conn,
  counters: BigInt64Array,
  scope: WorkerScope,
): Promise<void> {
  const buffer = new Uint8Array(BLOCK_SIZE);
  while (true) {
    const count = await connection.read(buffer);
    if (count === null) return;
    const received = BigInt(count) +
      Atomics.add(counters, PeerCounter.Received, BigInt(count));
    const wanted = Atomics.load(counters, PeerCounter.Wanted);
    if (wanted !== 0n && received >= wanted) {
      Atomics.store(counters, PeerCounter.Wanted, 0n);
      scope.postMessage(null);
    }
  }
}

async function echo(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  while (true) {
    const count = await connection.read(buffer);
    if (count === null) return;
    await writeAll(connection, buffer.subarray(0, count));
  }
}

async function greet(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(16);
  await writeAll(connection, Uint8Array.of(0x21));
  while (await connection.read(buffer) !== null);
}

/** Writes all of a block; the first write seldom takes less. */
export async function writeAll(
  connection: Deno.Conn,
  block: Uint8Array,
): Promise<void> {
  let written = await connection.write(block);
  while (written < block.length) {
    written += await connection.write(block.subarray(written));
  }
}
