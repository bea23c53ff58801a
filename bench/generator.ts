/**
 * The benchmark's side of the load generator's process.
 *
 * @module
 */

import { jsonLine, readLines } from "./lines.ts";
import type { LoadAnswer, LoadOrder } from "./load.ts";
import type { LoadRequest, Measurement } from "./measure.ts";
import type { Service, ServiceAddress } from "./services.ts";

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
        new URL("./load.ts", import.meta.url).href,
        directory,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    signal.addEventListener("abort", () => kill(child), { once: true });
    return new Generator(child, readLines(child.stdout), signal);
  }

  /** Whether the process has ended, so that nothing can be measured any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Lets the peer start a service, if it has not yet.
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

  async #ask(order: LoadOrder, seconds: number): Promise<LoadAnswer> {
    const patience = seconds * 1000 + PATIENCE;
    const timer = setTimeout(() => kill(this.#child), patience);
    try {
      // The write fails only if the process has ended, and then so does the read.
      await this.#input.write(jsonLine(order)).catch(() => {});
      const { value } = await this.#lines.next();
      this.#signal.throwIfAborted();
      if (value === undefined) {
        this.#ended = true;
        throw new Error("Cannot measure: the load generator has ended");
      }
      const answer: LoadAnswer = JSON.parse(value);
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
