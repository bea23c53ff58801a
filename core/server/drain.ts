/**
 * Whether new connections are taken, and the wait for the open ones to end.
 *
 * @module
 */

import { unavailable } from "../accept/refusal.ts";
import type { Log } from "../log/log.ts";

/**
 * ```
 * taking ◄── admitNew() ──► paused
 *    │ leave()                │ leave()
 *    ▼                        ▼
 *   left                     shut
 *    └── of any: begin() ─────┘
 *                │
 *                ▼
 *            draining ── the time is over ──► over
 * ```
 */
type State =
  /** New connections are taken. */
  | "taking"
  /** An operator lets none in. */
  | "paused"
  /** It has stopped listening, and serves those who had connected before. */
  | "left"
  /** It has stopped listening, after an operator let none in. */
  | "shut"
  /** The server shuts down: the open connections have time to end. */
  | "draining"
  /** It waits no longer. */
  | "over";

/** Milliseconds between two lines of the log that tell how many are open. */
const reportInterval = 60_000;

/**
 * Counts the connections of a server, from the query of their backend to the end
 * of their bridge, and waits for their ends.
 */
export class Drain {
  #log: Log;
  #state: State = "taking";
  #open = 0;
  #beginning = new AbortController();
  #over = new AbortController();
  /** Resolves when the server no longer waits. */
  #timeout = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Resolves when none is open; absent: nothing waits for it. */
  #emptied: PromiseWithResolvers<void> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param log Told how many are open during the wait.
   */
  constructor(log: Log) {
    this.#log = log;
  }

  /** Aborted when the server begins to shut down, with the refusal of new requests. */
  get beginning(): AbortSignal {
    return this.#beginning.signal;
  }

  /** Aborted when the server no longer waits. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether new connections are taken. */
  get isTaking(): boolean {
    return this.#state === "taking";
  }

  /**
   * Takes new connections from now on, or none; does nothing once the server has
   * stopped listening, or shuts down.
   *
   * @param isTaking Whether they are taken.
   */
  admitNew(isTaking: boolean): void {
    if (this.#state !== "taking" && this.#state !== "paused") return;
    this.#state = isTaking ? "taking" : "paused";
  }

  /**
   * Checks that new connections are taken.
   *
   * @throws {RequestError} 503 if they are not.
   */
  check(): void {
    this.#beginning.signal.throwIfAborted();
    if (this.#state === "taking" || this.#state === "left") return;
    throw unavailable("no new connections are taken now");
  }

  /** The server has stopped listening. */
  leave(): void {
    if (this.#state === "taking") this.#state = "left";
    else if (this.#state === "paused") this.#state = "shut";
  }

  /** Counts a connection. */
  add(): void {
    this.#open++;
  }

  /** Stops counting a connection that has ended. */
  remove(): void {
    this.#open--;
    if (this.#open > 0) return;
    this.#emptied?.resolve();
    this.#emptied = undefined;
  }

  /**
   * Waits for the open connections while the server does not shut down.
   *
   * @param seconds How long.
   * @returns A promise that resolves when none is left, or after that time.
   */
  async wait(seconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, seconds * 1000);
    await this.#waitUntil(promise);
    clearTimeout(timer);
  }

  /**
   * Begins to shut down.
   *
   * @param seconds When it is over.
   * @returns Whether it begins: otherwise it has begun before.
   */
  begin(seconds: number): boolean {
    if (this.#state === "draining" || this.#state === "over") return false;
    this.#state = "draining";
    this.#beginning.abort(unavailable("server is shutting down"));
    this.#timer = setTimeout(() => {
      this.#state = "over";
      this.#over.abort();
      this.#timeout.resolve();
    }, seconds * 1000);
    return true;
  }

  /**
   * Waits for the open connections.
   *
   * @returns How many are still open when the time is over.
   */
  async finish(): Promise<number> {
    await this.#waitUntil(this.#timeout.promise);
    return this.#open;
  }

  /**
   * Waits for a step of the shutdown, until the time is over.
   *
   * @param step The step.
   */
  async within(step: Promise<void>): Promise<void> {
    await Promise.race([step, this.#timeout.promise]);
  }

  /** The shutdown has ended: its time is not over any more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  async #waitUntil(timeout: Promise<void>): Promise<void> {
    if (this.#open === 0) return;
    this.#emptied ??= Promise.withResolvers();
    const report = setInterval(() => {
      this.#log("info", "draining", { open: this.#open });
    }, reportInterval);
    await Promise.race([this.#emptied.promise, timeout]);
    clearInterval(report);
  }
}
