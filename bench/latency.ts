/**
 * Latency under a fixed rate of messages, measured by a program in C++
 * (`contenders/latency.cpp`): one with garbage collection would measure its own
 * pauses, too.
 *
 * @module
 */

import { join } from "node:path";
import { compileProgram } from "./compile.ts";
import { readLines } from "./generator.ts";

/** How long messages took, in microseconds. */
export interface Percentiles {
  /** The median. */
  readonly p50: number;
  /** What one in a hundred exceeded. */
  readonly p99: number;
  /** What one in a thousand exceeded. */
  readonly p999: number;
}

/** What to measure. */
export interface LatencyRequest {
  /** Port of the bridge. */
  readonly port: number;
  /** Whether it speaks WebSocket. */
  readonly websocket: boolean;
  /** Clients whose messages come back. */
  readonly clients: number;
  /** Whether another client receives in bulk. */
  readonly bulk: boolean;
  /** Messages per second of all clients; 0: each waits for its message, and sends the next. */
  readonly rate: number;
  /** Seconds, of which four fifths count. */
  readonly seconds: number;
}

/** What was measured. */
export interface Latency extends Percentiles {
  /** Messages per second that came back. */
  readonly rate: number;
  /** Bytes per second that the client in bulk received. */
  readonly bulk: number;
}

/** The program, running. */
export class LatencyLoad implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string, undefined>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  /** Where its peer listens, as a contender takes it. */
  readonly address: string;

  private constructor(
    child: Deno.ChildProcess,
    lines: AsyncGenerator<string, undefined>,
    port: string,
  ) {
    this.#child = child;
    this.#lines = lines;
    this.#input = child.stdin.getWriter();
    this.address = `tcp://127.0.0.1:${port}`;
  }

  /**
   * Compiles the program, and starts it.
   *
   * @param directory Where it is to be.
   * @param signal Ends it.
   * @throws {Error} If it cannot be compiled.
   */
  static async start(
    directory: string,
    signal: AbortSignal,
  ): Promise<LatencyLoad> {
    await compileProgram("latency.cpp", directory);
    const child = new Deno.Command(join(directory, "latency"), {
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      signal,
    }).spawn();
    const lines = readLines(child.stdout);
    const { value = "" } = await lines.next();
    return new LatencyLoad(child, lines, value);
  }

  /**
   * Measures once.
   *
   * @throws {Error} If the bridge fails, or cannot keep the rate.
   */
  async measure(request: LatencyRequest): Promise<Latency> {
    const { port, websocket, clients, bulk, rate, seconds } = request;
    const kind = websocket ? "websocket" : "plain";
    const order = [port, kind, clients, Number(bulk), rate, seconds].join(" ");
    await this.#input.write(new TextEncoder().encode(`${order}\n`));
    const { value = "error The load has ended" } = await this.#lines.next();
    if (value.startsWith("error")) throw new Error(value.slice(6));
    const [reached, p50, p99, p999, received] = value.split(" ").map(Number);
    return {
      rate: reached!,
      p50: p50!,
      p99: p99!,
      p999: p999!,
      bulk: received!,
    };
  }

  /** Ends the program. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#input.abort().catch(() => {});
    await this.#lines.return(undefined);
  }
}
