/**
 * Aborts work that takes too long, or is no longer needed.
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
