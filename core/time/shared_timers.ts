/**
 * Timers for what hardly ever takes too long.
 *
 * @module
 */

/** A timer that was started. */
export interface SharedTimer {
  /** When it is over, in milliseconds of `performance.now()`. */
  readonly end: number;
  /** Called then. */
  readonly callback: () => void;
  /** The timers of the same length. */
  readonly queue: TimerQueue;
}

/** For each length, the timers of that length. */
const queues = new Map<number, TimerQueue>();

/**
 * Starts a timer that will most likely be cancelled. All of the same length
 * stand in one queue, and only the first of them takes a timer of the system:
 * starting and cancelling one of many costs next to nothing.
 *
 * @param callback Called when the time is over.
 * @param milliseconds How long it takes; one of a few lengths, as each has a
 * queue of its own.
 * @returns The timer.
 */
export function startSharedTimer(
  callback: () => void,
  milliseconds: number,
): SharedTimer {
  let queue = queues.get(milliseconds);
  if (queue === undefined) {
    queue = new TimerQueue(milliseconds);
    queues.set(milliseconds, queue);
  }
  return queue.start(callback);
}

/**
 * Cancels a timer. One that is over, or none, is no error.
 *
 * @param timer The timer.
 */
export function cancelSharedTimer(timer: SharedTimer | undefined): void {
  timer?.queue.cancel(timer);
}

/** Timers of one length, which end in the order in which they were started. */
class TimerQueue {
  #length: number;
  #timers = new Set<SharedTimer>();
  #system: ReturnType<typeof setTimeout>;

  constructor(length: number) {
    this.#length = length;
    this.#system = setTimeout(() => this.#expire(), length);
  }

  start(callback: () => void): SharedTimer {
    const end = performance.now() + this.#length;
    const timer = { end, callback, queue: this };
    this.#timers.add(timer);
    return timer;
  }

  cancel(timer: SharedTimer): void {
    if (this.#timers.delete(timer) && this.#timers.size === 0) this.#giveUp();
  }

  #giveUp(): void {
    clearTimeout(this.#system);
    if (queues.get(this.#length) === this) queues.delete(this.#length);
  }

  #expire(): void {
    const now = performance.now();
    for (const timer of this.#timers) {
      // Timers of the system may be early by less than a millisecond.
      if (timer.end - now >= 1) {
        this.#system = setTimeout(() => this.#expire(), timer.end - now);
        return;
      }
      this.#timers.delete(timer);
      try {
        timer.callback();
      } catch (error) {
        // Those behind it are not to wait for ever.
        reportError(error);
      }
    }
    this.#giveUp();
  }
}
