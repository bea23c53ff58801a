/**
 * Deep equality as `@std/assert` has it, over that of `node:util`.
 *
 * @module
 */

import { isDeepStrictEqual } from "node:util";

/**
 * Reports whether two values are deeply equal. Other than for
 * `isDeepStrictEqual`, 0 and -0 are equal, so are an object without a prototype
 * and a plain one, and errors are equal only if their stacks are.
 *
 * @param a One value.
 * @param b The other one.
 */
export function equal(a: unknown, b: unknown): boolean {
  return compare(a, b, new Map());
}

function compare(
  a: unknown,
  b: unknown,
  seen: Map<unknown, unknown>,
): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (a instanceof Error && b instanceof Error) {
    return a.stack === b.stack && isDeepStrictEqual(a, b);
  }
  if (Array.isArray(a) !== Array.isArray(b) || !isBasic(a) || !isBasic(b)) {
    return isDeepStrictEqual(a, b);
  }
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  const keys = Reflect.ownKeys(a);
  return keys.length === Reflect.ownKeys(b).length &&
    keys.every((key) =>
      Object.hasOwn(b, key) &&
      compare(Reflect.get(a, key), Reflect.get(b, key), seen)
    );
}

/** Whether a value is a plain object or array. */
function isBasic(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype ||
    prototype === Array.prototype;
}
