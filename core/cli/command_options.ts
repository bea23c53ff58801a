/**
 * The options of the command line: those of `[core]`, and those that a
 * configuration file has no line for.
 *
 * @module
 */

import type { CommandOption } from "../config/option.ts";
import { coreOptions } from "../config/options.ts";

/** An option whose value is a name and a value, which go to another section. */
export interface PairOption extends CommandOption {
  /** What stands for both in the help: `NAME=VALUE`. */
  readonly placeholder: string;
  /** The section that the pair belongs to. */
  readonly section: "backend" | "plugin";
}

/** These options. */
export const pairOptions: readonly PairOption[] = [
  {
    short: "c",
    placeholder: "OPTION=VALUE",
    section: "backend",
    help: "pass an option to the backend loaded at that place",
    details:
      "The [backends](../backends/README.md) tell which options they have. In a file, they are the lines of the section `[backend]`.",
    example: "host=tcp://127.0.0.1:6379",
  },
  {
    name: "plugin",
    placeholder: "NAME=SPECIFIER",
    section: "plugin",
    help:
      "declare a plugin by the path or URL of its module; what it may do is granted in a configuration file",
    details:
      "In a file, it is the line `url` of a section `[plugin NAME]`: see the [guide](write-a-plugin.md).",
    example: "rooms=https://example.com/rooms.ts",
  },
];

/** The shells that completions can be had for. */
export const shells = ["bash", "zsh", "fish"] as const;

/** A shell that completions can be had for. */
export type Shell = typeof shells[number];

/** The option that prints completions. */
export const completionsOption = {
  name: "completions",
  placeholder: "SHELL",
  value: shells,
  help: "print a script that completes this command: bash, zsh or fish",
  details: "[Install](install.md#completions) tells where it belongs.",
  example: "bash",
} as const satisfies CommandOption;

/** Name of an option that takes no value. */
export type FlagName = "check" | "demo" | "help" | "version";

/** An option that takes no value. */
export interface Flag extends CommandOption {
  /** Its name behind `--`. */
  readonly name: FlagName;
}

/** These options. */
export const flags: readonly Flag[] = [
  {
    name: "check",
    help: "validate the configuration, say what it would do, and exit",
    details:
      "The backend and the plugins are loaded, and nothing is listened on. The exit status is 0 if all is well; else a line names what is wrong.",
  },
  {
    name: "demo",
    help: "start a small service and bridge to it",
    details:
      "It prints the address of a page to open in a browser, and a command, that talk to the service. The page is the [console](pages.md#console), at `/` unless `console` says otherwise.",
  },
  {
    name: "help",
    short: "h",
    help: "print this help and exit",
  },
  {
    name: "version",
    short: "V",
    help: "print name and version and exit",
  },
];

/** All options of the command line, in the order of the documentation. */
export const commandOptions: readonly CommandOption[] = [
  ...coreOptions,
  ...pairOptions,
  completionsOption,
  ...flags,
];
