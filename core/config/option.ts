/**
 * The description of an option. The command line, the configuration file,
 * `--help`, the shells' completions, the manual page and the reference are all
 * made from it.
 *
 * @module
 */

/**
 * The kind of an option's value, as far as a shell can complete it:
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

/** The documentation of an option. */
export interface OptionText {
  /** What it means, in one sentence. */
  readonly help: string;
  /**
   * Further paragraphs for the reference and the manual page: Markdown that
   * contains only text, `code` and links, whose targets are relative to
   * `docs/`.
   */
  readonly details?: string;
}

/** An option of the command line. */
export interface CommandOption extends OptionText {
  /** Its name after `--`; absent: it has only a letter. */
  readonly name?: string;
  /** Its letter after `-`. */
  readonly short?: string;
  /** What stands for its value in the help; absent: it takes none. */
  readonly placeholder?: string;
  /** The kind of its value; absent: no shell can complete it. */
  readonly value?: OptionValue;
  /** Its default; absent: it is not an option of `[core]`. */
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
  /** Its default, as a user would write it; empty: none. */
  readonly default: string;
  /**
   * Parses a value.
   *
   * @throws {SyntaxError | RangeError} If it is not valid; the message follows
   * the name of the option.
   */
  readonly parse: (value: string) => Partial<Fields>;
  /** Adds a value to the values before it; absent: it replaces them. */
  readonly join?: (
    before: Fields,
    parsed: Partial<Fields>,
  ) => Partial<Fields>;
}

/**
 * Lists the words that name an option on the command line.
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
