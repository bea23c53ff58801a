/**
 * Detects inactivity, at no cost for each activity.
 *
 * @module
 */

/** Options for {@linkcode IdleWatch}. */
export interface IdleWatchOptions {
  /** Milliseconds without progress. */
  readonly timeout: number;
  /** Returns a number that grows with each progress. */
  readonly progress: () => number;
  /** Called once, after so long without progress, or up to a quarter longer. */
  readonly onIdle: () => void;
}

/** How often the number is compared within the time-out. */
const parts = 4;

/** Compares a number now and then, and reports when it no longer grows. */
export class IdleWatch {
  #timer: ReturnType<typeof setInterval>;

  /**
   * Starts to watch.
   *
   * @param options What to watch, and for how long.
   */
  constructor({ timeout, progress, onIdle }: IdleWatchOptions) {
    let most = progress();
    let quiet = 0;
    this.#timer = setInterval(() => {
      const now = progress();
      quiet = now > most ? 0 : quiet + 1;
      most = Math.max(most, now);
      if (quiet < parts) return;
      this.stop();
      onIdle();
    }, timeout / parts);
  }

  /** Stops watching. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
