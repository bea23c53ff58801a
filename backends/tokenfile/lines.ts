/**
 * Parses the token files of websockify.
 *
 * @module
 */

/** What a token file says. */
export interface TokenLines {
  /** The targets by token, as they stand there: of equal tokens the last one. */
  readonly targets: ReadonlyMap<string, TokenTarget>;
  /** Numbers of the lines that are malformed. */
  readonly malformed: readonly number[];
}

/** The target of a token. */
export interface TokenTarget {
  /** Its text, `HOST:PORT` or `unix_socket:PATH`. */
  readonly text: string;
  /** Number of its line. */
  readonly line: number;
}

/**
 * Parses a token file.
 *
 * @param content Lines `TOKEN: TARGET`, with white space behind the colon; empty
 * lines and those that begin with `#` are skipped, and so is white space at both
 * ends of a line.
 * @returns The targets.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseTokenLines } from "./lines.ts";
 *
 * const { targets, malformed } = parseTokenLines(
 *   "# desks\none: 10.0.0.1:5900\ntwo 10.0.0.2:5900",
 * );
 *
 * assertEquals([...targets], [["one", { text: "10.0.0.1:5900", line: 2 }]]);
 * assertEquals(malformed, [3]);
 * ```
 */
export function parseTokenLines(content: string): TokenLines {
  const targets = new Map<string, TokenTarget>();
  const malformed: number[] = [];
  const lines = content.replace(/^\uFEFF/, "").split("\n");
  for (const [index, untrimmed] of lines.entries()) {
    const line = untrimmed.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [token, text, ...others] = line.split(/:\s/);
    // websockify takes a line apart at each of these, and wants two pieces.
    if (token === undefined || text === undefined || others.length > 0) {
      malformed.push(index + 1);
    } else targets.set(token, { text: text.trim(), line: index + 1 });
  }
  return { targets, malformed };
}
