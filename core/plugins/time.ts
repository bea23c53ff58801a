/**
 * Waiting for a plugin, which may take its time.
 *
 * @module
 */

/** Options for {@linkcode withinTime}. */
export interface WithinTimeOptions {
  /** Milliseconds. */
  readonly timeout: number;
  /** What is waited for, in words. */
  readonly what: string;
}

/**
 * Waits for a promise, but not for ever.
 *
 * @param promise What to wait for; it goes on when the wait is given up.
 * @param options How long.
 * @returns What the promise resolves to.
 * @throws {Error} What the promise rejects with, or that it took too long.
 */
export async function withinTime<T>(
  promise: Promise<T>,
  { timeout, what }: WithinTimeOptions,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`${what} took more than ${timeout / 1000} seconds`)),
    timeout,
  );
  // Once it is given up, nobody is left to whom a failure would mean anything.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
