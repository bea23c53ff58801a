/**
 * Keeps lines of a log short.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { withoutTokens } from "./target.ts";

/**
 * Most bytes of a line with its end: Linux mixes no write of so many to a pipe
 * with those of other threads (PIPE_BUF).
 */
const mostBytes = 4096;

/** Characters of a value, at the most, in a line that would be too long. */
const cuts = [1024, 256, 64];

/** Cuts a value that is too long. */
export type Cut = (value: string) => string;

/**
 * Formats a line, with its long values cut if it would be too long: what a
 * client sends then begins no line of its own, and fills no disk.
 *
 * @param format Formats the line, without its end, and each value with `cut`, if
 * there is one.
 * @returns The line, without what lets others in.
 *
 * @example Usage
 * ```ts
 * import { fitLine } from "./fit.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `/${"x".repeat(9000)}`;
 *
 * assertEquals(
 *   fitLine((cut = (value) => value) => `GET ${cut(path)}`),
 *   `GET ${path.slice(0, 1024)}…`,
 * );
 * ```
 */
export function fitLine(format: (cut?: Cut) => string): string {
  let line = withoutTokens(format());
  for (const most of cuts) {
    if (Buffer.byteLength(line) < mostBytes) break;
    line = withoutTokens(format((value) =>
      // A part of a token would not be known as one.
      value.length > most ? `${withoutTokens(value).slice(0, most)}…` : value
    ));
  }
  return line;
}
