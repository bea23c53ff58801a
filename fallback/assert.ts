/**
 * Stand-in for `@std/assert`, over `node:assert` and `node:util`.
 *
 * @module
 */

import { AssertionError } from "node:assert";
import { inspect } from "node:util";
import { equal } from "./equal.ts";
import { failWith, suffix } from "./failure.ts";

export { assertRejects, assertThrows } from "./throws.ts";

// deno-lint-ignore no-explicit-any -- the arguments of a constructor do not matter here
type Class<T> = abstract new (...args: any[]) => T;

/** Asserts that `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) failWith(msg);
}

/** Asserts that `expr` is falsy. */
export function assertFalse(
  expr: unknown,
  msg = "",
): asserts expr is false | 0 | 0n | "" | null | undefined {
  if (expr) failWith(msg);
}

/** Asserts that two values are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  failWith(`Values are not equal${suffix(msg)}\n${diff(actual, expected)}`);
}

/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  failWith(
    `Expected actual: ${inspect(actual)} not to be: ${inspect(expected)}${
      suffix(msg)
    }`,
  );
}

/** Asserts that two values are the same one, as by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  failWith(
    `Values are not strictly equal${suffix(msg)}\n${diff(actual, expected)}`,
  );
}

/** Asserts that `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) failWith(msg ?? relation(actual, ">", expected));
}

/** Asserts that `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) failWith(msg ?? relation(actual, "<", expected));
}

/** Asserts that `actual <= expected`. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual <= expected)) failWith(msg ?? relation(actual, "<=", expected));
}

/** Asserts that a value is an instance of a class. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg = "",
): asserts actual is T {
  if (actual instanceof expectedType) return;
  failWith(
    `Expected object to be an instance of "${expectedType.name}" but was ${
      inspect(actual, { depth: 0 })
    }${suffix(msg)}`,
  );
}

/** Asserts that a string matches a regular expression. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  if (expected.test(actual)) return;
  failWith(
    `Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`,
  );
}

/** Asserts that a string contains another one. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (actual.includes(expected)) return;
  failWith(
    `Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`,
  );
}

/** Fails. */
export function fail(msg?: string): never {
  failWith(`Failed assertion${suffix(msg)}`);
}

/** Fails, at a place that is never to be reached. */
export function unreachable(msg?: string): never {
  failWith(`Unreachable${suffix(msg)}`);
}

function relation(
  actual: unknown,
  operator: string,
  expected: unknown,
): string {
  return `Expect ${inspect(actual)} ${operator} ${inspect(expected)}`;
}

function diff(actual: unknown, expected: unknown): string {
  return new AssertionError({ actual, expected, operator: "deepStrictEqual" })
    .message;
}
