/**
 * The load generator: a process of its own, with the clients on its main thread
 * and the peer in a worker. It puts a load on a bridge, lets it warm up, and
 * measures between two moments.
 *
 * Its argument is a directory for the peer's files. Each line of JSON on stdin
 * is an {@linkcode Order}, which it answers with a line on stdout, an
 * {@linkcode Answer}. It ends when stdin does.
 *
 * @module
 */

import { Client } from "./client.ts";
import { maskedFrame } from "./frames.ts";
import {
  type Answer,
  jsonLine,
  type LoadOptions,
  type LoadRequest,
  type Measurement,
  type Order,
  readLines,
} from "./generator.ts";
import { BLOCK_SIZE, PeerLink, repeat } from "./peer.ts";
import {
  machineSeconds,
  processorSeconds,
  residentBytes,
  threadSeconds,
} from "./usage.ts";

/** Clients that connect and leave before memory is measured, so that everything is loaded. */
const IDLE_WARM_UP = 20;
const SETTLE_TIMEOUT = 6000;
const QUIET_TIMEOUT = 10_000;
/**
 * Most bytes on their way from a client to the peer, the same for all
 * contenders. Without a limit, `max-buffer` would end the connections of an
 * engine that cannot pause its clients. Small messages have a lower limit, as a
 * slow bridge would need seconds for them after its run.
 */
const WINDOW = 8 * 1024 * 1024;
const SMALL_WINDOW = 1024 * 1024;
const SMALL = 4096;
/** Milliseconds that what was sent has to arrive after a load has ended. */
const DRAIN_TIMEOUT = 5000;

async function main(directory: string): Promise<void> {
  const peer = await PeerLink.start(directory);
  const output = Deno.stdout.writable.getWriter();
  for await (const line of readLines(Deno.stdin.readable)) {
    await output.write(jsonLine(await answer(JSON.parse(line), peer)));
  }
}

async function answer(order: Order, peer: PeerLink): Promise<Answer> {
  try {
    return "serve" in order
      ? { served: await peer.serve(order.serve) }
      : { measured: await measure(order.measure, peer) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Applies a load to a bridge, and measures.
 *
 * @throws {Error} If a client fails, or what was sent does not arrive.
 */
async function measure(
  request: LoadRequest,
  peer: PeerLink,
): Promise<Measurement> {
  const { load } = request;
  const result = load === "idle" || load === "gone"
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
    const before = sample(request.pid, peer, load.arrived());
    await load.run(request.seconds);
    if (request.whole) await load.grows();
    const after = sample(request.pid, peer, load.arrived());
    await load.stop();
    return difference(before, after, 0);
  } finally {
    load.close();
  }
}

async function warmUp(
  { pid, warm, warmUp, warmUpLimit }: LoadRequest,
  load: RunningLoad,
): Promise<void> {
  const deadline = performance.now() + warmUpLimit * 1000;
  await load.run(warmUp);
  while (processorSeconds(pid) < warm && performance.now() < deadline) {
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
  const before = sample(request.pid, peer, { count: 0, received: 0 });
  const clients = await openIdle(request, request.clients);
  try {
    if (request.load === "gone") {
      for (const client of clients) await client.leave();
      await becomesQuiet(request.pid);
    }
    const grown = await settledMemory(request.pid) - memory;
    const arrived = { count: clients.length, received: 0 };
    const after = sample(request.pid, peer, arrived);
    return difference(before, after, grown);
  } finally {
    for (const client of clients) await client.leave();
  }
}

/**
 * Opens clients that receive the peer's first byte, or the echo of a message,
 * and then do nothing.
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

/** What has arrived so far. */
interface Arrived {
  /** Units of the load. */
  readonly count: number;
  /** Payload bytes of clients. */
  readonly received: number;
}

interface Sample extends Arrived {
  readonly time: number;
  readonly bridge: number;
  readonly client: number;
  readonly peer: number;
  readonly machine: number;
}

function sample(pid: number, peer: PeerLink, arrived: Arrived): Sample {
  return {
    ...arrived,
    time: performance.now(),
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
    received: after.received - before.received,
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

/** A load that is running. */
class RunningLoad {
  readonly #options: LoadOptions;
  readonly #peer: PeerLink;
  readonly #clients = new Set<Client>();
  readonly #leaving = new Set<Promise<void>>();
  #tasks: Promise<void>[] = [];
  #stopping = false;
  #count = 0;
  /** Payload bytes that clients have received, of loads in which they receive. */
  #received = 0;
  #onCount: (() => void) | undefined;

  private constructor(options: LoadOptions, peer: PeerLink) {
    this.#options = options;
    this.#peer = peer;
  }

  /** Opens the clients, and starts their work. */
  static async start(
    options: LoadOptions,
    peer: PeerLink,
  ): Promise<RunningLoad> {
    const load = new RunningLoad(options, peer);
    try {
      if (options.load === "connections" || options.load === "churn") {
        load.#tasks = Array.from(
          { length: options.clients },
          () => load.#connect(),
        );
        return load;
      }
      // One after another: some bridges lose connections that arrive in a
      // burst.
      for (let i = 0; i < options.clients; i++) {
        // Begins at once: what is sent to it must not pile up meanwhile.
        const task = load.#work(await load.#open());
        // Its failure is seen when the load runs.
        task.catch(() => {});
        load.#tasks.push(task);
      }
      return load;
    } catch (error) {
      load.close();
      throw error;
    }
  }

  /** What has arrived since the load was started. */
  arrived(): Arrived {
    const count = this.#options.load === "send"
      ? this.#peer.received()
      : this.#count;
    return { count, received: this.#received };
  }

  /**
   * Lets the load run.
   *
   * @throws {Error} If one of its clients fails.
   */
  async run(seconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, seconds * 1000);
    await this.#unlessFailed(promise).finally(() => clearTimeout(timer));
  }

  /**
   * Waits until the count of messages or bytes that a client receives has
   * grown: so that between two such moments, the work for exactly the counted
   * messages was done, however large a message is.
   *
   * @throws {Error} If one of the clients fails.
   */
  async grows(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onCount = resolve;
    await this.#unlessFailed(promise);
  }

  /** Ends the load when what is on its way has arrived, and closes the clients. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const timer = setTimeout(() => this.close(), DRAIN_TIMEOUT);
    try {
      await Promise.all(this.#tasks);
      await Promise.all(this.#leaving);
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Ends all connections at once. */
  close(): void {
    this.#stopping = true;
    for (const client of this.#clients) client.close();
  }

  async #unlessFailed(event: Promise<void>): Promise<void> {
    const failed = Promise.all(this.#tasks).then(() => event);
    await Promise.race([event, failed]);
  }

  async #open(): Promise<Client> {
    const client = await Client.open(this.#options);
    this.#clients.add(client);
    return client;
  }

  #work(client: Client): Promise<void> {
    switch (this.#options.load) {
      case "receive-bytes":
        return this.#receive(client, () => client.counter.bytes);
      case "receive-messages":
        return this.#receive(client, () => client.counter.messages);
      case "send":
        return this.#send(client);
      case "round-trips":
        return this.#roundTrips(client);
      case "connections":
      case "churn":
        return this.#connect();
    }
  }

  async #receive(client: Client, count: () => number): Promise<void> {
    const buffer = new Uint8Array(BLOCK_SIZE);
    const { counter } = client;
    let [counted, received] = [0, 0];
    while (!this.#stopping) {
      await client.read(buffer);
      this.#received += counter.bytes - received;
      received = counter.bytes;
      if (count() === counted) continue;
      this.#count += count() - counted;
      counted = count();
      this.#onCount?.();
    }
  }

  async #send(client: Client): Promise<void> {
    const { size, arrives } = this.#options;
    const block = repeat(this.#message(), BLOCK_SIZE);
    // What the peer gets of a block.
    const payload = block.length / this.#message().length * arrives;
    const window = size <= SMALL ? SMALL_WINDOW : WINDOW;
    const before = this.#peer.received();
    const watch = this.#watch(client);
    let sent = 0;
    while (!this.#stopping) {
      await Promise.race([
        this.#peer.receives(before + sent + payload - window),
        watch,
      ]);
      await client.write(block);
      sent += payload;
    }
    await Promise.race([this.#peer.receives(before + sent), watch]);
    const missing = before + sent - this.#peer.received();
    if (missing > 0) {
      throw new Error(`Cannot end the load: ${missing} bytes did not arrive`);
    }
  }

  /** Reads what a bridge sends to a client that only sends: pings, or a close. */
  async #watch(client: Client): Promise<void> {
    const buffer = new Uint8Array(256);
    while (true) {
      try {
        await client.read(buffer);
      } catch (error) {
        if (this.#stopping) return;
        throw error;
      }
    }
  }

  async #roundTrips(client: Client): Promise<void> {
    const message = this.#message();
    const buffer = new Uint8Array(4096);
    const { counter } = client;
    let expected = counter.bytes;
    while (!this.#stopping) {
      expected += this.#options.size;
      await client.write(message);
      while (counter.bytes < expected) await client.read(buffer);
      this.#count++;
    }
  }

  /**
   * Opens connections one after another. A connection counts when the peer's
   * first byte has arrived, or the echo of a message: a bridge may answer the
   * handshake before it connects to the peer.
   */
  async #connect(): Promise<void> {
    const buffer = new Uint8Array(256);
    const echoed = this.#options.load === "churn" ? this.#options.size : 0;
    const message = this.#message();
    while (!this.#stopping) {
      const client = await this.#open();
      if (echoed > 0) await client.write(message);
      while (client.counter.bytes < Math.max(echoed, 1)) {
        await client.read(buffer);
      }
      this.#count++;
      const leaving = client.leave().finally(() => {
        this.#clients.delete(client);
        this.#leaving.delete(leaving);
      });
      this.#leaving.add(leaving);
      if (echoed > 0) await leaving;
    }
  }

  #message(): Uint8Array {
    const payload = new Uint8Array(this.#options.size).fill(0x6d);
    return this.#options.websocket ? maskedFrame(payload) : payload;
  }
}

if (import.meta.main) {
  // An interrupt from the terminal reaches this process, too; the benchmark
  // ends it when it has cleaned up.
  Deno.addSignalListener("SIGINT", () => {});
  await main(Deno.args[0]!);
  Deno.exit(0);
}
