/**
 * Waits for a plugin, with a limit.
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
 * Waits for a promise for a limited time.
 *
 * @param promise What to wait for; it continues when the wait ends.
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
  // After the wait, a rejection has no handler; it must not count as uncaught.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
