/**
 * The command line, as ordered options.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import {
  commandOptions,
  completionsOption,
  type FlagName,
  flags,
  lockOption,
  type PairOption,
  pairOptions,
  type Shell,
  shells,
} from "./command_options.ts";
import type { GivenOption } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import type { CommandOption } from "../config/option.ts";
import { parseChoice } from "../config/option_values.ts";
import { coreOptions } from "../config/options.ts";
import { checkPluginName } from "../config/plugin_options.ts";

/** A parsed command line. */
export interface Arguments extends Readonly<Record<FlagName, boolean>> {
  /** Path of the configuration file, if one is named. */
  readonly configFile: string | undefined;
  /** The options, in the order given. */
  readonly options: readonly GivenOption[];
  /** Print the completions of this shell and exit. */
  readonly completions: Shell | undefined;
  /** Print the lock of this plugin and exit. */
  readonly lockPlugin: string | undefined;
}

/** An option with its value, as both were written. */
interface Given {
  /** Whether it is that option. */
  readonly matches: (option: CommandOption) => boolean;
  /** `-p` or `--port`. */
  readonly origin: string;
  readonly value: string;
}

/**
 * Parses a command line.
 *
 * @param argv The arguments, without the program's name.
 * @returns The parsed command line.
 * @throws {ConfigError} If an option is unknown, its value is missing, or
 * something is not UTF-8.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const foreign = argv.find((arg) => arg.includes("\ufffd"));
  if (foreign !== undefined) {
    // Deno has replaced the byte with U+FFFD.
    throw new ConfigError("it holds a byte that is not UTF-8", quote(foreign));
  }
  const options: GivenOption[] = [];
  let configFile: string | undefined;
  let completions: Shell | undefined;
  let lockPlugin: string | undefined;
  const parsed = parseArgs(argv, {
    boolean: flags.map(({ name }) => name),
    alias: Object.fromEntries(
      flags.flatMap(({ name, short }) =>
        short === undefined ? [] : [[name, short]]
      ),
    ),
    // Options with a value are not declared: parseArgs does not keep the order
    // of those that it knows, and calls this function for the others in order.
    unknown(arg, key, value): boolean {
      if (key === undefined) {
        if (options.length > 0 || configFile !== undefined) {
          throw new ConfigError(
            "unexpected argument; a configuration file comes first, options after it",
            quote(arg),
          );
        }
        configFile = arg;
        return false;
      }
      const given = toGiven(arg, key, value);
      if (given.matches(completionsOption)) completions = toShell(given);
      else if (given.matches(lockOption)) lockPlugin = given.value;
      else options.push(toOption(given));
      return false;
    },
  });
  const extra = parsed._[0];
  if (extra !== undefined) {
    throw new ConfigError("unexpected argument", quote(String(extra)));
  }
  function isSet(name: FlagName): boolean {
    return Reflect.get(parsed, name) === true;
  }
  return {
    configFile,
    options,
    completions,
    lockPlugin,
    help: isSet("help"),
    version: isSet("version"),
    check: isSet("check"),
    demo: isSet("demo"),
  };
}

const valued: readonly CommandOption[] = commandOptions.filter((
  { placeholder },
) => placeholder !== undefined);

function toGiven(arg: string, key: string, value: unknown): Given {
  const isLong = arg.startsWith("--");
  const origin = isLong ? `--${key}` : `-${key}`;
  function matches({ name, short }: CommandOption): boolean {
    return key === (isLong ? name : short);
  }
  if (!valued.some(matches)) {
    throw new ConfigError("unknown option; see --help", quote(arg));
  }
  // In "-chost=x", parseArgs reads "x" as the value of -c.
  if (!isLong && arg.length > 2 && arg.slice(2) !== value) {
    throw new ConfigError(
      `unknown option; if ${origin} is meant, put a space before its value`,
      quote(arg),
    );
  }
  if (typeof value !== "string" || value === "") {
    throw new ConfigError("it needs a value", origin);
  }
  return { matches, origin, value };
}

function toShell({ origin, value }: Given): Shell {
  try {
    return parseChoice(value, shells);
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
}

function toOption({ matches, origin, value }: Given): GivenOption {
  const pair = pairOptions.find(matches);
  if (pair !== undefined) return toPair(pair, origin, value);
  const { name: option } = coreOptions.find(matches)!;
  return { section: "core", option, value, origin };
}

/** `-c OPTION=VALUE` and `--plugin NAME=SPECIFIER`. */
function toPair(
  { section, placeholder }: PairOption,
  origin: string,
  pair: string,
): GivenOption {
  const equals = pair.indexOf("=");
  if (equals < 1) {
    throw new ConfigError(`it takes ${placeholder}, not "${pair}"`, origin);
  }
  const name = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  const place = `${origin} ${name}`;
  if (section === "backend") {
    return { section, option: name, value, origin: place };
  }
  try {
    checkPluginName(name);
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
  return { section, plugin: name, option: "url", value, origin: place };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
