/**
 * The assertions on errors of `@std/assert`.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { failWith, suffix } from "./failure.ts";

// deno-lint-ignore no-explicit-any -- the arguments of a constructor do not matter here
type Class<T> = abstract new (...args: any[]) => T;

/** Asserts that a function throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that a function throws an error of a class, and returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const expected = toExpected(classOrMsg, msgIncludes, msg);
  try {
    fn();
  } catch (error) {
    return checkError(error, expected, "thrown");
  }
  failWith(`Expected function to throw${suffix(expected.msg)}`);
}

/** Asserts that a promise is rejected, and returns what it was rejected with. */
export function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/** Asserts that a promise is rejected with an error of a class, and returns the error. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const expected = toExpected(classOrMsg, msgIncludes, msg);
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
  } catch {
    // What it threw does not matter: it was to return a promise.
  }
  if (typeof promise?.then !== "function") {
    failWith(`Function throws when expected to reject${suffix(expected.msg)}`);
  }
  try {
    await promise;
  } catch (error) {
    return checkError(error, expected, "rejected");
  }
  failWith(`Expected function to reject${suffix(expected.msg)}`);
}

interface ExpectedError {
  readonly ErrorClass?: Class<Error> | undefined;
  readonly msgIncludes?: string | undefined;
  readonly msg?: string | undefined;
}

function toExpected(
  classOrMsg: Class<Error> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): ExpectedError {
  return typeof classOrMsg === "string"
    ? { msg: classOrMsg }
    : { ErrorClass: classOrMsg, msgIncludes, msg };
}

function checkError(
  error: unknown,
  { ErrorClass, msgIncludes, msg }: ExpectedError,
  how: "thrown" | "rejected",
): unknown {
  if (ErrorClass === undefined) return error;
  if (!(error instanceof Error)) {
    failWith(`A non-Error object was ${how}${suffix(msg)}`);
  }
  const { name } = error.constructor;
  if (!(error instanceof ErrorClass)) {
    failWith(
      `Expected error to be instance of "${ErrorClass.name}", but was "${name}"${
        suffix(msg)
      }`,
    );
  }
  const message = stripVTControlCharacters(error.message);
  if (!message.includes(stripVTControlCharacters(msgIncludes ?? ""))) {
    failWith(
      `Expected error message to include ${
        JSON.stringify(msgIncludes)
      }, but got ${JSON.stringify(error.message)}${suffix(msg)}`,
    );
  }
  return error;
}
