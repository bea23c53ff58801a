/**
 * The options of the command line: those of `[core]`, and those that a
 * configuration file cannot set.
 *
 * @module
 */

import type { CommandOption } from "../config/option.ts";
import { coreOptions } from "../config/options.ts";

/** An option whose value is a name and a value for another section. */
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
    help: "set an option of the backend chosen so far",
    details:
      "[Backends](../backends/README.md) lists the options of each backend. In a file, they are the lines of the section `[backend]`.",
    example: "host=tcp://127.0.0.1:6379",
  },
  {
    name: "plugin",
    placeholder: "NAME=SPECIFIER",
    section: "plugin",
    help:
      "declare a plugin by the path or URL of its module; a configuration file grants its permissions",
    details:
      "In a file, it is the line `url` of a section `[plugin NAME]`: see the [guide](write-a-plugin.md).",
    example: "rooms=https://example.com/rooms.ts",
  },
];

/** The option that begins a route. */
export const routeOption = {
  name: "route",
  placeholder: "PATTERN",
  help:
    "begin a route, such as /mqtt or /vnc/*, to which -b, -c and the options of a route behind it belong",
  details:
    "Requests that match the pattern get the backend that follows; see [routes](../backends/README.md#routes). In a file, it is a section `[route PATTERN]`.",
  example: "/vnc/*",
} as const satisfies CommandOption;

/** The shells that have completions. */
export const shells = ["bash", "zsh", "fish"] as const;

/** A shell that has completions. */
export type Shell = typeof shells[number];

/** The option that prints completions. */
export const completionsOption = {
  name: "completions",
  placeholder: "SHELL",
  value: shells,
  help: "print a script that completes this command: bash, zsh or fish",
  details: "[Install](install.md#completions) says where to put it.",
  example: "bash",
} as const satisfies CommandOption;

/** The option that prints the lock of a plugin. */
export const lockOption = {
  name: "lock-plugin",
  placeholder: "PLUGIN",
  value: "file",
  help:
    "print the lock of a plugin, named by its name in the configuration, its path or its URL",
  details:
    "It is a line for each module, for [`lock`](write-a-plugin.md#at-a-url) in the plugin's section. The program reads the modules; nothing of them runs.",
  example: "https://example.com/rooms.ts",
} as const satisfies CommandOption;

/** Name of an option that takes no value. */
export type FlagName = "check" | "demo" | "help" | "json" | "version";

/** An option that takes no value. */
export interface Flag extends CommandOption {
  /** Its name after `--`. */
  readonly name: FlagName;
}

/** These options. */
export const flags: readonly Flag[] = [
  {
    name: "check",
    help: "validate the configuration, print what it would do, and exit",
    details:
      "The program loads the backend and the plugins, but does not listen. The exit status is 0 if the configuration is valid; otherwise, a line on stderr names the error.",
  },
  {
    name: "json",
    help: "with --check: print the configuration as JSON, for other programs",
    details:
      "All options, with their defaults, under `configuration`, whose schema is [`configuration.schema.json`](configuration.schema.json).",
  },
  {
    name: "demo",
    help: "start a small service and a bridge to it",
    details:
      "It prints the address of a page to open in a browser, and a command; both talk to the service. The page is the [console](pages.md#console), at `/` unless `console` sets another path.",
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
  routeOption,
  completionsOption,
  lockOption,
  ...flags,
];
