/**
 * The command line, as options in their order.
 *
 * @module
 */

import { parseArgs } from "node:util";
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

/** An option as it was written. */
interface WrittenOption {
  /** `-p` or `--port`. */
  readonly rawName: string;
  /** Its value; absent: none was found. */
  readonly value?: string | undefined;
  /** Whether the value is in the same argument: `-p80`, `--port=80`. */
  readonly inlineValue?: boolean | undefined;
}

/** The options, as `parseArgs` is told of them. */
const declared = Object.fromEntries(
  commandOptions.map(({ name, short, placeholder }) => [
    // An option that has only a letter needs a name here. It is refused below.
    name ?? short!,
    {
      type: placeholder === undefined ? "boolean" : "string",
      ...(short !== undefined && { short }),
    } as const,
  ]),
);

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
  const set = new Set<CommandOption>();
  let configFile: string | undefined;
  let completions: Shell | undefined;
  let lockPlugin: string | undefined;
  let isTerminated = false;
  // The tokens keep the order of different options, which the values do not.
  const { tokens } = parseArgs({
    args: [...argv],
    options: declared,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "option-terminator") {
      isTerminated = true;
    } else if (token.kind === "positional") {
      if (isTerminated) {
        throw new ConfigError("unexpected argument", quote(token.value));
      }
      if (options.length > 0 || configFile !== undefined) {
        throw new ConfigError(
          "unexpected argument; a configuration file comes first, options after it",
          quote(token.value),
        );
      }
      configFile = token.value;
    } else {
      const arg = argv[token.index]!;
      const option = optionNamed(token.rawName, arg);
      if (option.placeholder === undefined) {
        checkFlag(token);
        set.add(option);
        continue;
      }
      const value = valueOf(token, arg);
      if (option === completionsOption) {
        completions = toShell(token.rawName, value);
      } else if (option === lockOption) {
        lockPlugin = value;
      } else if (option === routeOption) {
        checkRoute(route, options);
        route = toRoute(token.rawName, value);
      } else {
        options.push(toOption(option, { origin: token.rawName, value, route }));
      }
    }
  }
  checkRoute(route, options);
  function isSet(name: FlagName): boolean {
    return set.has(flags.find((flag) => flag.name === name)!);
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

function optionNamed(rawName: string, arg: string): CommandOption {
  const option = commandOptions.find((each) =>
    optionNames(each).includes(rawName)
  );
  if (option !== undefined) return option;
  const names = commandOptions.flatMap(optionNames);
  const meant = suggest(rawName, names.filter((name) => name.length > 2));
  throw new ConfigError(`unknown option${meant || "; see --help"}`, quote(arg));
}

function checkFlag({ rawName, value }: WrittenOption): void {
  if (value === undefined) return;
  throw new ConfigError("it takes no value", rawName);
}

function valueOf(
  { rawName, value, inlineValue = false }: WrittenOption,
  arg: string,
): string {
  if (inlineValue && !rawName.startsWith("--") && /^[a-z=]/i.test(value!)) {
    // "-port 80" is not the option -p with the value "ort".
    throw new ConfigError(
      `unknown option; if ${rawName} is meant, put a space before its value`,
      quote(arg),
    );
  }
  if (!value || !inlineValue && /^-./.test(value)) {
    throw new ConfigError("it needs a value", rawName);
  }
  return value;
}

function toShell(origin: string, value: string): Shell {
  try {
    return parseChoice(value, shells);
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
}

function toRoute(origin: string, value: string): string {
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

/** The value of an option, where it stands, and the route that it stands behind. */
interface Written {
  readonly origin: string;
  readonly value: string;
  readonly route: string | undefined;
}

function toOption(option: CommandOption, written: Written): GivenOption {
  const pair = pairOptions.find((each) => each === option);
  if (pair !== undefined) return toPair(pair, written);
  const { origin, value, route } = written;
  const given = { option: option.name!, value, origin };
  return route !== undefined && isRouteOption(given.option)
    ? { section: "route", name: route, ...given }
    : { section: "core", ...given };
}

/** `-c OPTION=VALUE` and `--plugin NAME=SPECIFIER`. */
function toPair(
  { section, placeholder }: PairOption,
  { origin, value: pair, route }: Written,
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
