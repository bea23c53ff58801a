/**
 * The command line, as ordered settings.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import type { Setting } from "./config.ts";
import { ConfigError } from "../errors.ts";
import { type CoreOption, coreOptions } from "./options.ts";
import { checkPluginName } from "../plugins/plugin_config.ts";

/** What a command line asks for. */
export interface Arguments {
  /** Path of the configuration file, if one is named. */
  readonly configFile: string | undefined;
  /** The settings, in the order given. */
  readonly settings: readonly Setting[];
  /** Print the help and exit. */
  readonly help: boolean;
  /** Print name and version and exit. */
  readonly version: boolean;
  /** Validate the configuration, say what would be done, and exit. */
  readonly check: boolean;
  /** Start a service to try the bridge with. */
  readonly demo: boolean;
}

/** The options that take no value, for the help. */
const flags: readonly (readonly [names: string, help: string])[] = [
  ["    --check", "validate the configuration, say what it would do, and exit"],
  ["    --demo", "start a small service and bridge to it"],
  ["-h, --help", "print this help and exit"],
  ["-V, --version", "print name and version and exit"],
];

/**
 * Parses a command line.
 *
 * @param argv The arguments, without the program's name.
 * @returns What they ask for.
 * @throws {ConfigError} If an option is unknown or its value is missing.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const settings: Setting[] = [];
  let configFile: string | undefined;
  const parsed = parseArgs(argv, {
    boolean: ["help", "version", "check", "demo"],
    alias: { help: "h", version: "V" },
    // Options with a value are left undeclared: parseArgs keeps no order among
    // those it knows, and calls this for the others in the order given.
    unknown(arg, key, value): boolean {
      if (key === undefined) {
        if (settings.length > 0 || configFile !== undefined) {
          throw new ConfigError(
            "unexpected argument; a configuration file comes first, options after it",
            quote(arg),
          );
        }
        configFile = arg;
      } else {
        settings.push(toSetting(arg, key, value));
      }
      return false;
    },
  });
  const extra = parsed._[0];
  if (extra !== undefined) {
    throw new ConfigError("unexpected argument", quote(String(extra)));
  }
  return {
    configFile,
    settings,
    help: parsed.help === true,
    version: parsed.version === true,
    check: parsed.check === true,
    demo: parsed.demo === true,
  };
}

function toSetting(arg: string, key: string, value: unknown): Setting {
  const long = arg.startsWith("--");
  const option = long
    ? coreOptions.find((option) => option.name === key)
    : coreOptions.find((option) => option.short === key);
  const origin = long ? `--${key}` : `-${key}`;
  const isPair = origin === "-c" || origin === "--plugin";
  if (option === undefined && !isPair) {
    throw new ConfigError("unknown option; see --help", quote(arg));
  }
  // In "-chost=x", parseArgs takes "x" for the value of -c.
  if (!long && arg.length > 2 && arg.slice(2) !== value) {
    throw new ConfigError(
      `unknown option; if ${origin} is meant, put a space before its value`,
      quote(arg),
    );
  }
  if (typeof value !== "string" || value === "") {
    throw new ConfigError("it needs a value", origin);
  }
  if (option !== undefined) {
    return { section: "core", option: option.name, value, origin };
  }
  return toPair(origin, value);
}

/** `-c OPTION=VALUE` and `--plugin NAME=SPECIFIER`. */
function toPair(origin: string, pair: string): Setting {
  const isPlugin = origin === "--plugin";
  const equals = pair.indexOf("=");
  if (equals < 1) {
    const form = isPlugin ? "NAME=SPECIFIER" : "OPTION=VALUE";
    throw new ConfigError(`it takes ${form}, not "${pair}"`, origin);
  }
  const name = pair.slice(0, equals);
  const value = pair.slice(equals + 1);
  const place = `${origin} ${name}`;
  if (!isPlugin) {
    return { section: "backend", option: name, value, origin: place };
  }
  try {
    checkPluginName(name);
  } catch (error) {
    throw new ConfigError((error as Error).message, origin, { cause: error });
  }
  return {
    section: "plugin",
    plugin: name,
    option: "url",
    value,
    origin: place,
  };
}

function quote(text: string): string {
  return JSON.stringify(text);
}

/**
 * Formats the help.
 *
 * @param backends Names of the built-in backends.
 * @returns Lines for stdout.
 */
export function formatHelp(backends: readonly string[]): string {
  const lines = [
    "websocksy - a bridge from WebSocket to TCP, UDP, TLS and Unix sockets",
    "",
    "Usage: websocksy [CONFIG-FILE] [OPTION]...",
    "",
    "Options are applied in the order given, after the configuration file.",
    "",
    ...coreOptions.map(formatOption),
    row(
      "-c OPTION=VALUE",
      "pass an option to the backend loaded at that place",
    ),
    row(
      "    --plugin NAME=SPECIFIER",
      "declare a plugin by the path or URL of its module; what it may do is granted in a configuration file",
    ),
    ...flags.map(([names, help]) => row(names, help)),
    "",
    `Backends: ${backends.join(", ")}.`,
    "Documentation: README.md, backends/README.md and framing/README.md of the project.",
  ];
  return lines.join("\n");
}

function formatOption(option: CoreOption): string {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  return row(
    `${short}--${option.name} ${option.placeholder}`,
    `${option.help} (default: ${option.default || "none"})`,
  );
}

const column = 32;

/** One option of the help: its names, then its text, wrapped. */
function row(names: string, help: string): string {
  const width = 78 - column;
  const lines: string[] = [""];
  for (const word of help.split(" ")) {
    const last = lines[lines.length - 1]!;
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  const first = `  ${names}`.padEnd(column - 1) + " ";
  if (first.length > column) {
    return [first.trimEnd(), ...lines.map((line) => " ".repeat(column) + line)]
      .join("\n");
  }
  return lines.map((line, index) =>
    (index === 0 ? first : " ".repeat(column)) + line
  ).join("\n");
}
