/**
 * The `newline` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";
import { createDelimiterSearch } from "./delimiter.ts";

/** The byte sequences that end a line, by their names. */
const NEWLINES: ReadonlyMap<string, readonly number[]> = new Map([
  ["crlf", [0x0d, 0x0a]],
  ["lfcr", [0x0a, 0x0d]],
  ["lf", [0x0a]],
  ["cr", [0x0d]],
]);

/**
 * Makes a framer that waits for the end of a line and sends the line, and its
 * end with it, as text if it is valid UTF-8 and as a binary message otherwise.
 *
 * @param config What ends a line: `crlf`, `lfcr`, `lf` or `cr`; empty: `crlf`.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is none of these.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createNewline } from "./newline.ts";
 *
 * const framer = createNewline("lf");
 * const data = new TextEncoder().encode("one\ntwo");
 *
 * assertEquals(framer.frame(data, 7), { length: 4, type: "text" });
 * assertEquals(framer.frame(data.subarray(4), 3), null);
 * ```
 */
export function createNewline(config: string): Framer {
  const newline = NEWLINES.get(config.trim() || "crlf");
  if (newline === undefined) {
    const names = [...NEWLINES.keys()].join(", ");
    throw new SyntaxError(
      `Cannot use newline "${config}": it must be one of ${names}`,
    );
  }
  const find = createDelimiterSearch(new Uint8Array(newline));

  return {
    remainder: "text",
    frame(data: Uint8Array, fresh: number): Frame | null {
      const length = find(data, fresh);
      return length === 0 ? null : { length, type: "text" };
    },
  };
}
