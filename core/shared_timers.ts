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
  readonly queue: Set<SharedTimer>;
}

/** For each length, the timers in the order in which they end. */
const queues = new Map<number, Set<SharedTimer>>();

/**
 * Starts a timer that will most likely be cancelled. All of the same length
 * stand in one queue, and only the first of them takes a timer of the system:
 * starting and cancelling one of many costs next to nothing. They keep no
 * process alive.
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
    queue = new Set();
    queues.set(milliseconds, queue);
    watch(queue, milliseconds, milliseconds);
  }
  const end = performance.now() + milliseconds;
  const timer = { end, callback, queue };
  queue.add(timer);
  return timer;
}

/**
 * Cancels a timer. One that is over, or none, is no error.
 *
 * @param timer The timer.
 */
export function cancelSharedTimer(timer: SharedTimer | undefined): void {
  timer?.queue.delete(timer);
}

/** Waits for the first timer of a queue; one that stays empty is given up. */
function watch(
  queue: Set<SharedTimer>,
  length: number,
  milliseconds: number,
): void {
  Deno.unrefTimer(setTimeout(() => expire(queue, length), milliseconds));
}

function expire(queue: Set<SharedTimer>, length: number): void {
  const now = performance.now();
  for (const timer of queue) {
    // Timers of the system may be early by less than a millisecond.
    if (timer.end - now >= 1) {
      watch(queue, length, timer.end - now);
      return;
    }
    queue.delete(timer);
    try {
      timer.callback();
    } catch (error) {
      // Those behind it are not to wait for ever.
      reportError(error);
    }
  }
  queues.delete(length);
}
