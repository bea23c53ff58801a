/**
 * What is known of an option. The command line, the configuration file,
 * `--help`, the shells' completions, the manual page and the reference are all
 * made of it.
 *
 * @module
 */

/**
 * What the value of an option is, so far as a shell can complete it:
 *
 * - `file`, `directory`: a path
 * - `listen`: a host of this machine, or `unix:PATH`
 * - `backend`: the name of a built-in backend, or the path of a module
 * - a list: one of these words
 */
export type OptionValue =
  | "file"
  | "directory"
  | "listen"
  | "backend"
  | readonly string[];

/** What the documentation says of an option. */
export interface OptionText {
  /** What it means, in one sentence. */
  readonly help: string;
  /**
   * What else there is to know, for the reference and the manual page:
   * paragraphs in Markdown, with nothing but `code` and links, whose targets are
   * relative to `docs/`.
   */
  readonly details?: string;
}

/** An option of the command line. */
export interface CommandOption extends OptionText {
  /** Its name behind `--`; absent: it has a letter alone. */
  readonly name?: string;
  /** Its letter behind `-`. */
  readonly short?: string;
  /** What stands for its value in the help; absent: it takes none. */
  readonly placeholder?: string;
  /** What its value is; absent: nothing that could be completed. */
  readonly value?: OptionValue;
  /** The value that holds if none is given; absent: it is not for `[core]`. */
  readonly default?: string;
  /** A value for the reference to show. */
  readonly example?: string;
}

/** An option of the `[core]` section, which is also `--NAME VALUE`. */
export interface CoreOption<Fields> extends CommandOption {
  /** Its name in the configuration file. */
  readonly name: string;
  /** What stands for its value in the help. */
  readonly placeholder: string;
  /** The value that holds if none is given, as it would be written; empty: none. */
  readonly default: string;
  /**
   * Parses a value.
   *
   * @throws {SyntaxError | RangeError} If it is not valid; the message goes
   * behind the name of the option.
   */
  readonly parse: (value: string) => Partial<Fields>;
  /** Adds a value to what those before it have made; absent: it replaces them. */
  readonly join?: (
    before: Fields,
    parsed: Partial<Fields>,
  ) => Partial<Fields>;
}

/**
 * Gives the words that stand for an option on the command line.
 *
 * @param option The option.
 * @returns `-p` and `--port`, or one of them.
 */
export function optionNames({ short, name }: CommandOption): string[] {
  return [
    ...short === undefined ? [] : [`-${short}`],
    ...name === undefined ? [] : [`--${name}`],
  ];
}
