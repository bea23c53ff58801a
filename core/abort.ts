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
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  disposeLate: (late: T) => void = () => {},
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  function abort(): void {
    reject(signal.reason);
    // Nobody is left to whom a failure would mean anything.
    promise.then(disposeLate, () => {});
  }
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
