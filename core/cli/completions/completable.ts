/**
 * Parts that the scripts for all shells have in common.
 *
 * @module
 */

import type { CommandOption } from "../../config/option.ts";

/** What is completed. */
export interface Completable {
  /** Its options. */
  readonly options: readonly CommandOption[];
  /** Names of the built-in backends. */
  readonly backends: readonly string[];
  /** Names of the built-in framing functions. */
  readonly framings: readonly string[];
}

/** Values to offer for `-c framing-config=`, of all framing functions. */
const framingConfigs: readonly string[] = [
  "crlf",
  "crlf,strip,append",
  "lf",
  "lf,strip,append",
  "any,strip,append",
  "lines",
  "wrap",
  "binary",
];

/**
 * Lists the options of a backend whose values can be completed.
 *
 * @param command What is completed.
 * @returns Their names, and the values that are offered.
 */
export function pairValues(
  { framings }: Completable,
): readonly (readonly [name: string, values: readonly string[]])[] {
  return [["framing", framings], ["framing-config", framingConfigs]];
}

/**
 * Values to offer for `-l` beside `unix:PATH`; the default is not among them.
 */
export const listenHosts: readonly string[] = [
  "localhost",
  "127.0.0.1",
  "0.0.0.0",
];

/**
 * Reports whether an option takes a value.
 *
 * @param option The option.
 */
export function takesValue({ placeholder }: CommandOption): boolean {
  return placeholder !== undefined;
}

/**
 * Reports whether the value of an option is a name, `=`, and a value.
 *
 * @param option The option.
 */
export function takesPair({ placeholder = "" }: CommandOption): boolean {
  return /^[A-Z]+=[A-Z]+$/.test(placeholder);
}

/**
 * Shortens the help of an option, so that it fits beside its name.
 *
 * @param option The option.
 * @returns Its first clause.
 */
export function summarize({ help }: CommandOption): string {
  return /^(?:\([^)]*\)|[^;])*/.exec(help)![0];
}

/**
 * Quotes a text for a shell.
 *
 * @param text Any text.
 * @returns It in single quotes, as bash and zsh read them.
 */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
