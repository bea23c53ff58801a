/**
 * The commands for a server that runs, and what may follow each.
 *
 * @module
 */

import { logLevels } from "../config/options.ts";

/** The commands, as a user writes them. */
export const adminCommands: readonly (readonly [string, string])[] = [
  ["list [NAME=VALUE]...", "list the connections; NAME: user, peer or remote"],
  ["show ID", "show one of them"],
  [
    "close ID, close NAME=VALUE...",
    "close one, or all that have these; NAME: user, peer or remote",
  ],
  [
    "capture ID [--file FILE] [seconds=N] [bytes=N]",
    "copy what goes through one, as pcapng, from now on",
  ],
  ["drain", "take no new connections; those that are open go on"],
  ["resume", "take new connections again"],
  ["reload", "read the configuration again"],
  ["log LEVEL", `set the level of the log: ${logLevels.join(", ")}`],
];

/** The words that may follow a command. */
export interface AdminWords {
  /** The command. */
  readonly name: string;
  /** What it does. */
  readonly help: string;
  /** Words, or their beginnings up to `=`. */
  readonly words: readonly string[];
  /** Options whose value is a file. */
  readonly files: readonly string[];
  /** Options without a value. */
  readonly flags: readonly string[];
}

/** What may follow each command, for completions. */
export const adminWords: readonly AdminWords[] = adminCommands.map(
  ([usage, help]) => {
    const name = usage.split(/[ ,]/)[0]!;
    const isCapture = name === "capture";
    return {
      name,
      help,
      words: wordsAfter(name),
      files: [...isCapture ? ["--file"] : [], "--credentials"],
      flags: isCapture ? [] : ["--json"],
    };
  },
);

function wordsAfter(name: string): readonly string[] {
  switch (name) {
    case "list":
    case "close":
      return ["user=", "peer=", "remote="];
    case "capture":
      return ["seconds=", "bytes="];
    case "log":
      return logLevels;
    default:
      return [];
  }
}
