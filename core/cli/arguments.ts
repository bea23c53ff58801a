/**
 * The command line, as options in their order.
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
  routeOption,
  type Shell,
  shells,
} from "./command_options.ts";
import type { GivenOption } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import { type CommandOption, optionNames } from "../config/option.ts";
import { parseChoice } from "../config/option_values.ts";
import { checkPluginName } from "../config/plugin_options.ts";
import { suggest } from "../config/suggestion.ts";
import { isRouteOption, parsePattern } from "../config/route_options.ts";

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
  /** The option. */
  readonly option: CommandOption;
  /** `-p` or `--port`. */
  readonly origin: string;
  /** Its value. */
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
  /** The route that what follows belongs to. */
  let route: string | undefined;
  let configFile: string | undefined;
  let completions: Shell | undefined;
  let lockPlugin: string | undefined;
  const parsed = parseArgs(markValues(argv), {
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
        if (arg === "") {
          throw new ConfigError("it is the name of no file", quote(arg));
        }
        configFile = arg;
        return false;
      }
      const given = toGiven(arg, key, value);
      switch (given.option) {
        case completionsOption:
          completions = toShell(given);
          break;
        case lockOption:
          lockPlugin = given.value;
          break;
        case routeOption:
          checkRoute(route, options);
          route = toRoute(given);
          break;
        default:
          options.push(toOption(given, route));
      }
      return false;
    },
  });
  checkRoute(route, options);
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
    json: isSet("json"),
    demo: isSet("demo"),
  };
}

/** Stands before a value that `parseArgs` would take for an option: no argument can hold it. */
const mark = "\0";

/** Marks `-` and numbers below zero where an option takes them for its value. */
function markValues(argv: readonly string[]): string[] {
  return argv.map((arg, index) =>
    /^-(?:\d|$)/.test(arg) && takesValue(argv[index - 1]) ? mark + arg : arg
  );
}

function takesValue(arg: string | undefined): boolean {
  return arg !== undefined &&
    commandOptions.some((option) =>
      option.placeholder !== undefined && optionNames(option).includes(arg)
    );
}

function toGiven(arg: string, key: string, parsed: unknown): Given {
  const value = typeof parsed === "string" && parsed.startsWith(mark)
    ? parsed.slice(mark.length)
    : parsed;
  const isLong = arg.startsWith("--");
  const origin = isLong ? `--${key}` : `-${key}`;
  const option = commandOptions.find((each) =>
    each.placeholder !== undefined && key === (isLong ? each.name : each.short)
  );
  if (option === undefined) {
    const names = commandOptions.flatMap(optionNames);
    const written = /^[^=]*/.exec(arg)![0];
    const meant = suggest(written, names.filter((name) => name.length > 2));
    throw new ConfigError(
      `unknown option${meant || "; see --help"}`,
      quote(arg),
    );
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
  return { option, origin, value };
}

function toShell({ origin, value }: Given): Shell {
  try {
    return parseChoice(value, shells);
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
}

function toRoute({ origin, value }: Given): string {
  try {
    return parsePattern(value).text;
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
}

/** A route without an option would not exist. */
function checkRoute(
  route: string | undefined,
  options: readonly GivenOption[],
): void {
  if (route === undefined) return;
  if (options.some((each) => each.section === "route" && each.name === route)) {
    return;
  }
  throw new ConfigError(
    `no option follows for route "${route}", such as -b or -c`,
    "--route",
  );
}

function toOption(given: Given, route: string | undefined): GivenOption {
  const pair = pairOptions.find((each) => each === given.option);
  if (pair !== undefined) return toPair(pair, given, route);
  const { option, origin, value } = given;
  const core = { option: option.name!, value, origin };
  return route !== undefined && isRouteOption(core.option)
    ? { section: "route", name: route, ...core }
    : { section: "core", ...core };
}

/** `-c OPTION=VALUE` and `--plugin NAME=SPECIFIER`. */
function toPair(
  { section, placeholder }: PairOption,
  { origin, value: pair }: Given,
  route: string | undefined,
): GivenOption {
  const equals = pair.indexOf("=");
  if (equals < 1) {
    throw new ConfigError(`it takes ${placeholder}, not "${pair}"`, origin);
  }
  const name = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  const place = `${origin} ${name}`;
  if (section === "backend") {
    const given = { option: name, value, origin: place };
    return route === undefined
      ? { section, ...given }
      : { section: "route", name: route, ...given };
  }
  try {
    checkPluginName(name);
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
  return { section, name, option: "url", value, origin: place };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
