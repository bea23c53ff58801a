/**
 * Questions to a directory over the network: each has a time-out, answers may
 * be kept for a while, and a failure is answered with 502 or 504, as the
 * directory's and not the server's.
 *
 * @module
 */

import type { PeerInfo, Refusal } from "../../core/api.ts";
import { describeError } from "../../core/errors.ts";
import { withCertificateRemedy } from "../../core/net/certificate_fault.ts";
import { Deadline, untilAborted } from "../../core/time/deadline.ts";

/** What comes of a question. */
export type Answer = PeerInfo | Refusal | undefined;

/** Asks a directory; it gives up when the signal is aborted. */
export type Ask = (signal: AbortSignal) => Promise<Answer>;

/** How a directory is asked. */
export interface QuestionsOptions {
  /** What is asked, in words, such as `Redis`. */
  readonly directory: string;
  /** Seconds that an answer may take. */
  readonly timeout: number;
  /** Seconds for which answers are kept; 0: not at all. */
  readonly cache: number;
  /**
   * The clock, in milliseconds.
   *
   * @default {performance.now}
   */
  readonly now?: () => number;
}

/** Most answers that are kept of those that name a peer, and of the others. */
const MAX_KEPT = 2000;

/** Characters of the longest key whose answer is kept. */
const MAX_KEY = 2048;

/** An answer that is kept. */
interface Kept {
  readonly answer: Answer;
  /** When it is too old, in milliseconds of the clock. */
  readonly end: number;
}

/** A question that several clients wait for. */
interface Shared {
  readonly answer: Promise<Answer>;
  readonly controller: AbortController;
  waiting: number;
}

/** The reason of a deadline that is over. */
class Overdue extends Error {}

/** Asks a directory. */
export class Questions {
  readonly #options: QuestionsOptions;
  readonly #now: () => number;
  /** Answers that name a peer, the oldest first. */
  readonly #found = new Map<string, Kept>();
  /** The others: many that guess must not displace the ones above. */
  readonly #missing = new Map<string, Kept>();
  readonly #open = new Map<string, Shared>();

  /** @param options How it is asked. */
  constructor(options: QuestionsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * Asks a question, or gives the answer that is kept. Where answers are kept,
   * clients that ask the same at the same time share one question, which is
   * given up when all of them have left.
   *
   * @param key What is asked.
   * @param signal Aborted when the client has left; absent: it does not leave.
   * @param ask Asks the directory; it gives up when its signal is aborted.
   * @returns The answer; a refusal if the directory gave none.
   * @throws {unknown} `signal`'s reason.
   */
  async ask(
    key: string,
    signal: AbortSignal | undefined,
    ask: Ask,
  ): Promise<Answer> {
    const left = signal ?? new AbortController().signal;
    if (this.#options.cache === 0 || key.length > MAX_KEY) {
      return await this.#askWithin(left, ask);
    }
    const kept = this.#take(this.#found, key) ?? this.#take(this.#missing, key);
    if (kept !== undefined) return kept.answer;
    let shared = this.#open.get(key);
    if (shared === undefined) {
      const controller = new AbortController();
      const answer = this.#askWithin(controller.signal, ask);
      shared = { answer, controller, waiting: 0 };
      this.#open.set(key, shared);
      answer.then((answer) => this.#keep(key, answer), () => {})
        .finally(() => this.#forget(key, controller));
    }
    shared.waiting++;
    try {
      return await untilAborted(shared.answer, left);
    } finally {
      shared.waiting--;
      if (shared.waiting === 0) {
        this.#forget(key, shared.controller);
        shared.controller.abort();
      }
    }
  }

  #forget(key: string, controller: AbortController): void {
    if (this.#open.get(key)?.controller === controller) this.#open.delete(key);
  }

  #take(from: Map<string, Kept>, key: string): Kept | undefined {
    const kept = from.get(key);
    if (kept === undefined || this.#now() < kept.end) return kept;
    from.delete(key);
    return undefined;
  }

  #keep(key: string, answer: Answer): void {
    const isRefusal = answer !== undefined && "refuse" in answer;
    // These are temporary: kept, they would refuse other clients without need.
    if (isRefusal && (answer.refuse === 429 || answer.refuse >= 500)) return;
    const into = answer === undefined || isRefusal
      ? this.#missing
      : this.#found;
    into.delete(key);
    if (into.size >= MAX_KEPT) {
      for (const oldest of into.keys()) {
        into.delete(oldest);
        break;
      }
    }
    const end = this.#now() + this.#options.cache * 1000;
    into.set(key, { answer, end });
  }

  async #askWithin(
    signal: AbortSignal,
    ask: Ask,
  ): Promise<Answer> {
    const { directory, timeout } = this.#options;
    const deadline = new Deadline({
      milliseconds: timeout * 1000,
      reason: () => new Overdue(),
      signals: [signal],
    });
    try {
      return await untilAborted(ask(deadline.signal), deadline.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.signal.reason instanceof Overdue) {
        const why = `${directory} has not answered for ${timeout} seconds`;
        return { refuse: 504, why };
      }
      // The function that asks may have a shorter time-out of its own.
      const refuse = error instanceof Deno.errors.TimedOut ? 504 : 502;
      const explained = withCertificateRemedy(error, "directory-ca = FILE");
      return { refuse, why: `${directory}: ${describeError(explained)}` };
    } finally {
      deadline.release();
    }
  }
}

/**
 * Parses an option that is a number of seconds.
 *
 * @param option Its name.
 * @param value Its value.
 * @param least The least that it may be.
 * @returns The number; fractions are allowed.
 * @throws {RangeError} If it is not one, or too small.
 */
export function parseSeconds(
  option: string,
  value: string,
  least: number,
): number {
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(value) ? Number(value) : NaN;
  if (seconds >= least) return seconds;
  throw new RangeError(
    `Cannot use ${option} "${value}": it must be seconds, ${least} or more`,
  );
}
