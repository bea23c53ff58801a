/**
 * The benchmark's side of the load generator's process.
 *
 * @module
 */

import { jsonLine, readLines } from "./lines.ts";
import type { LoadAnswer } from "./load.ts";
import type { LoadRequest, Measurement } from "./measure.ts";
import type { PeerReady } from "./peer.ts";

/** Milliseconds that a measurement may take beyond what it measures. */
const PATIENCE = 60_000;

/** The load generator, running as a process of its own. */
export class Generator implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string, undefined>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #signal: AbortSignal;
  #ended = false;
  /** Ports of the peer's services. */
  readonly ports: PeerReady["ports"];

  private constructor(
    child: Deno.ChildProcess,
    lines: AsyncGenerator<string, undefined>,
    ports: PeerReady["ports"],
    signal: AbortSignal,
  ) {
    this.#child = child;
    this.#lines = lines;
    this.#input = child.stdin.getWriter();
    this.#signal = signal;
    this.ports = ports;
  }

  /**
   * Starts the process, and waits until its peer listens.
   *
   * @param signal Ends the process, and with it what is being measured.
   * @throws {Error} If the process ends.
   */
  static async start(signal: AbortSignal): Promise<Generator> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--allow-all",
        new URL("./load.ts", import.meta.url).href,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    signal.addEventListener("abort", () => kill(child), { once: true });
    const lines = readLines(child.stdout);
    const { value } = await lines.next();
    if (value === undefined) {
      await child.status;
      throw new Error("Cannot start the load generator: it has ended");
    }
    const ready: PeerReady = JSON.parse(value);
    return new Generator(child, lines, ready.ports, signal);
  }

  /** Whether the process has ended, so that nothing can be measured any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Measures once.
   *
   * @throws {Error} If there is no result.
   */
  async measure(request: LoadRequest): Promise<Measurement> {
    const timer = setTimeout(
      () => kill(this.#child),
      (request.seconds + request.warmUp) * 1000 + PATIENCE,
    );
    try {
      // The write fails only if the process has ended, and then so does the read.
      await this.#input.write(jsonLine(request)).catch(() => {});
      const { value } = await this.#lines.next();
      this.#signal.throwIfAborted();
      if (value === undefined) {
        this.#ended = true;
        throw new Error("Cannot measure: the load generator has ended");
      }
      const answer: LoadAnswer = JSON.parse(value);
      if ("error" in answer) throw new Error(answer.error);
      return answer.measurement;
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
