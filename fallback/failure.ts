/**
 * How an assertion fails.
 *
 * @module
 */

/** What a failed assertion throws. */
class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** What follows a message: `msg`, or a full stop. */
export function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}

/** Throws the error that the test runner shows. */
export function failWith(message: string): never {
  throw new AssertionError(message);
}
