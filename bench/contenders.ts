/**
 * The contenders: the commands of each bridge and plain relay, how they are
 * started and ended, and what their processes use.
 *
 * @module
 */

import { join } from "node:path";
import { installWs } from "../tools/ws.ts";
import {
  directories,
  type DirectoryName,
  startDirectory,
} from "./directories.ts";
import {
  type Framing,
  framingConfig,
  type Service,
  type ServiceAddress,
  type Transport,
} from "./peer.ts";

/** A program that connects clients to a peer. */
export interface Contender {
  /** Its name in the options and in the tables. */
  readonly name: string;
  /** Whether its clients use WebSocket; those of a plain TCP relay do not. */
  readonly websocket: boolean;
  /** Whether it starts a process for every connection. */
  readonly forks: boolean;
  /** Framing functions that it has; a plain relay has `binary`, as it passes on each read. */
  readonly framings: readonly Framing[];
  /** How it can connect to its peer. */
  readonly transports: readonly Transport[];
  /** The directory that it asks for its peer, if it asks one. */
  readonly asks?: DirectoryName;
  /** Prepares its files, once, before the first start. */
  prepare?(directory: string): Promise<void>;
  /** The command that starts it. */
  command(place: Place, given: GivenArguments): string[];
}

/** Where a contender listens, and connects to. */
export interface Place {
  /** Port on 127.0.0.1 at which it is to listen. */
  readonly port: number;
  /** Its peer. */
  readonly service: Service;
  /** Where the peer listens. */
  readonly peer: ServiceAddress;
  /** A directory for its files. */
  readonly directory: string;
  /** Options that let it ask for its peer; absent: it is told which. */
  readonly asking?: readonly string[];
}

/** What the user said about starting websocksy. */
export interface GivenArguments {
  /** Arguments for `deno run`, before the name of the module. */
  readonly denoArguments: readonly string[];
  /** Further arguments for websocksy. */
  readonly websocksyArguments: readonly string[];
}

/** A contender that accepts connections. */
export interface RunningContender extends AsyncDisposable {
  /** Process id; processes that it starts are its descendants. */
  readonly pid: number;
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Milliseconds from its start until a connection was accepted. */
  readonly startTime: number;
}

/** Options for {@linkcode startContender}. */
export interface StartOptions extends Omit<Place, "port">, GivenArguments {
  /** Gives up the wait. */
  readonly signal: AbortSignal;
}

const HOST = "127.0.0.1";
const MAIN = join(import.meta.dirname!, "..", "main.ts");
const DENO_RELAY = join(import.meta.dirname!, "deno_relay.ts");
const WS_BRIDGE = join(import.meta.dirname!, "ws_bridge.mjs");
/**
 * A plugin whose backend answers its options, and with two framing functions
 * that do the same as built-in ones.
 */
const PLUGIN = `export const apiVersion = 1;
export const framings = {
  "plugin-binary": () => ({
    frame: (data) => ({ length: data.length, type: "binary" }),
  }),
  "plugin-fixedlength": (config) => {
    const length = Number(config);
    return {
      frame: (data) => data.length < length ? null : { length, type: "binary" },
    };
  },
};
export function createBackend() {
  const told = {};
  return {
    configure(option, value) { told[option] = value; },
    query: () => ({
      address: told.host,
      framing: "plugin-" + told.framing,
      framingConfig: told["framing-config"],
    }),
  };
}
`;
const START_TIMEOUT = 15_000;
const STOP_TIMEOUT = 2000;
/** Milliseconds between two attempts to connect. */
const ATTEMPT_INTERVAL = 2;
/** Ticks per second of the times in `/proc`: USER_HZ, which is 100 on every platform that Deno supports. */
const TICKS = 100;
const NANOSECONDS = 1e9;

const relay = {
  websocket: false,
  forks: false,
  framings: ["binary"],
  transports: ["tcp"],
} as const;

/** The contenders, in the order of the tables. */
export const contenders: readonly Contender[] = [
  websocksy("stream", []),
  websocksy("native", []),
  {
    ...relay,
    name: "ws-bridge",
    websocket: true,
    framings: ["binary", "newline"],
    prepare: installWs,
    command: ({ port, peer, service, directory }) => [
      "node",
      WS_BRIDGE,
      directory,
      String(port),
      new URL(peer.address).port,
      service.framing,
    ],
  },
  {
    ...relay,
    name: "websockify",
    websocket: true,
    forks: true,
    command: ({ port, peer }) => [
      "websockify",
      "--heartbeat=0",
      `${HOST}:${port}`,
      new URL(peer.address).host,
    ],
  },
  {
    ...relay,
    name: "socat",
    forks: true,
    // Its default of 8 KiB for a read would put it at a disadvantage.
    command: ({ port, peer }) => [
      "socat",
      "-b262144",
      `TCP-LISTEN:${port},bind=${HOST},reuseaddr,fork,nodelay,backlog=1024`,
      `TCP:${new URL(peer.address).host},nodelay`,
    ],
  },
  {
    ...relay,
    name: "deno-relay",
    command: ({ port, peer }) => [
      Deno.execPath(),
      "run",
      "--quiet",
      "--allow-net",
      DENO_RELAY,
      String(port),
      new URL(peer.address).port,
    ],
  },
  {
    ...relay,
    name: "haproxy",
    transports: ["tcp", "unix"],
    command(place): string[] {
      const file = `${place.directory}/haproxy.cfg`;
      Deno.writeTextFileSync(file, haproxyConfig(place));
      return ["haproxy", "-db", "-f", file];
    },
  },
];

/**
 * Finds a contender, or makes a variant of one.
 *
 * @param name `NAME`, or for websocksy `NAME:OPTION=VALUE:...`: with these
 * options in addition to others.
 * @throws {TypeError} If there is none of this name; the message follows the
 * name.
 */
export function createContender(name: string): Contender {
  const [base, ...options] = name.split(":");
  const found = contenders.find((contender) => contender.name === base);
  if (found === undefined) {
    const known = contenders.map(({ name }) => name).join(", ");
    throw new TypeError(`it must be one of ${known}`);
  }
  if (options.length === 0) return found;
  if (!isWebsocksy(found.name)) {
    throw new TypeError("only stream and native take options");
  }
  if (!options.every((option) => /^[a-z][a-z0-9-]*=/.test(option))) {
    throw new TypeError("an option is OPTION=VALUE, without the dashes");
  }
  return websocksy(found.name, options);
}

/** Whether a contender of this name is websocksy, with any options. */
export function isWebsocksy(name: string): boolean {
  return /^(stream|native)(:|$)/.test(name);
}

function websocksy(engine: string, options: readonly string[]): Contender {
  const isolation = options.find((option) => option.startsWith("isolation="));
  const asked = options.find((option) => option.startsWith("directory="));
  const asks = directories.find((name) => asked === `directory=${name}`);
  return {
    name: [engine, ...options].join(":"),
    websocket: true,
    forks: false,
    framings: isolation === undefined
      ? [
        ...["auto", "binary", "separator", "newline"] as const,
        ...["fixedlength", "dynamic32", "json"] as const,
      ]
      : ["binary", "fixedlength"],
    transports: ["tcp", "tls", "unix", "udp", "unix-dgram"],
    ...(asks !== undefined && { asks }),
    command: (
      { port, peer, service: { framing, size }, directory, asking },
      given,
    ) => [
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net",
      "--allow-read",
      "--allow-write",
      ...(isolation === undefined ? [] : [`--allow-run=${Deno.execPath()}`]),
      ...(peer.certificate === undefined ? [] : [`--cert=${peer.certificate}`]),
      ...given.denoArguments,
      MAIN,
      ...(isolation === undefined
        ? []
        : [configureIsolation(directory, isolation)]),
      `--listen=${HOST}`,
      `--port=${port}`,
      `--engine=${engine}`,
      ...(asking ?? ["-c", `host=${peer.address}`]),
      "-c",
      `framing=${framing}`,
      "-c",
      `framing-config=${framingConfig(framing, size)}`,
      ...given.websocksyArguments,
      ...options.filter((option) => option !== isolation && option !== asked)
        .flatMap((option) =>
          /^framing/.test(option) ? ["-c", option] : [`--${option}`]
        ),
    ],
  };
}

/** Writes a configuration with a plugin as the backend and its framing functions. */
function configureIsolation(directory: string, isolation: string): string {
  const [, kind = ""] = isolation.split("=");
  const file = `${directory}/isolation-${kind}.ini`;
  Deno.writeTextFileSync(`${directory}/plugin.js`, PLUGIN);
  Deno.writeTextFileSync(
    file,
    `[core]
backend = bench
[plugin bench]
url = ${directory}/plugin.js
isolation = ${kind}
`,
  );
  return file;
}

function haproxyConfig({ port, peer }: Place): string {
  const { protocol, host, pathname } = new URL(peer.address);
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen relay
  bind ${HOST}:${port}
  server peer ${protocol === "unix:" ? `unix@${pathname}` : host}
`;
}

/**
 * Starts a contender, and waits until it accepts connections.
 *
 * @throws {Error} If it ends, or does not accept a connection within 15
 * seconds. The message has the last line that it wrote.
 */
export async function startContender(
  contender: Contender,
  options: StartOptions,
): Promise<RunningContender> {
  const port = freePort();
  const log = `${options.directory}/${contender.name.replace(/\W/g, "-")}.log`;
  await using support = new AsyncDisposableStack();
  const asking = contender.asks === undefined ? undefined : support.use(
    await startDirectory(contender.asks, {
      peer: new URL(options.peer.address).host,
      directory: options.directory,
    }),
  ).options;
  const command = contender.command(
    { ...options, port, ...(asking !== undefined && { asking }) },
    options,
  );
  const start = performance.now();
  // The shell replaces itself with the program, which writes its log to a file,
  // so that reading the log costs no time.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log]
      .concat(command),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await accepts(port, child, options.signal);
    const services = support.move();
    return {
      pid: child.pid,
      port,
      startTime: performance.now() - start,
      async [Symbol.asyncDispose](): Promise<void> {
        await stop(child);
        await services.disposeAsync();
      },
    };
  } catch (error) {
    await stop(child);
    const why = lastLine(log) || (error as Error).message;
    throw new Error(`Cannot start "${contender.name}": ${why}`, {
      cause: error,
    });
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  return listener.addr.port;
}

async function accepts(
  port: number,
  child: Deno.ChildProcess,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT;
  let ended = false;
  void child.status.then(() => ended = true);
  while (true) {
    signal.throwIfAborted();
    if (ended) throw new Error("it has ended");
    try {
      (await Deno.connect({ hostname: HOST, port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
    if (performance.now() > deadline) throw new Error("it does not listen");
    await new Promise((resolve) => setTimeout(resolve, ATTEMPT_INTERVAL));
  }
}

/**
 * Ends a process, and those that it started: with SIGTERM, then with SIGKILL.
 */
async function stop(child: Deno.ChildProcess): Promise<void> {
  const started = descendants(child.pid);
  kill(child.pid, "SIGTERM");
  const timer = setTimeout(() => kill(child.pid, "SIGKILL"), STOP_TIMEOUT);
  await child.status;
  clearTimeout(timer);
  for (const pid of started) kill(pid, "SIGKILL");
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function lastLine(file: string): string {
  try {
    return Deno.readTextFileSync(file).trim().split("\n").at(-1) ?? "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/**
 * Processor time, user and system, that a process and its descendants have
 * used so far, the ended ones included once their parent has waited for them.
 *
 * @param pid Process id.
 * @returns Seconds.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function processorSeconds(pid: number): number {
  let seconds = processSeconds(pid);
  for (const child of descendants(pid)) {
    try {
      seconds += processSeconds(child);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return seconds;
}

/**
 * Processor time that one thread of this process has used so far.
 *
 * @param tid Thread id; that of the main thread is the process id.
 * @returns Seconds.
 */
export function threadSeconds(tid: number): number {
  const path = `/proc/self/task/${tid}`;
  return Math.max(readTicks(`${path}/stat`).own, readNanoseconds(path));
}

/**
 * Processor time that was used on the whole machine, by any program, including
 * what another virtual machine has taken.
 *
 * @returns Seconds.
 */
export function machineSeconds(): number {
  const [line = ""] = Deno.readTextFileSync("/proc/stat").split("\n", 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    line.trim().split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS;
}

/**
 * Resident memory of a process and its descendants. Of a process without
 * descendants it is `VmRSS`; of several it is the sum of their proportional
 * shares (`Pss`), because they share most of their memory.
 *
 * @param pid Process id.
 * @returns Bytes.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export function residentBytes(pid: number): number {
  const children = descendants(pid);
  if (children.length === 0) {
    return readKilobytes(`/proc/${pid}/status`, "VmRSS");
  }
  let bytes = 0;
  for (const id of [pid, ...children]) {
    try {
      bytes += readKilobytes(`/proc/${id}/smaps_rollup`, "Pss");
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return bytes;
}

/**
 * The processes that a process has started, those that they have started, and
 * so on.
 *
 * @param pid Process id.
 * @returns Process ids, without `pid`; empty if it has none or has ended.
 */
function descendants(pid: number): number[] {
  const found: number[] = [];
  for (const child of children(pid)) found.push(child, ...descendants(child));
  return found;
}

function children(pid: number): number[] {
  const found: number[] = [];
  try {
    for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
      const path = `/proc/${pid}/task/${task.name}/children`;
      const list = Deno.readTextFileSync(path).trim();
      if (list !== "") found.push(...list.split(" ").map(Number));
    }
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return found;
}

/**
 * A process's own time, and that of its ended children. The time in ticks
 * includes all threads that have ended, but lacks up to a tick, which is much
 * if a hundred processes share the work. The time in nanoseconds only includes
 * the threads that still run.
 */
function processSeconds(pid: number): number {
  const { own, children } = readTicks(`/proc/${pid}/stat`);
  let threads = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    threads += readNanoseconds(`/proc/${pid}/task/${name}`);
  }
  return Math.max(own, threads) + children;
}

function readTicks(path: string): { own: number; children: number } {
  const stat = Deno.readTextFileSync(path);
  // The second field is the program's name, in parentheses, and may contain
  // anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields
    .slice(11, 15).map(Number);
  return {
    own: (user + system) / TICKS,
    children: (childUser + childSystem) / TICKS,
  };
}

function readNanoseconds(path: string): number {
  try {
    return parseInt(Deno.readTextFileSync(`${path}/schedstat`)) / NANOSECONDS;
  } catch (error) {
    // The thread has ended, or the system was built without scheduler statistics.
    if (isGone(error)) return 0;
    throw error;
  }
}

function readKilobytes(path: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(
    Deno.readTextFileSync(path),
  );
  // A process that has ended, and was not waited for, has no memory.
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** A process may end after it was listed: before its file is opened, or before it is read (ESRCH, for which Deno has no class). */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Error && error.message.includes("(os error 3)");
}
