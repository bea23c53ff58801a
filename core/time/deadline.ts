/**
 * Waits that end: when a signal is aborted, or after too long.
 *
 * @module
 */

import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "./shared_timers.ts";

/** Options for {@linkcode Deadline}. */
export interface DeadlineOptions {
  /** The longest time that it may take. */
  readonly milliseconds: number;
  /** Makes the signal's reason when the time has passed. */
  readonly reason: () => Error;
  /** When one of these is aborted, the signal is, too, for the same reason. */
  readonly signals: readonly AbortSignal[];
}

/** A signal that is aborted after some time, or by other signals. */
export class Deadline {
  #controller = new AbortController();
  #timer: SharedTimer;
  #signals: readonly AbortSignal[];
  #abort = ({ target }: Event): void =>
    this.#controller.abort((target as AbortSignal).reason);

  /**
   * Constructs a new instance.
   *
   * @param options When it is aborted.
   */
  constructor({ milliseconds, reason, signals }: DeadlineOptions) {
    this.#timer = startSharedTimer(
      () => this.#controller.abort(reason()),
      milliseconds,
    );
    this.#signals = signals;
    for (const signal of signals) {
      if (signal.aborted) this.#controller.abort(signal.reason);
      signal.addEventListener("abort", this.#abort);
    }
  }

  /** The signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Cancels the deadline: the signal is not aborted any more. */
  release(): void {
    cancelSharedTimer(this.#timer);
    for (const signal of this.#signals) {
      signal.removeEventListener("abort", this.#abort);
    }
  }
}

/**
 * Waits for a promise until a signal is aborted.
 *
 * @param promise The promise; it continues when the wait is aborted.
 * @param signal Aborts the wait.
 * @param disposeLate Disposes of the value if the promise resolves after that.
 * @returns What the promise resolves to.
 * @throws {unknown} What the promise rejects with, or the signal's reason.
 */
export function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  disposeLate: (late: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    function abort(): void {
      isOver = true;
      reject(signal.reason);
    }
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    promise.then((value) => {
      if (isOver) return disposeLate(value);
      signal.removeEventListener("abort", abort);
      isOver = true;
      resolve(value);
    }, (error) => {
      // The caller has given up: it does not need a later failure.
      signal.removeEventListener("abort", abort);
      reject(error);
    });
  });
}
