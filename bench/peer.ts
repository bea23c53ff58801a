/**
 * The peer of a bridge under test, in a worker of the load generator: services
 * that listen on ports or paths of their own. It posts a {@linkcode PeerReady},
 * takes one {@linkcode Service} after another and posts where each listens; and
 * it posts `null` whenever as much has arrived as was asked for in
 * {@linkcode PeerCounter.Wanted}.
 *
 * @module
 */

import { BLOCK_SIZE, repeat, writeAll } from "./frames.ts";
import { listenDatagrams, listenStreams } from "./peer_listen.ts";
import { currentThread } from "./process.ts";
import { messageOf, type Service, type ServiceAddress } from "./services.ts";

/** What the worker is given at its start. */
export interface PeerStart {
  /** Memory of the counters, each a 64-bit integer. */
  readonly counters: SharedArrayBuffer;
  /** A directory for its files. */
  readonly directory: string;
}

/** What the worker posts when it has started. */
export interface PeerReady {
  /** Thread id of the worker. */
  readonly thread: number;
}

/** What the worker posts. */
export type PeerMessage =
  | PeerReady
  | ServiceAddress
  | { readonly error: string }
  | null;

/** Places in the counters that the worker shares with its owner. */
export const PeerCounter = {
  /** Bytes that `sink` has received. */
  Received: 0,
  /** Number of received bytes at which the worker posts `null`; 0: never. */
  Wanted: 1,
  /** Number of counters. */
  Count: 2,
} as const;

/** Bytes that `trickle` writes at a time, and milliseconds between two writes. */
const TRICKLE_SIZE = 1024;
const TRICKLE_INTERVAL = 0.05;

interface WorkerScope {
  onmessage: ((event: MessageEvent<PeerStart | Service>) => void) | null;
  postMessage(message: PeerMessage): void;
}

// Only in a worker: the constants above are imported by its owner, too.
if (typeof WorkerGlobalScope !== "undefined") {
  const scope = globalThis as unknown as WorkerScope;
  let start: PeerStart | undefined;
  scope.onmessage = async ({ data }) => {
    if ("counters" in data) {
      start = data;
      scope.postMessage({ thread: currentThread() });
      return;
    }
    try {
      scope.postMessage(await serve(data, start!, scope));
    } catch (error) {
      scope.postMessage({ error: (error as Error).message });
    }
  };
}

declare const WorkerGlobalScope: unknown;

function serve(
  service: Service,
  { counters, directory }: PeerStart,
  scope: WorkerScope,
): Promise<ServiceAddress> {
  const { transport } = service;
  if (transport === "udp" || transport === "unix-dgram") {
    if (service.kind !== "echo") {
      throw new TypeError(`Cannot serve datagrams: "${service.kind}"`);
    }
    return listenDatagrams(transport, directory, echoDatagrams);
  }
  return listenStreams(
    transport,
    directory,
    handlerOf(service, new BigInt64Array(counters), scope),
  );
}

function handlerOf(
  { kind, framing, size }: Service,
  counters: BigInt64Array,
  scope: WorkerScope,
): (connection: Deno.Conn) => Promise<void> {
  switch (kind) {
    case "source": {
      const block = repeat(messageOf(framing, size), BLOCK_SIZE);
      return (connection) => send(connection, block);
    }
    case "trickle": {
      const message = messageOf(framing, size);
      return (connection) => trickle(connection, message);
    }
    case "sink":
      return (connection) => sink(connection, counters, scope);
    case "echo":
      return echo;
    case "greet":
      return greet;
  }
}

async function send(connection: Deno.Conn, block: Uint8Array): Promise<void> {
  while (true) await writeAll(connection, block);
}

/**
 * Writes little at a time, and so slowly that the bridge reads as little. A
 * timer takes a millisecond at least: it is the clock that is watched instead.
 */
async function trickle(
  connection: Deno.Conn,
  message: Uint8Array,
): Promise<void> {
  let next = performance.now();
  while (true) {
    for (let at = 0; at < message.length; at += TRICKLE_SIZE) {
      while (performance.now() < next);
      next = Math.max(next, performance.now() - 1) + TRICKLE_INTERVAL;
      await writeAll(connection, message.subarray(at, at + TRICKLE_SIZE));
    }
  }
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

async function echoDatagrams(socket: Deno.DatagramConn): Promise<void> {
  const buffer = new Uint8Array(65536);
  while (true) {
    const [data, address] = await socket.receive(buffer);
    try {
      await socket.send(data, address);
    } catch {
      // The bridge has closed its socket.
    }
  }
}

async function greet(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(16);
  await writeAll(connection, Uint8Array.of(0x21));
  while (await connection.read(buffer) !== null);
}
