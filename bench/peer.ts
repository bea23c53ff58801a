/**
 * The peer of a bridge under test: its services, and the worker of the load
 * generator in which they run, each listening on a port or path of its own.
 *
 * The worker posts a {@linkcode PeerReady}, takes one {@linkcode Service} after
 * another and posts where each listens; and it posts `null` whenever as many
 * bytes have arrived as `Wanted` of {@linkcode PeerCounter} says.
 *
 * @module
 */

import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";

/** Bytes that are read or written at a time. */
export const BLOCK_SIZE = 256 * 1024;

const HOST = "127.0.0.1";
const SEPARATOR = "\r\n.\r\n";
/** Bytes that `trickle` writes at a time, and milliseconds between two writes. */
const TRICKLE_SIZE = 1024;
const TRICKLE_INTERVAL = 0.05;

/** The transport of a service. */
export type Transport = "tcp" | "tls" | "unix" | "udp" | "unix-dgram";

/** A framing function of the bridge, which decides what a service sends. */
export type Framing =
  | "auto"
  | "binary"
  | "separator"
  | "newline"
  | "fixedlength"
  | "dynamic32"
  | "json";

/** A service. */
export interface Service {
  /**
   * `source` sends without end, many messages in a write; `text` does, too, but
   * lines of JSON, or of a file; `trickle` does as well, but 1 KiB in a write; `sink` reads and counts; `echo` sends back; `greet`
   * sends one byte and waits.
   */
  readonly kind: "source" | "text" | "trickle" | "sink" | "echo" | "greet";
  /** Its transport; datagrams only for `echo`. */
  readonly transport: Transport;
  /** The framing function for whose messages it sends. */
  readonly framing: Framing;
  /** Bytes in a message that it sends, its end or length included; on average, with a file. */
  readonly size: number;
  /** The file whose lines `text` sends; absent: lines that are made. */
  readonly file?: string;
}

/** Where a service listens. */
export interface ServiceAddress {
  /** As websocksy takes it: `tcp://127.0.0.1:1`, `unix:///tmp/x`. */
  readonly address: string;
  /** File of its certificate; absent: it does not use TLS. */
  readonly certificate?: string;
}

/**
 * Repeats a piece of data until it is at least as long as asked.
 *
 * @param piece What is repeated, whole.
 * @param size Bytes that the result has at least.
 */
export function repeat(piece: Uint8Array, size: number): Uint8Array {
  const times = Math.ceil(size / piece.length);
  const block = new Uint8Array(times * piece.length);
  for (let i = 0; i < times; i++) block.set(piece, i * piece.length);
  return block;
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

/** Configuration of a framing function for messages of a size. */
export function framingConfig(framing: Framing, size: number): string {
  switch (framing) {
    case "separator":
      return "\\r\\n.\\r\\n";
    case "fixedlength":
      return String(size);
    default:
      return "";
  }
}

/** A message as the framing function finds it in a stream. */
export function messageOf(framing: Framing, size: number): Uint8Array {
  switch (framing) {
    case "separator":
      return padded("", size, SEPARATOR);
    case "newline":
      return padded("", size, "\r\n");
    case "json":
      return padded('{"text":"', size, '"}');
    case "dynamic32": {
      const message = padded("", size, "");
      new DataView(message.buffer).setUint32(0, size - 4, true);
      return message;
    }
    default:
      return padded("", size, "");
  }
}

function padded(
  start: string,
  size: number,
  end: string,
): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(size).fill(0x78);
  message.set(new TextEncoder().encode(start));
  message.set(new TextEncoder().encode(end), size - end.length);
  return message;
}

/** What the worker gets at its start. */
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

/** The peer's services, running in a worker of this process. */
export class PeerLink {
  readonly #worker: Worker;
  readonly #counters: BigInt64Array;
  readonly #services = new Map<string, ServiceAddress>();
  #wake: (() => void) | undefined;
  #answer: ((message: Exclude<PeerMessage, null>) => void) | undefined;
  /** On which thread the services run. */
  readonly thread: number;

  private constructor(
    worker: Worker,
    counters: BigInt64Array,
    thread: number,
  ) {
    this.#worker = worker;
    this.#counters = counters;
    this.thread = thread;
    worker.onmessage = ({ data }: MessageEvent<PeerMessage>) => {
      if (data === null) this.#wake?.();
      else this.#answer?.(data);
    };
  }

  /**
   * Starts the worker.
   *
   * @param directory A directory for its files.
   */
  static async start(directory: string): Promise<PeerLink> {
    const counters = new SharedArrayBuffer(
      PeerCounter.Count * BigInt64Array.BYTES_PER_ELEMENT,
    );
    const worker = new Worker(new URL("./peer.ts", import.meta.url), {
      type: "module",
    });
    const { thread } = await new Promise<PeerReady>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.postMessage({ counters, directory } satisfies PeerStart);
    });
    return new PeerLink(worker, new BigInt64Array(counters), thread);
  }

  /**
   * Starts a service, or finds it if it has been started. One at a time.
   *
   * @throws {Error} If it cannot listen.
   */
  async serve(service: Service): Promise<ServiceAddress> {
    const key = JSON.stringify(service);
    const known = this.#services.get(key);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<PeerMessage>();
    this.#answer = resolve;
    this.#worker.postMessage(service);
    const message = await promise as ServiceAddress | { error: string };
    if ("error" in message) throw new Error(message.error);
    this.#services.set(key, message);
    return message;
  }

  /** Bytes that services of the kind `sink` have received so far. */
  received(): number {
    return Number(Atomics.load(this.#counters, PeerCounter.Received));
  }

  /**
   * Waits until services of the kind `sink` have received so many bytes. One
   * wait at a time: another call takes the place of the one before.
   */
  async receives(bytes: number): Promise<void> {
    while (this.received() < bytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      Atomics.store(this.#counters, PeerCounter.Wanted, BigInt(bytes));
      // They may have arrived before the worker could see the request.
      if (this.received() >= bytes) return;
      await promise;
    }
  }
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<PeerStart | Service>) => void) | null;
  postMessage(message: PeerMessage): void;
}

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
  { kind, framing, size, file }: Service,
  counters: BigInt64Array,
  scope: WorkerScope,
): (connection: Deno.Conn) => Promise<void> {
  switch (kind) {
    case "source": {
      const block = repeat(messageOf(framing, size), BLOCK_SIZE);
      return (connection) => send(connection, block);
    }
    case "text": {
      const block = file === undefined ? jsonLines(size) : linesOf(file);
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
  const bridge = watchEnd(connection);
  while (!bridge.hasEnded) await writeAll(connection, block);
}

/**
 * Notices that the bridge has ended its side of a connection. One that went on
 * writing then would keep the bridge busy for seconds after its measurement.
 */
function watchEnd(connection: Deno.Conn): { readonly hasEnded: boolean } {
  const bridge = { hasEnded: false };
  const over = (): void => {
    bridge.hasEnded = true;
  };
  connection.read(new Uint8Array(1)).then(over, over);
  return bridge;
}

const WORDS = (
  "request served from cache to user session expired while reading upstream " +
  "timeout after retry connection closed by peer queue length job done worker"
).split(" ");

/**
 * Lines of a log as programs write them, in JSON.
 *
 * @param size Bytes of each, with its end.
 */
function jsonLines(size: number): Uint8Array {
  let text = "";
  let state = 1;
  /** The next of numbers that look like chance, and are the same in each run. */
  function next(below: number): number {
    state = (state * 48271) % 0x7fffffff;
    return state % below;
  }
  for (let i = 0; text.length < BLOCK_SIZE; i++) {
    const head = JSON.stringify({
      time: new Date(1.7e12 + i * 977 + next(900)).toISOString(),
      level: ["info", "info", "info", "warn", "error"][next(5)],
      host: `web-${next(17)}`,
      id: next(0x7fffffff).toString(16),
      ms: next(10_000) / 10,
      message: "",
    }).slice(0, -2);
    let message = "";
    while (message.length < size) message += `${WORDS[next(WORDS.length)]} `;
    text += `${(head + message).slice(0, size - 4)}"}\r\n`;
  }
  return new TextEncoder().encode(text);
}

/**
 * Reads the lines of a file, without those that are empty, with the end that
 * `newline` looks for.
 */
export function linesOf(file: string): Uint8Array {
  const lines = Deno.readTextFileSync(file).split(/\r?\n/).filter(Boolean);
  return new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""));
}

/**
 * Writes small pieces, slowly enough that the bridge reads them separately. It
 * polls the clock, as a timer takes at least a millisecond.
 */
async function trickle(
  connection: Deno.Conn,
  message: Uint8Array,
): Promise<void> {
  const bridge = watchEnd(connection);
  let next = performance.now();
  while (!bridge.hasEnded) {
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

let sockets = 0;

/**
 * Listens for connections, and passes each to a function; it closes a
 * connection when the function has returned or failed.
 *
 * @param directory Where a socket or a certificate is made.
 */
async function listenStreams(
  transport: Exclude<Transport, "udp" | "unix-dgram">,
  directory: string,
  serve: (connection: Deno.Conn) => Promise<void>,
): Promise<ServiceAddress> {
  if (transport === "unix") {
    const path = join(directory, `peer-${++sockets}.sock`);
    void acceptAll(Deno.listen({ transport: "unix", path }), serve);
    return { address: `unix://${path}` };
  }
  if (transport === "tcp") {
    const listener = Deno.listen({ hostname: HOST, port: 0 });
    void acceptAll(listener, serve);
    return { address: `tcp://${HOST}:${listener.addr.port}` };
  }
  const { certificate, key } = await makeCertificate(directory, "peer");
  const listener = Deno.listenTls({
    hostname: HOST,
    port: 0,
    cert: await Deno.readTextFile(certificate),
    key: await Deno.readTextFile(key),
  });
  void acceptAll(listener, serve);
  return { address: `tls://${HOST}:${listener.addr.port}`, certificate };
}

/** Opens a socket for datagrams, and passes it to a function. */
function listenDatagrams(
  transport: "udp" | "unix-dgram",
  directory: string,
  serve: (socket: Deno.DatagramConn) => Promise<void>,
): Promise<ServiceAddress> {
  if (transport === "udp") {
    const socket = Deno.listenDatagram({
      transport: "udp",
      hostname: HOST,
      port: 0,
    });
    void serve(socket);
    const { port } = socket.addr as Deno.NetAddr;
    return Promise.resolve({ address: `udp://${HOST}:${port}` });
  }
  const path = join(directory, `peer-${++sockets}.sock`);
  void serve(Deno.listenDatagram({ transport: "unixpacket", path }));
  return Promise.resolve({ address: `unix-dgram://${path}` });
}

async function acceptAll(
  listener: Deno.Listener,
  serve: (connection: Deno.Conn) => Promise<void>,
): Promise<void> {
  while (true) {
    try {
      const connection = await listener.accept();
      if ("setNoDelay" in connection) {
        (connection as Deno.TcpConn).setNoDelay(true);
      }
      // A bridge may end a connection in any way: that is not a failure of the
      // peer, and the client sees what is missing.
      serve(connection).catch(() => {}).finally(() => connection.close());
    } catch (error) {
      // The bridge has reset the connection before it could be accepted.
      if (!(error instanceof Deno.errors.NotConnected)) throw error;
    }
  }
}

/** Thread id of the calling thread. */
function threadId(): number {
  return parseInt(Deno.readTextFileSync("/proc/thread-self/stat"));
}

declare const WorkerGlobalScope: unknown;

// Only in a worker: its owner imports this module, too.
if (typeof WorkerGlobalScope !== "undefined") {
  const scope = globalThis as unknown as WorkerScope;
  let start: PeerStart | undefined;
  scope.onmessage = async ({ data }) => {
    if ("counters" in data) {
      start = data;
      scope.postMessage({ thread: threadId() });
      return;
    }
    try {
      scope.postMessage(await serve(data, start!, scope));
    } catch (error) {
      scope.postMessage({ error: (error as Error).message });
    }
  };
}
