/**
 * The load generator as the benchmark sees it: a process, what it is asked to
 * measure, and what it answers.
 *
 * @module
 */

import type { Target } from "./client.ts";
import type { Service, ServiceAddress } from "./peer.ts";

/** Name of a load. */
export type LoadName =
  | "receive-bytes"
  | "receive-messages"
  | "send"
  | "round-trips"
  | "connections"
  | "churn";

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
  /**
   * The load; `idle`: the memory of connections that do nothing; `gone`: that
   * of connections that have ended.
   */
  readonly load: LoadOptions["load"] | "idle" | "gone";
  /** Process id of the bridge. */
  readonly pid: number;
  /** Seconds that are measured. */
  readonly seconds: number;
  /** Processor seconds after which a bridge counts as warm. */
  readonly warm: number;
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
  /** Payload bytes that clients received, as they came. */
  readonly received: number;
  /** Processor seconds of the bridge and all processes that it started. */
  readonly bridge: number;
  /** Processor seconds of the generator's clients. */
  readonly client: number;
  /** Processor seconds of the generator's peer. */
  readonly peer: number;
  /** Processor seconds of the whole machine. */
  readonly machine: number;
  /** For `idle` and `gone`: bytes of memory that the bridge has grown by; else 0. */
  readonly memory: number;
}

/** A request to the generator. */
export type Order =
  | { readonly serve: Service }
  | { readonly measure: LoadRequest };

/** The generator's answer. */
export type Answer =
  | { readonly served: ServiceAddress }
  | { readonly measured: Measurement }
  | { readonly error: string };

/** Milliseconds that an answer may take beyond what it measures. */
const PATIENCE = 90_000;

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
        import.meta.resolve("./loads.ts"),
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

/**
 * Reads lines.
 *
 * @param stream Bytes, UTF-8.
 * @returns The lines, without their ends; an unterminated last one is dropped.
 */
export async function* readLines(
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
export function jsonLine(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value) + "\n");
}
