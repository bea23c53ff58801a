/**
 * Finds out that nothing happens, at no cost while something does.
 *
 * @module
 */

/** Options for {@linkcode IdleWatch}. */
export interface IdleWatchOptions {
  /** Milliseconds without progress. */
  readonly timeout: number;
  /** A number that grows with whatever counts as progress. */
  readonly progress: () => number;
  /** Called once, when there was no progress for so long, or a quarter longer. */
  readonly onIdle: () => void;
}

/** In so many parts the time-out is looked at. */
const parts = 4;

/** Looks at a number now and then, and tells when it no longer grows. */
export class IdleWatch {
  #timer: ReturnType<typeof setInterval>;

  /**
   * Starts to watch.
   *
   * @param options What, and for how long.
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

  /** Watches no longer. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
