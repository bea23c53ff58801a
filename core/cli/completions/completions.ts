/**
 * Scripts that let a shell complete the command, made of the table of options.
 *
 * @module
 */

import { formatBash } from "./bash.ts";
import type { Completable } from "./completable.ts";
import { commandOptions, type Shell } from "../command_options.ts";
import { formatFish } from "./fish.ts";
import { formatZsh } from "./zsh.ts";

const formats: Readonly<Record<Shell, (command: Completable) => string>> = {
  bash: formatBash,
  zsh: formatZsh,
  fish: formatFish,
};

/**
 * Makes the script for a shell.
 *
 * @param shell The shell.
 * @param backends Names of the built-in backends.
 * @param framings Names of the built-in framing functions.
 * @returns The script, for the shell to read.
 */
export function formatCompletions(
  shell: Shell,
  backends: readonly string[],
  framings: readonly string[],
): string {
  return formats[shell]({ options: commandOptions, backends, framings });
}
