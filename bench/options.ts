/**
 * The benchmark's own command line.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { contenders, createContender } from "./contenders.ts";
import { createFigures, type FigureSet, figureSets } from "./figures.ts";

/** How the benchmark runs. */
export interface Options {
  /** Measurements of each contender for each figure. */
  readonly rounds: number;
  /** Seconds of one measurement. */
  readonly seconds: number;
  /** Idle connections whose memory is measured. */
  readonly connections: number;
  /** Which figures. */
  readonly set: FigureSet;
  /** Names of the figures, of whatever set; empty: all of the set. */
  readonly only: readonly string[];
  /** Names of the contenders, or of variants; empty: all that there are. */
  readonly contenders: readonly string[];
  /** Names of the contenders that the others are compared with. */
  readonly against: readonly string[];
  /** File for the results, as JSON. */
  readonly json: string | undefined;
  /** File for a chart of the results, as SVG. */
  readonly svg: string | undefined;
  /** Arguments for `deno run` of websocksy; `undefined`: chosen. */
  readonly denoArguments: readonly string[] | undefined;
  /** Further arguments for websocksy. */
  readonly websocksyArguments: readonly string[];
  /** Whether to show the help text and nothing else. */
  readonly help: boolean;
}

/** The help text. */
export function helpText(): string {
  const list = (set: FigureSet) =>
    createFigures(set, 1000).map(({ name }) => name);
  const main = list("main");
  const growth = list("growth").filter((name) => !main.includes(name));
  const names = contenders.map(({ name }) => name);
  return `Usage: deno task bench [OPTION]...

  --set SET              main, growth, quick (a part of main, once and briefly)
                         or all (main)
  --only NAME,...        figures, of whatever set:
${wrap([...main, ...growth])}
  --contenders NAME,...  ${names.join(", ")};
                         stream:OPTION=VALUE:... is stream with --OPTION VALUE
  --against NAME,...     whom the ratios compare with; the first is that of the
                         chart (ws-bridge,websockify,haproxy)
  --rounds N             measurements of each contender (3; quick: 1)
  --seconds S            length of one measurement (1.5; quick: 0.5)
  --connections N        connections of idle-memory and quiet-memory (1000)
  --json FILE            writes the results there, too
  --svg FILE             writes a chart of them there
  --deno-args ARGS       arguments for "deno run" of websocksy
  --websocksy-args ARGS  further arguments for websocksy
  --help                 shows this text
`;
}

/**
 * Parses the command line.
 *
 * @throws {TypeError} If an option or a name is unknown.
 * @throws {RangeError} If a number is not positive.
 */
export function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      "set": { ...text, default: "main" },
      "only": { ...text, default: "" },
      "contenders": { ...text, default: "" },
      "against": { ...text, default: "ws-bridge,websockify,haproxy" },
      "rounds": text,
      "seconds": text,
      "connections": { ...text, default: "1000" },
      "json": text,
      "svg": text,
      "deno-args": text,
      "websocksy-args": { ...text, default: "" },
      "help": { type: "boolean", default: false },
    },
  });
  const set = figureSets.find((name) => name === values.set);
  if (set === undefined) {
    throw unusable("set", values.set, mustBeOneOf(figureSets));
  }
  const [rounds, seconds] = set === "quick" ? ["1", "0.5"] : ["3", "1.5"];
  const figures = createFigures("all", 1).map(({ name }) => name);
  return {
    rounds: positive("rounds", values.rounds ?? rounds, true),
    seconds: positive("seconds", values.seconds ?? seconds, false),
    connections: positive("connections", values.connections, true),
    set,
    only: names("only", values.only, (name) => {
      if (!figures.includes(name)) throw new TypeError(mustBeOneOf(figures));
    }),
    contenders: names("contenders", values.contenders, createContender),
    against: names("against", values.against, createContender),
    json: values.json,
    svg: values.svg,
    denoArguments: values["deno-args"]?.split(" ").filter(Boolean),
    websocksyArguments: values["websocksy-args"].split(" ").filter(Boolean),
    help: values.help,
  };
}

function positive(name: string, value: string, whole: boolean): number {
  const number = value.trim() === "" ? NaN : Number(value);
  if (!(number > 0 && number < 1e6) || whole && !Number.isInteger(number)) {
    const kind = whole ? "a positive whole number" : "a positive number";
    throw new RangeError(`Cannot use --${name} "${value}": it must be ${kind}`);
  }
  return number;
}

/** Splits a list of names, and lets each be checked. */
function names(
  option: string,
  value: string,
  check: (name: string) => unknown,
): string[] {
  const list = value.split(",").filter(Boolean);
  for (const name of list) {
    try {
      check(name);
    } catch (error) {
      throw unusable(option, name, (error as Error).message);
    }
  }
  return list;
}

function unusable(option: string, value: string, why: string): TypeError {
  return new TypeError(`Cannot use --${option} "${value}": ${why}`);
}

function mustBeOneOf(names: readonly string[]): string {
  return `it must be one of ${names.join(", ")}`;
}

/** Puts a list of names into lines of the help text. */
function wrap(names: readonly string[]): string {
  const lines = [""];
  for (const [i, name] of names.entries()) {
    const word = i < names.length - 1 ? `${name}, ` : name;
    if (lines.at(-1)!.length + word.length > 55) lines.push("");
    lines[lines.length - 1] += word;
  }
  return lines.map((line) => " ".repeat(25) + line.trimEnd()).join("\n");
}
