/**
 * Starts contenders, and ends them.
 *
 * @module
 */

import type { Contender, Place, Settings } from "./contenders.ts";
import { descendants } from "./process.ts";

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
export interface StartOptions extends Omit<Place, "port">, Settings {
  /** Gives up the wait. */
  readonly signal: AbortSignal;
}

const START_TIMEOUT = 15_000;
const STOP_TIMEOUT = 2000;
/** Milliseconds between two attempts to connect. */
const ATTEMPT_INTERVAL = 2;
const HOST = "127.0.0.1";

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
  const command = contender.command({ ...options, port }, options);
  const start = performance.now();
  // The shell gives way to the program, which so writes its log to a file and
  // costs nobody the time to read it.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log]
      .concat(command),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await accepts(port, child, options.signal);
    return {
      pid: child.pid,
      port,
      startTime: performance.now() - start,
      [Symbol.asyncDispose]: () => stop(child),
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
