/**
 * The threads that serve clients beside the first one.
 *
 * @module
 */

import type { GivenOption } from "../config/config.ts";
import type { CoreConfig } from "../config/options.ts";
import { whyUnreadable } from "../files/own_module.ts";
import type { Answers, QuestionOf } from "../server/questions.ts";
import type { MetricsSnapshot } from "../telemetry/snapshot.ts";
import type {
  FromThread,
  ThreadOrder,
  ThreadStart,
  ToThread,
} from "./messages.ts";

/** Options for {@linkcode Threads.start}. */
export interface ThreadsOptions extends ThreadStart {
  /** URL of the module that calls `runThread`. */
  readonly module: string;
  /** Number of threads, including the first one. */
  readonly count: number;
  /** Gives the metrics of all threads to one of them. */
  readonly gatherMetrics: () => Promise<readonly MetricsSnapshot[]>;
  /** Called when a thread has ended unexpectedly. */
  readonly onError: (error: Error) => void;
}

/** Threads that listen on the port of the first one. */
export class Threads {
  #threads: readonly Thread[];

  private constructor(threads: readonly Thread[]) {
    this.#threads = threads;
  }

  /**
   * Starts threads.
   *
   * @param options Their number, and what they serve.
   * @returns The threads, when all of them listen.
   * @throws {Error} If one of them cannot start.
   */
  static async start(options: ThreadsOptions): Promise<Threads> {
    const { module, count, gatherMetrics, onError, ...others } = options;
    const threads = Array.from(
      { length: count - 1 },
      (_, index) =>
        new Thread(module, `thread ${index + 2}`, { gatherMetrics, onError }),
    );
    await Promise.all(threads.map((thread, index) => {
      const place = { index: index + 1, count };
      return thread.order({ kind: "start", ...others, place });
    }));
    return new Threads(threads);
  }

  /**
   * Makes them use another configuration for new connections.
   *
   * @param options Its options, which are valid.
   */
  async reload(options: readonly GivenOption[]): Promise<void> {
    await this.#orderAll({ kind: "reload", options });
  }

  /** Makes them open the files of their logs again. */
  async reopenLogs(): Promise<void> {
    await this.#orderAll({ kind: "reopen" });
  }

  /**
   * Asks one of them.
   *
   * @param index Its number, from 1: the first thread, 0, is not among them.
   * @param question The question.
   * @returns The answer.
   */
  async ask<Kind extends keyof Answers>(
    index: number,
    question: QuestionOf<Kind>,
  ): Promise<Answers[Kind]> {
    const answer = await this.#threads[index - 1]!.order({
      kind: "ask",
      question,
    });
    return answer as Answers[Kind];
  }

  /**
   * Makes them stop listening.
   *
   * @returns A promise that resolves when no connection is left, or after
   * `drain-timeout`.
   */
  async leave(): Promise<void> {
    await this.#orderAll({ kind: "leave" });
  }

  /**
   * Ends them.
   *
   * @returns A promise that resolves when they have: each waits for its
   * connections as long as its configuration says.
   */
  async end(): Promise<void> {
    await this.#orderAll({ kind: "end" });
  }

  async #orderAll(order: ThreadOrder): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.order(order)));
  }
}

/** A worker that carries out orders. */
class Thread {
  #worker: Worker;
  #lastId = 0;
  #orders = new Map<number, PromiseWithResolvers<unknown>>();

  constructor(
    module: string,
    name: string,
    { gatherMetrics, onError }: Pick<
      ThreadsOptions,
      "gatherMetrics" | "onError"
    >,
  ) {
    this.#worker = new Worker(module, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>): void => {
      if ("gather" in data) {
        const { gather: gathered } = data;
        gatherMetrics().then(
          (metrics) => this.#send({ gathered, metrics }),
          () => this.#send({ gathered }),
        );
        return;
      }
      const { id, failure, answer } = data;
      const order = this.#orders.get(id)!;
      this.#orders.delete(id);
      if (failure === undefined) order.resolve(answer);
      else order.reject(new Error(failure));
    };
    this.#worker.onerror = (event): void => {
      event.preventDefault();
      onError(new Error(`${name} has ended: ${event.message}`));
    };
  }

  /** Sends an order; the promise resolves when it is carried out. */
  order(order: ThreadOrder): Promise<unknown> {
    const id = ++this.#lastId;
    const carriedOut = Promise.withResolvers<unknown>();
    this.#orders.set(id, carriedOut);
    this.#send({ id, order });
    return carriedOut.promise;
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}

/**
 * Decides how many threads serve a configuration.
 *
 * @param core The configuration.
 * @returns Their number, and why there is only one if it asks for more.
 */
export function countThreads(
  { threads, listen }: CoreConfig,
): { readonly count: number; readonly why?: string } {
  const count = threads === "auto" ? navigator.hardwareConcurrency : threads;
  if (count === 1) return { count };
  if (listen.transport === "unix") {
    return { count: 1, why: "a Unix socket is not shared by threads" };
  }
  return Deno.build.os === "linux"
    ? { count }
    : { count: 1, why: "this system does not share a port among threads" };
}

/**
 * Tells whether threads may start; Deno would report it from within each.
 *
 * @param module URL of the module that calls `runThread`.
 * @returns Which permission is missing, if one is.
 */
export function whyNoThreads(module: string): string | undefined {
  const why = whyUnreadable(module);
  return why && `threads need to read the program: ${why}`;
}
