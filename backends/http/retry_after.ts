/**
 * Parses the field `Retry-After`.
 *
 * @module
 */

/** Seconds: the longest wait that a client is told. */
const MAX_SECONDS = 86_400;

/**
 * Parses the field `Retry-After` (RFC 9110, section 10.2.3).
 *
 * @param value Its value, seconds or a date; `null` if there is none.
 * @param now The time, in milliseconds since 1970.
 * @returns Seconds, a day at most; `undefined` if it says none.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseRetryAfter } from "./retry_after.ts";
 *
 * assertEquals(parseRetryAfter("7"), 7);
 * assertEquals(parseRetryAfter("Thu, 01 Jan 1970 00:01:00 GMT", 0), 60);
 * assertEquals(parseRetryAfter("soon"), undefined);
 * ```
 */
export function parseRetryAfter(
  value: string | null,
  now: number = Date.now(),
): number | undefined {
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value.trim())
    ? Number(value)
    : Math.ceil((Date.parse(value) - now) / 1000);
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(seconds, 0), MAX_SECONDS);
}
