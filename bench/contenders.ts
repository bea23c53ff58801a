/**
 * What is compared: how each bridge and each plain relay is started, and ended.
 *
 * @module
 */

import { join } from "node:path";
import { descendants } from "./process.ts";

/** A program that connects clients to a peer. */
export interface Contender {
  /** Its name in the options and in the tables. */
  readonly name: string;
  /** Whether it speaks WebSocket with its clients; a plain TCP relay does not. */
  readonly websocket: boolean;
  /** Whether it starts a process for every connection. */
  readonly forks: boolean;
  /** Whether it has framing functions, and so can be asked for lines. */
  readonly frames: boolean;
  /** The command that starts it. */
  command(place: Place, settings: Settings): string[];
}

/** Where a contender listens, and connects to. */
export interface Place {
  /** Port on 127.0.0.1 at which it is to listen. */
  readonly port: number;
  /** Port on 127.0.0.1 of its peer. */
  readonly peerPort: number;
  /** Framing function, where it has any. */
  readonly framing: "binary" | "newline";
  /** A directory for its files. */
  readonly directory: string;
}

/** What the user said about starting websocksy. */
export interface Settings {
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
}

const START_TIMEOUT = 15_000;
const STOP_TIMEOUT = 2000;
const HOST = "127.0.0.1";
const MAIN = join(import.meta.dirname!, "..", "main.ts");

/** The contenders, in the order of the tables. */
export const contenders: readonly Contender[] = [
  websocksy("native"),
  websocksy("stream"),
  {
    name: "websockify",
    websocket: true,
    forks: true,
    frames: false,
    command: ({ port, peerPort }) => [
      "websockify",
      "--heartbeat=0",
      `${HOST}:${port}`,
      `${HOST}:${peerPort}`,
    ],
  },
  {
    name: "socat",
    websocket: false,
    forks: true,
    frames: false,
    // Its default of 8 KiB for a read would not do it justice.
    command: ({ port, peerPort }) => [
      "socat",
      "-b262144",
      `TCP-LISTEN:${port},bind=${HOST},reuseaddr,fork,nodelay,backlog=1024`,
      `TCP:${HOST}:${peerPort},nodelay`,
    ],
  },
  {
    name: "haproxy",
    websocket: false,
    forks: false,
    frames: false,
    command(place): string[] {
      const file = `${place.directory}/haproxy.cfg`;
      Deno.writeTextFileSync(file, haproxyConfig(place));
      return ["haproxy", "-db", "-f", file];
    },
  },
];

/**
 * Starts a contender, and waits until it accepts connections.
 *
 * @param signal Gives up the wait.
 * @throws {Error} If it ends, or does not accept a connection within 15
 * seconds. The message has the last line that it wrote.
 */
export async function startContender(
  contender: Contender,
  options: Omit<Place, "port"> & Settings & { readonly signal: AbortSignal },
): Promise<RunningContender> {
  const port = freePort();
  const log = `${options.directory}/${contender.name}.log`;
  const command = contender.command({ ...options, port }, options);
  // The shell gives way to the program, which so writes its log to a file and
  // costs nobody the time to read it.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log]
      .concat(command),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const running = {
    pid: child.pid,
    port,
    [Symbol.asyncDispose]: () => stop(child),
  };
  try {
    await accepts(port, child, options.signal);
    return running;
  } catch (error) {
    await stop(child);
    const why = lastLine(log) || (error as Error).message;
    throw new Error(`Cannot start "${contender.name}": ${why}`, {
      cause: error,
    });
  }
}

function websocksy(engine: string): Contender {
  return {
    name: engine,
    websocket: true,
    forks: false,
    frames: true,
    command: ({ port, peerPort, framing }, settings) => [
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-net",
      "--allow-read",
      "--allow-write",
      ...settings.denoArguments,
      MAIN,
      `--listen=${HOST}`,
      `--port=${port}`,
      ...(engine === "native" ? [] : [`--engine=${engine}`]),
      "-c",
      `host=tcp://${HOST}:${peerPort}`,
      "-c",
      `framing=${framing}`,
      ...settings.websocksyArguments,
    ],
  };
}

function haproxyConfig({ port, peerPort }: Place): string {
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
  server peer ${HOST}:${peerPort}
`;
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
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Ends a process, and those that it started: politely, then by force. */
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
