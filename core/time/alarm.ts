/**
 * Timers for a time of day, however far away.
 *
 * @module
 */

/** Milliseconds: the longest that a timer of the runtime is trusted with. */
const longest = 3_600_000;

/**
 * Calls a function at a time of day. A clock that is set, or a machine that was
 * asleep, is noticed within an hour.
 *
 * @param callback Called then, soon if it has passed.
 * @param time Milliseconds since 1970.
 * @returns Cancels it, if it has not been called.
 */
export function startAlarm(callback: () => void, time: number): () => void {
  let timer: ReturnType<typeof setTimeout>;
  function wait(): void {
    const rest = time - Date.now();
    // Some timers are early by less than a millisecond.
    timer = rest < 1 ? setTimeout(callback, 0) : setTimeout(
      wait,
      Math.min(rest, longest),
    );
  }
  wait();
  return () => clearTimeout(timer);
}
