/**
 * The benchmark's own command line.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { contenders } from "./contenders.ts";
import { createFigures } from "./figures.ts";

/** How the benchmark runs. */
export interface Options {
  /** Measurements of each contender for each figure. */
  readonly rounds: number;
  /** Seconds of one measurement. */
  readonly seconds: number;
  /** Idle connections whose memory is measured. */
  readonly connections: number;
  /** Names of the figures; empty: all. */
  readonly only: readonly string[];
  /** Names of the contenders; empty: all that there are. */
  readonly contenders: readonly string[];
  /** Names of the contenders that the others are compared with. */
  readonly against: readonly string[];
  /** File for the results, as JSON. */
  readonly json: string | undefined;
  /** Arguments for `deno run` of websocksy; `undefined`: chosen. */
  readonly denoArguments: readonly string[] | undefined;
  /** Further arguments for websocksy. */
  readonly websocksyArguments: readonly string[];
  /** Whether to show the help text and nothing else. */
  readonly help: boolean;
}

/** The help text. */
export function helpText(): string {
  const figures = createFigures(1000).map(({ name }) => name);
  const names = contenders.map(({ name }) => name);
  return `Usage: deno task bench [OPTION]...

  --rounds N             measurements of each contender (3)
  --seconds S            length of one measurement (1.5)
  --connections N        idle connections whose memory is measured (1000)
  --only NAME,...        figures: ${wrap(figures)}
  --contenders NAME,...  ${names.join(", ")}
  --against NAME,...     whom the ratios compare with (native,websockify)
  --json FILE            writes the results there, too
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
      "rounds": { ...text, default: "3" },
      "seconds": { ...text, default: "1.5" },
      "connections": { ...text, default: "1000" },
      "only": { ...text, default: "" },
      "contenders": { ...text, default: "" },
      "against": { ...text, default: "native,websockify" },
      "json": text,
      "deno-args": text,
      "websocksy-args": { ...text, default: "" },
      "help": { type: "boolean", default: false },
    },
  });
  const known = contenders.map(({ name }) => name);
  const figures = createFigures(1).map(({ name }) => name);
  return {
    rounds: positive("rounds", values.rounds, true),
    seconds: positive("seconds", values.seconds, false),
    connections: positive("connections", values.connections, true),
    only: names("only", values.only, figures),
    contenders: names("contenders", values.contenders, known),
    against: names("against", values.against, known),
    json: values.json,
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

function names(
  option: string,
  value: string,
  known: readonly string[],
): string[] {
  const list = value.split(",").filter(Boolean);
  for (const name of list) {
    if (!known.includes(name)) {
      throw new TypeError(
        `Cannot use --${option} "${name}": it must be one of ${
          known.join(", ")
        }`,
      );
    }
  }
  return list;
}

/** Breaks a list of names after every fourth. */
function wrap(names: readonly string[]): string {
  return names.map((name, i) =>
    (i > 0 && i % 4 === 0 ? "\n" + " ".repeat(25) : "") + name
  ).join(", ").replaceAll(", \n", ",\n");
}
