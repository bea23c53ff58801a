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
}

/**
 * A timer among those of its length, in the order in which they end: a ring,
 * as a `Set` would have to hash each of them.
 */
class RingTimer implements SharedTimer {
  /** `undefined` once it has fired or was cancelled. */
  next: RingTimer | undefined = this;
  previous: RingTimer = this;
  readonly end: number;
  readonly callback: () => void;

  constructor(end: number, callback: () => void) {
    this.end = end;
    this.callback = callback;
  }
}

/** For each length, the timers of that length: what begins and ends the ring. */
const queues = new Map<number, RingTimer>();

/** How many timers there are. */
let count = 0;

/** The timer of the runtime, and when it fires; it may be for one that was cancelled. */
let system: ReturnType<typeof setTimeout> | undefined;
let systemEnd = Infinity;

/**
 * Milliseconds after which the runtime's timer is late: the thread was busy, or
 * the process stood still. What has arrived meanwhile may cancel timers, and
 * gets so many milliseconds for it.
 */
const lateness = 100;
const grace = 10;

/** Whether the timers that are due have got them. */
let hadGrace = false;

/**
 * Starts a timer that will most likely be cancelled. All of them share one timer
 * of the runtime, which is set anew only for one that ends before all others:
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
    queue = new RingTimer(Infinity, () => {});
    queues.set(milliseconds, queue);
  }
  const now = performance.now();
  const timer = new RingTimer(now + milliseconds, callback);
  const last = queue.previous;
  timer.next = queue;
  timer.previous = last;
  last.next = timer;
  queue.previous = timer;
  count++;
  if (timer.end < systemEnd) setSystemTimer(timer.end, now);
  return timer;
}

/**
 * Cancels a timer. A timer that has fired, or none, is not an error.
 *
 * @param timer The timer.
 */
export function cancelSharedTimer(timer: SharedTimer | undefined): void {
  if (timer === undefined || !remove(timer as RingTimer)) return;
  if (count > 0) return;
  clearSystemTimer();
  hadGrace = false;
}

/** Takes a timer out of its ring; returns whether it was in it. */
function remove(timer: RingTimer): boolean {
  const { next, previous } = timer;
  if (next === undefined) return false;
  previous.next = next;
  next.previous = previous;
  // It keeps no other one in memory.
  timer.next = undefined;
  timer.previous = timer;
  count--;
  return true;
}

function setSystemTimer(end: number, now: number): void {
  clearTimeout(system);
  system = setTimeout(expire, end - now);
  systemEnd = end;
}

function clearSystemTimer(): void {
  clearTimeout(system);
  system = undefined;
  systemEnd = Infinity;
}

/** Calls back for all timers whose time has passed. */
function expire(): void {
  const now = performance.now();
  const isLate = now - systemEnd > lateness;
  clearSystemTimer();
  if (isLate && !hadGrace) {
    hadGrace = true;
    return setSystemTimer(now + grace, now);
  }
  hadGrace = false;
  let next = Infinity;
  for (const [milliseconds, queue] of queues) {
    for (
      let timer = queue.next!;
      timer !== queue;
      timer = queue.next!
    ) {
      // Timers of the runtime may be early by less than a millisecond.
      if (timer.end - now >= 1) {
        next = Math.min(next, timer.end);
        break;
      }
      remove(timer);
      try {
        timer.callback();
      } catch (error) {
        // The timers after it must fire, too.
        reportError(error);
      }
    }
    if (queue.next === queue) queues.delete(milliseconds);
  }
  if (count > 0 && next < systemEnd) setSystemTimer(next, now);
}
