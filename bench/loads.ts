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

import {
  machineSeconds,
  processorSeconds,
  residentBytes,
  threadSeconds,
} from "./contenders.ts";
import {
  BLOCK_SIZE,
  PeerLink,
  repeat,
  type Service,
  type ServiceAddress,
  writeAll,
} from "./peer.ts";

/** Where a client connects, and how. */
export interface Target {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Whether the bridge uses WebSocket; a plain TCP relay does not. */
  readonly websocket: boolean;
}

/** Name of a load. */
export type LoadName =
  | "receive-bytes"
  | "receive-messages"
  | "send"
  | "round-trips"
  | "connections";

/** Options of a load. */
export interface LoadOptions extends Target {
  /** Which load. */
  readonly load: LoadName;
  /** Clients that act at the same time. */
  readonly clients: number;
  /** Bytes in a message that a client sends. */
  readonly size: number;
  /**
   * Bytes that the peer gets of it, with `send`: more than `size` where a bridge
   * adds some.
   */
  readonly arrives: number;
}

/** What to measure. */
export interface LoadRequest extends Omit<LoadOptions, "load"> {
  /** The load, or `idle` for the memory of connections that do nothing. */
  readonly load: LoadOptions["load"] | "idle";
  /** Process id of the bridge. */
  readonly pid: number;
  /** Seconds that are measured. */
  readonly seconds: number;
  /** Seconds before the measurement; more while the bridge is cold. */
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

/** A request to the generator. */
type Order =
  | { readonly serve: Service }
  | { readonly measure: LoadRequest };

/** The generator's answer. */
type Answer =
  | { readonly served: ServiceAddress }
  | { readonly measured: Measurement }
  | { readonly error: string };

/** Milliseconds that an answer may take beyond what it measures. */
const PATIENCE = 90_000;
/** Clients that connect and leave before memory is measured, so that everything is loaded. */
const IDLE_WARM_UP = 20;
/**
 * Processor seconds after which a bridge counts as warm. Bridges on V8 are
 * several times slower until their code is compiled, and how long that takes
 * depends on their share of a processor.
 */
const WARM = 1;
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
/** Milliseconds that a bridge has to end a connection that its client has closed. */
const LEAVE_TIMEOUT = 2000;
const MAX_RESPONSE = 4096;
const MASK = Uint8Array.of(0x5a, 0xc3, 0x17, 0x9e);
const CLOSE_OPCODE = 8;
/** The close frame of a client that leaves, with code 1000. */
const CLOSE = maskedFrame(Uint8Array.of(1000 >> 8, 1000 & 0xff), CLOSE_OPCODE);
const latin1 = new TextDecoder("latin1");

/** The load generator, running as a process of its own. */
export class Generator implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string, undefined>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #signal: AbortSignal;
  #ended = false;

  private constructor(
    child: Deno.ChildProcess,
    lines: AsyncGenerator<string, undefined>,
    signal: AbortSignal,
  ) {
    this.#child = child;
    this.#lines = lines;
    this.#input = child.stdin.getWriter();
    this.#signal = signal;
  }

  /**
   * Starts the process.
   *
   * @param directory A directory for files of its peer.
   * @param signal Ends the process, and with it what is being measured.
   */
  static start(directory: string, signal: AbortSignal): Generator {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--allow-all",
        import.meta.url,
        directory,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    signal.addEventListener("abort", () => kill(child), { once: true });
    return new Generator(child, readLines(child.stdout), signal);
  }

  /** Whether the process has ended, after which nothing can be measured. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Makes the peer start a service, if it has not yet.
   *
   * @throws {Error} If it cannot.
   */
  async serve(service: Service): Promise<ServiceAddress> {
    const answer = await this.#ask({ serve: service }, 0);
    return (answer as { served: ServiceAddress }).served;
  }

  /**
   * Measures once.
   *
   * @throws {Error} If there is no result.
   */
  async measure(request: LoadRequest): Promise<Measurement> {
    const seconds = request.seconds + request.warmUpLimit;
    const answer = await this.#ask({ measure: request }, seconds);
    return (answer as { measured: Measurement }).measured;
  }

  async #ask(order: Order, seconds: number): Promise<Answer> {
    const patience = seconds * 1000 + PATIENCE;
    const timer = setTimeout(() => kill(this.#child), patience);
    try {
      // The write only fails if the process has ended; then the read fails,
      // too.
      await this.#input.write(jsonLine(order)).catch(() => {});
      const { value } = await this.#lines.next();
      this.#signal.throwIfAborted();
      if (value === undefined) {
        this.#ended = true;
        throw new Error("Cannot measure: the load generator has ended");
      }
      const answer: Answer = JSON.parse(value);
      if ("error" in answer) throw new Error(answer.error);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child);
    await this.#child.status;
    // A pipe to a process that has ended cannot be closed in order.
    await this.#input.abort().catch(() => {});
    await this.#lines.return(undefined);
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has ended.
    if (!(error instanceof TypeError)) throw error;
  }
}

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
 * Reads lines.
 *
 * @param stream Bytes, UTF-8.
 * @returns The lines, without their ends; an unterminated last one is dropped.
 */
async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** Encodes a value as a line of JSON. */
function jsonLine(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value) + "\n");
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

/** A load that is running. */
class RunningLoad {
  readonly #options: LoadOptions;
  readonly #peer: PeerLink;
  readonly #clients = new Set<Client>();
  readonly #leaving = new Set<Promise<void>>();
  #tasks: Promise<void>[] = [];
  #stopping = false;
  #count = 0;
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
      if (options.load === "connections") {
        load.#tasks = Array.from(
          { length: options.clients },
          () => load.#connect(),
        );
        return load;
      }
      // One after another: some bridges lose connections that arrive in a
      // burst.
      for (let i = 0; i < options.clients; i++) await load.#open();
      load.#tasks = [...load.#clients].map((client) => load.#work(client));
      return load;
    } catch (error) {
      load.close();
      throw error;
    }
  }

  /** Units that have arrived since the load was started. */
  count(): number {
    return this.#options.load === "send" ? this.#peer.received() : this.#count;
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
        return this.#connect();
    }
  }

  async #receive(client: Client, count: () => number): Promise<void> {
    const buffer = new Uint8Array(BLOCK_SIZE);
    while (!this.#stopping) {
      await client.read(buffer);
      if (count() === this.#count) continue;
      this.#count = count();
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
   * first byte has arrived: a bridge may answer the handshake before it
   * connects to the peer.
   */
  async #connect(): Promise<void> {
    const buffer = new Uint8Array(256);
    while (!this.#stopping) {
      const client = await this.#open();
      while (client.counter.bytes === 0) await client.read(buffer);
      this.#count++;
      const leaving = client.leave().finally(() => {
        this.#clients.delete(client);
        this.#leaving.delete(leaving);
      });
      this.#leaving.add(leaving);
    }
  }

  #message(): Uint8Array {
    const payload = new Uint8Array(this.#options.size).fill(0x6d);
    return this.#options.websocket ? maskedFrame(payload) : payload;
  }
}

/** A client whose connection is open. */
class Client {
  readonly #connection: Deno.TcpConn;
  readonly #websocket: boolean;
  #closed = false;
  /** Counts what arrives. */
  readonly counter: PayloadCounter;

  private constructor(connection: Deno.TcpConn, websocket: boolean) {
    this.#connection = connection;
    this.#websocket = websocket;
    this.counter = websocket ? new FrameCounter() : new ByteCounter();
  }

  /**
   * Connects, and makes the WebSocket handshake if the target speaks WebSocket.
   *
   * @throws {Error} If the bridge does not answer with status 101.
   */
  static async open(target: Target): Promise<Client> {
    const connection = await Deno.connect({
      hostname: "127.0.0.1",
      port: target.port,
    });
    const client = new Client(connection, target.websocket);
    try {
      connection.setNoDelay(true);
      if (target.websocket) await client.#upgrade(target.port);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Sends bytes as they are: frames, or data of a plain TCP connection. */
  write(data: Uint8Array): Promise<void> {
    return writeAll(this.#connection, data);
  }

  /**
   * Reads once, and counts what came.
   *
   * @throws {Error} If the connection has ended.
   */
  async read(buffer: Uint8Array): Promise<void> {
    const count = await this.#connection.read(buffer);
    if (count !== null) this.counter.push(buffer.subarray(0, count));
    if (count === null || this.counter.closed) {
      throw new Error("Cannot read from the bridge: it ended the connection");
    }
  }

  /** Closes as a browser does, and waits until the bridge has ended the connection. */
  async leave(): Promise<void> {
    const timer = setTimeout(() => this.close(), LEAVE_TIMEOUT);
    const buffer = new Uint8Array(256);
    try {
      if (this.#websocket) await this.write(CLOSE);
      else await this.#connection.closeWrite();
      while (await this.#connection.read(buffer) !== null);
    } catch {
      // It ended in another way, or took too long; both end the connection.
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Ends the connection at once. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  async #upgrade(port: number): Promise<void> {
    await this.write(upgradeRequest(port));
    const buffer = new Uint8Array(MAX_RESPONSE);
    let length = 0;
    let head = "";
    let end = -1;
    while (end < 0) {
      const count = await this.#connection.read(buffer.subarray(length));
      // An empty buffer reads 0: the response is longer than it may be.
      if (!count) throw new Error("Cannot upgrade: no response");
      length += count;
      head = latin1.decode(buffer.subarray(0, length));
      end = head.indexOf("\r\n\r\n");
    }
    if (!head.startsWith("HTTP/1.1 101 ")) {
      const line = head.slice(0, head.indexOf("\r\n"));
      throw new Error(`Cannot upgrade: the response is "${line}"`);
    }
    if (length > end + 4) this.counter.push(buffer.subarray(end + 4, length));
  }
}

let request: { readonly port: number; readonly bytes: Uint8Array } | undefined;

/** The request is the same for every connection to one port: the key need not be random here. */
function upgradeRequest(port: number): Uint8Array {
  if (request?.port !== port) {
    const text = "GET / HTTP/1.1\r\n" +
      `Host: 127.0.0.1:${port}\r\n` +
      "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      "Sec-WebSocket-Version: 13\r\n\r\n";
    request = { port, bytes: new TextEncoder().encode(text) };
  }
  return request.bytes;
}

/** Counts what arrives from a bridge. */
interface PayloadCounter {
  /** Bytes of payload that arrived. */
  readonly bytes: number;
  /** Messages that arrived in whole; on a plain TCP connection, reads. */
  readonly messages: number;
  /** Whether the server sent a close frame. */
  readonly closed: boolean;
  /** Takes the next bytes of the connection. */
  push(data: Uint8Array): void;
}

/**
 * Builds a binary message as a client sends it: one frame, masked.
 *
 * @param payload What it carries.
 * @param opcode Opcode of the frame, 0 to 15.
 * @returns The frame's bytes.
 */
function maskedFrame(payload: Uint8Array, opcode = 2): Uint8Array {
  const header = frameHeader(payload.length, opcode);
  const frame = new Uint8Array(header.length + MASK.length + payload.length);
  frame.set(header);
  frame.set(MASK, header.length);
  const start = header.length + MASK.length;
  for (let i = 0; i < payload.length; i++) {
    frame[start + i] = payload[i]! ^ MASK[i & 3]!;
  }
  return frame;
}

/** Counts the bytes of a connection that has no frames. */
class ByteCounter implements PayloadCounter {
  bytes = 0;
  messages = 0;
  readonly closed = false;

  push(data: Uint8Array): void {
    this.bytes += data.length;
    this.messages++;
  }
}

/** Counts a server's data frames, and skips over their payload. */
class FrameCounter implements PayloadCounter {
  bytes = 0;
  messages = 0;
  closed = false;
  /** Bytes of the current frame's payload that are still to come. */
  #rest = 0;
  /** Whether the current frame ends a data message. */
  #final = false;
  #data = false;
  /** The start of a header that a read cut in two. */
  readonly #cut = new Uint8Array(10);
  #cutLength = 0;

  push(data: Uint8Array): void {
    let at = 0;
    while (at < data.length) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, data.length - at);
        at += taken;
        this.#take(taken);
      } else if (this.#cutLength > 0 || data.length - at < 10) {
        // Byte by byte, as this happens at most once in a read.
        this.#cut[this.#cutLength++] = data[at++]!;
        if (this.#cutLength === headerLength(this.#cut, 0, this.#cutLength)) {
          this.#cutLength = 0;
          this.#begin(this.#cut, 0);
        }
      } else {
        const length = headerLength(data, at, 2);
        this.#begin(data, at);
        at += length;
      }
    }
  }

  #begin(data: Uint8Array, at: number): void {
    const opcode = data[at]! & 0x0f;
    this.#data = opcode < CLOSE_OPCODE;
    this.#final = this.#data && (data[at]! & 0x80) !== 0;
    if (opcode === CLOSE_OPCODE) this.closed = true;
    const short = data[at + 1]! & 0x7f;
    let length = short;
    if (short >= 126) {
      length = 0;
      const size = short === 126 ? 2 : 8;
      for (let i = 0; i < size; i++) length = length * 256 + data[at + 2 + i]!;
    }
    this.#rest = length;
    if (length === 0) this.#take(0);
  }

  #take(length: number): void {
    this.#rest -= length;
    if (this.#data) this.bytes += length;
    if (this.#rest === 0 && this.#final) this.messages++;
  }
}

function frameHeader(length: number, opcode: number): Uint8Array {
  const first = 0x80 | opcode;
  if (length < 126) return Uint8Array.of(first, 0x80 | length);
  const header = new Uint8Array(length < 65536 ? 4 : 10);
  const view = new DataView(header.buffer);
  header[0] = first;
  header[1] = 0x80 | (length < 65536 ? 126 : 127);
  if (length < 65536) view.setUint16(2, length);
  else view.setBigUint64(2, BigInt(length));
  return header;
}

/** Length of a server's frame header, or 0 if too few of its bytes have arrived. */
function headerLength(data: Uint8Array, at: number, known: number): number {
  if (known < 2) return 0;
  const short = data[at + 1]! & 0x7f;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}

if (import.meta.main) {
  // An interrupt from the terminal reaches this process, too; the benchmark
  // ends it when it has cleaned up.
  Deno.addSignalListener("SIGINT", () => {});
  await main(Deno.args[0]!);
  Deno.exit(0);
}
