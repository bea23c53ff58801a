/**
 * Cheap timers for time-outs that hardly ever occur.
 *
 * @module
 */

/** A timer that was started. */
export interface SharedTimer {
  /** When it fires, in milliseconds of `performance.now()`. */
  readonly end: number;
  /** Called then. */
  readonly callback: () => void;
  /** The timers of the same length. */
  readonly queue: TimerQueue;
}

/** For each length, the timers of that length. */
const queues = new Map<number, TimerQueue>();

/**
 * Starts a timer that will most likely be cancelled. All timers of the same
 * length share a queue, and only the first of them uses a timer of the runtime:
 * starting and cancelling one of many costs next to nothing.
 *
 * @param callback Called when the time has passed.
 * @param milliseconds The length; use only a few lengths, as each has its own
 * queue.
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
 * Cancels a timer. A timer that has fired, or none, is not an error.
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
      // Timers of the runtime may be early by less than a millisecond.
      if (timer.end - now >= 1) {
        this.#system = setTimeout(() => this.#expire(), timer.end - now);
        return;
      }
      this.#timers.delete(timer);
      try {
        timer.callback();
      } catch (error) {
        // The timers after it must fire, too.
        reportError(error);
      }
    }
    this.#giveUp();
  }
}
