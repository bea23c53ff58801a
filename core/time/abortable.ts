/**
 * Waits that can be aborted.
 *
 * @module
 */

/**
 * Waits for a promise until a signal is aborted.
 *
 * @param promise The promise; it continues when the wait is aborted.
 * @param signal Aborts the wait.
 * @param disposeLate Disposes of the value if the promise resolves after that.
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
      // The caller has given up: it does not need a later failure.
      signal.removeEventListener("abort", abort);
      reject(error);
    });
  });
}
