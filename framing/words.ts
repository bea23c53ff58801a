/**
 * Parses a configuration of words, such as `crlf,strip,append`.
 *
 * @module
 */

/** Options for {@linkcode parseWords}. */
export interface WordsOptions<Word extends string> {
  /** Name of the framing function, for errors. */
  readonly framing: string;
  /** The words that it knows. */
  readonly words: readonly Word[];
}

/**
 * Parses a configuration that is a list of words, separated by commas, with or
 * without white space around them.
 *
 * @param config The configuration as it was written.
 * @param options The words that are known.
 * @returns The words that it has; none if it is empty.
 * @throws {SyntaxError} If one is unknown or repeated.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseWords } from "./words.ts";
 *
 * const options = { framing: "newline", words: ["lf", "strip", "append"] };
 *
 * assertEquals([...parseWords("lf, strip", options)], ["lf", "strip"]);
 * assertEquals([...parseWords(" ", options)], []);
 * ```
 */
export function parseWords<Word extends string>(
  config: string,
  { framing, words }: WordsOptions<Word>,
): ReadonlySet<Word> {
  const found = new Set<Word>();
  for (const piece of config.trim() === "" ? [] : config.split(",")) {
    const word = words.find((word) => word === piece.trim());
    if (word === undefined) {
      const why = words.length === 0
        ? "it takes no configuration"
        : `"${piece.trim()}" is not one of ${words.join(", ")}`;
      throw new SyntaxError(`Cannot use ${framing} "${config}": ${why}`);
    }
    if (found.has(word)) {
      throw new SyntaxError(
        `Cannot use ${framing} "${config}": "${word}" is repeated`,
      );
    }
    found.add(word);
  }
  return found;
}
