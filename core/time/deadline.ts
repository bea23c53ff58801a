/**
 * Giving up what takes too long, or is no longer wanted.
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
  /** How long it may take. */
  readonly milliseconds: number;
  /** Makes the reason of the signal when that is over. */
  readonly reason: () => Error;
  /** It is given up, for their reason, when one of these is aborted. */
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

  /** Ends it: the signal is not aborted any more. */
  release(): void {
    cancelSharedTimer(this.#timer);
    for (const signal of this.#signals) {
      signal.removeEventListener("abort", this.#abort);
    }
  }
}
