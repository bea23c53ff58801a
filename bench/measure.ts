/**
 * One measurement of one bridge: a load is started, warms up, and is measured
 * between two moments.
 *
 * @module
 */

import { Client } from "./client.ts";
import { maskedFrame } from "./frames.ts";
import { type LoadOptions, RunningLoad } from "./loads.ts";
import type { PeerLink } from "./peer_link.ts";
import {
  machineSeconds,
  processorSeconds,
  residentBytes,
  threadSeconds,
} from "./process.ts";

/** What is to be measured. */
export interface LoadRequest extends Omit<LoadOptions, "load"> {
  /** The load, or `idle` for the memory of connections that do nothing. */
  readonly load: LoadOptions["load"] | "idle";
  /** Process id of the bridge. */
  readonly pid: number;
  /** Seconds that are measured. */
  readonly seconds: number;
  /** Seconds before them, which are not; more of them while the bridge is cold. */
  readonly warmUp: number;
  /** Seconds that a cold bridge is given at most to become warm. */
  readonly warmUpLimit: number;
  /** Whether to measure from the arrival of a message to that of another. */
  readonly whole: boolean;
}

/** What was measured. */
export interface Measurement {
  /** Units (bytes, messages, round trips, connections) that arrived. */
  readonly count: number;
  /** Seconds that it took. */
  readonly seconds: number;
  /** Processor seconds of the bridge and all processes that it started. */
  readonly bridge: number;
  /** Processor seconds of the generator's clients. */
  readonly client: number;
  /** Processor seconds of the generator's peer. */
  readonly peer: number;
  /** Processor seconds of the whole machine. */
  readonly machine: number;
  /** For idle connections: bytes of memory that the bridge has grown by; else 0. */
  readonly memory: number;
}

/** Clients that come and go before memory is measured, so that what is loaded once is loaded. */
const IDLE_WARM_UP = 20;
/**
 * Processor seconds from which on a bridge is warm. Those on V8 run several
 * times slower until their code has been compiled, and how long that takes
 * depends on how much of a processor they get.
 */
const WARM = 1;
const SETTLE_TIMEOUT = 6000;
const QUIET_TIMEOUT = 10_000;

/**
 * Puts a load on a bridge, and measures.
 *
 * @throws {Error} If a client fails, or what was sent does not arrive.
 */
export async function measure(
  request: LoadRequest,
  peer: PeerLink,
): Promise<Measurement> {
  const { load } = request;
  const result = load === "idle"
    ? await measureIdle(request, peer)
    : await measureLoad({ ...request, load }, peer);
  await becomesQuiet(request.pid);
  return result;
}

async function measureLoad(
  request: LoadRequest & LoadOptions,
  peer: PeerLink,
): Promise<Measurement> {
  const load = await RunningLoad.start(request, peer);
  try {
    await warmUp(request, load);
    if (request.whole) await load.grows();
    const before = sample(request.pid, peer, load.count());
    await load.run(request.seconds);
    if (request.whole) await load.grows();
    const after = sample(request.pid, peer, load.count());
    await load.stop();
    return difference(before, after, 0);
  } finally {
    load.close();
  }
}

async function warmUp(
  { pid, warmUp, warmUpLimit }: LoadRequest,
  load: RunningLoad,
): Promise<void> {
  const deadline = performance.now() + warmUpLimit * 1000;
  await load.run(warmUp);
  while (processorSeconds(pid) < WARM && performance.now() < deadline) {
    await load.run(0.1);
  }
}

async function measureIdle(
  request: LoadRequest,
  peer: PeerLink,
): Promise<Measurement> {
  for (const client of await openIdle(request, IDLE_WARM_UP)) {
    await client.leave();
  }
  await becomesQuiet(request.pid);
  const memory = await settledMemory(request.pid);
  const before = sample(request.pid, peer, 0);
  const clients = await openIdle(request, request.clients);
  try {
    const grown = await settledMemory(request.pid) - memory;
    const after = sample(request.pid, peer, clients.length);
    return difference(before, after, grown);
  } finally {
    for (const client of clients) await client.leave();
  }
}

/**
 * Opens clients that have received the peer's first byte, or what they sent if
 * they send a message, and do nothing more.
 */
async function openIdle(
  request: LoadRequest,
  count: number,
): Promise<Client[]> {
  const { size } = request;
  const payload = new Uint8Array(size);
  const message = request.websocket && size > 0
    ? maskedFrame(payload)
    : payload;
  const clients: Client[] = [];
  const buffer = new Uint8Array(Math.max(256, size));
  try {
    while (clients.length < count) {
      const client = await Client.open(request);
      clients.push(client);
      const sending = client.write(message);
      while (client.counter.bytes < Math.max(1, size)) {
        await client.read(buffer);
      }
      await sending;
    }
  } catch (error) {
    for (const client of clients) client.close();
    throw error;
  }
  return clients;
}

interface Sample {
  readonly time: number;
  readonly count: number;
  readonly bridge: number;
  readonly client: number;
  readonly peer: number;
  readonly machine: number;
}

function sample(pid: number, peer: PeerLink, count: number): Sample {
  return {
    time: performance.now(),
    count,
    bridge: processorSeconds(pid),
    client: threadSeconds(Deno.pid),
    peer: threadSeconds(peer.thread),
    machine: machineSeconds(),
  };
}

function difference(
  before: Sample,
  after: Sample,
  memory: number,
): Measurement {
  return {
    count: after.count - before.count,
    seconds: (after.time - before.time) / 1000,
    bridge: after.bridge - before.bridge,
    client: after.client - before.client,
    peer: after.peer - before.peer,
    machine: after.machine - before.machine,
    memory,
  };
}

/** Waits until a bridge has nothing left to do, so that it does not disturb the next one. */
async function becomesQuiet(pid: number): Promise<void> {
  const deadline = performance.now() + QUIET_TIMEOUT;
  let used = processorSeconds(pid);
  while (performance.now() < deadline) {
    await pause(100);
    const now = processorSeconds(pid);
    if (now - used < 0.02) return;
    used = now;
  }
  throw new Error("Cannot measure: the bridge does not come to rest");
}

/** Resident memory once it has stayed level (within 0.5 percent) for a second. */
async function settledMemory(pid: number): Promise<number> {
  const deadline = performance.now() + SETTLE_TIMEOUT;
  let level = residentBytes(pid);
  let since = performance.now();
  while (performance.now() < deadline && performance.now() - since < 1000) {
    await pause(200);
    const now = residentBytes(pid);
    if (Math.abs(now - level) > level * 0.005) {
      level = now;
      since = performance.now();
    }
  }
  return residentBytes(pid);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
