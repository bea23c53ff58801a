/**
 * Waiting that can be given up.
 *
 * @module
 */

/**
 * Waits for a promise until a signal is aborted.
 *
 * @param promise What to wait for; it goes on when the wait is given up.
 * @param signal Gives up when it is aborted.
 * @param disposeLate Takes what the promise resolves to after that.
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
      // After that, a failure is of no interest: the caller has given up.
      signal.removeEventListener("abort", abort);
      reject(error);
    });
  });
}
