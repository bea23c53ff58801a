/**
 * The benchmark: measures websocksy beside other bridges and plain TCP relays,
 * in alternating runs. `README.md` says what each figure means.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { stdArguments } from "../tools/std.ts";
import { drawChart } from "./chart.ts";
import { contenders, createContender, prepareTls } from "./contenders.ts";
import {
  createFigures,
  type Figure,
  type FigureSet,
  figureSets,
  FILE_FIGURE,
} from "./figures.ts";
import { Generator } from "./generator.ts";
import { LatencyLoad } from "./latency.ts";
import { fillPage } from "./pages.ts";
import {
  formatOutcomes,
  judge,
  type ReportOptions,
  type Results,
  toResults,
} from "./report.ts";
import {
  type FigureScores,
  findContenders,
  measureFigure,
  type Setup,
} from "./rounds.ts";
import { formatFigure } from "./tables.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

/** How the benchmark runs. */
export interface Options extends ReportOptions {
  /** Idle connections whose memory is measured. */
  readonly connections: number;
  /** Which figures. */
  readonly set: FigureSet;
  /** Names of figures of any set; empty: all of the chosen set. */
  readonly only: readonly string[];
  /** Names of contenders, or of variants; empty: all of them. */
  readonly contenders: readonly string[];
  /** File whose lines are compressed; `undefined`: no figure has one. */
  readonly text: string | undefined;
  /** File for the results, as JSON. */
  readonly json: string | undefined;
  /** File for a chart of the results, as SVG. */
  readonly svg: string | undefined;
  /** Page into whose tables the results go. */
  readonly page: string | undefined;
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
  --warm S               processor seconds of a thread after which a bridge is
                         warm, and measured (2)
  --connections N        connections of idle-memory and quiet-memory (1000)
  --text FILE            adds the figure ${FILE_FIGURE}: its lines, compressed
  --json FILE            writes the results there, too
  --svg FILE             writes a chart of them there
  --page FILE            writes them into the tables of that page
                         (docs/performance.md)
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
      "warm": { ...text, default: "2" },
      "connections": { ...text, default: "1000" },
      "text": text,
      "json": text,
      "svg": text,
      "page": text,
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
  const figures = [
    ...createFigures("all", 1).map(({ name }) => name),
    ...(values.text === undefined ? [] : [FILE_FIGURE]),
  ];
  return {
    rounds: positive("rounds", values.rounds ?? rounds, true),
    seconds: positive("seconds", values.seconds ?? seconds, false),
    warm: positive("warm", values.warm, false),
    connections: positive("connections", values.connections, true),
    set,
    only: names("only", values.only, (name) => {
      if (!figures.includes(name)) throw new TypeError(mustBeOneOf(figures));
    }),
    contenders: names("contenders", values.contenders, createContender),
    against: names("against", values.against, createContender),
    text: values.text,
    json: values.json,
    svg: values.svg,
    page: values.page,
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

/** Splits a list of names, and checks each. */
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

/** Formats a list of names as lines of the help text. */
function wrap(names: readonly string[]): string {
  const lines = [""];
  for (const [i, name] of names.entries()) {
    const word = i < names.length - 1 ? `${name}, ` : name;
    if (lines.at(-1)!.length + word.length > 55) lines.push("");
    lines[lines.length - 1] += word;
  }
  return lines.map((line) => " ".repeat(25) + line.trimEnd()).join("\n");
}

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args);
    // Checks that the files can be written, before minutes of measuring.
    for (const file of [options.json, options.svg, options.page]) {
      if (file === undefined) continue;
      (await Deno.open(file, { append: true, create: true })).close();
    }
  } catch (error) {
    await write(Deno.stderr, `${(error as Error).message}\n`);
    return EXIT_USAGE;
  }
  if (options.help) {
    await write(Deno.stdout, helpText());
    return 0;
  }
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, interrupt);
  }
  try {
    return await run(args, options, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return EXIT_INTERRUPTED;
    throw error;
  }
}

async function run(
  args: readonly string[],
  options: Options,
  signal: AbortSignal,
): Promise<number> {
  const directory = await Deno.makeTempDir({ prefix: "websocksy-bench-" });
  try {
    await using stack = new AsyncDisposableStack();
    const figures = chooseFigures(options);
    const generator = stack.use(Generator.start(directory, signal));
    const setup: Setup = {
      ...options,
      generator,
      latency: figures.some(({ load }) => load === "latency")
        ? await orError(async () =>
          stack.use(await LatencyLoad.start(directory, signal))
        )
        : new Error("no figure needs it"),
      certificate: figures.some(({ tls }) => tls)
        ? await orError(() => prepareTls(directory))
        : new Error("no figure needs it"),
      directory,
      denoArguments: options.denoArguments ?? await stdArguments(),
      signal,
    };
    await write(Deno.stdout, heading(options));
    const { results, missing } = await measureAll(figures, options, setup);
    const outcomes = judge(results);
    if (outcomes.length > 0) {
      await write(Deno.stdout, `Goals\n${formatOutcomes(outcomes)}`);
    }
    const all = toResults(results, missing, args, options);
    if (options.json !== undefined) {
      await Deno.writeTextFile(
        options.json,
        JSON.stringify(all, null, 2) + "\n",
      );
    }
    if (options.svg !== undefined) {
      await Deno.writeTextFile(options.svg, drawChart(all, options.against));
    }
    if (options.page !== undefined) await writePage(options.page, all);
    const failed = results.some(({ failures }) => failures.size > 0) ||
      options.contenders.some((name) => missing.has(name));
    return failed ? EXIT_FAILED : 0;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Writes the results into the tables of a page, and formats it. */
async function writePage(page: string, results: Results): Promise<void> {
  const text = fillPage(await Deno.readTextFile(page), results);
  await Deno.writeTextFile(page, text);
  await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", page],
  }).output();
}

/** Measures figure by figure, and writes the table of each when it is complete. */
async function measureAll(
  figures: readonly Figure[],
  options: Options,
  setup: Setup,
): Promise<{
  readonly results: readonly FigureScores[];
  readonly missing: ReadonlyMap<string, string>;
}> {
  const names = options.contenders.length > 0
    ? options.contenders
    : contenders.map(({ name }) => name);
  const { ready, missing } = await findContenders(figures, names, setup);
  for (const [name, why] of missing) {
    await write(Deno.stdout, `Left out: ${name}: ${why}\n\n`);
  }
  const results: FigureScores[] = [];
  for (const figure of figures) {
    const result = await measureFigure(figure, names, ready, setup);
    if (result.scores.size + result.failures.size === 0) {
      const why = whyNone(figure, setup);
      await write(Deno.stdout, `${figure.name}: ${why}\n\n`);
      continue;
    }
    results.push(result);
    await write(Deno.stdout, formatFigure(result, options.against) + "\n");
  }
  return { results, missing };
}

/** The result, or the error, of what may be missing on this machine. */
async function orError<Result>(
  prepare: () => Promise<Result>,
): Promise<Result | Error> {
  try {
    return await prepare();
  } catch (error) {
    return error as Error;
  }
}

/** Why a figure has no contender. */
function whyNone(
  { load, tls }: Figure,
  { latency, certificate }: Setup,
): string {
  if (load === "latency" && latency instanceof Error) return latency.message;
  if (tls && certificate instanceof Error) return certificate.message;
  return "no contender for it";
}

function chooseFigures(
  { set, only, connections, text }: Options,
): readonly Figure[] {
  if (only.length === 0) return createFigures(set, connections, text);
  return createFigures("all", connections, text)
    .filter(({ name }) => only.includes(name));
}

function heading({ rounds, seconds }: Options): string {
  const processors = navigator.hardwareConcurrency;
  return `${processors} processors, Deno ${Deno.version.deno}, medians of ` +
    `${rounds} rounds of ${seconds} s; bridge, client, peer, machine: ` +
    "percent of one processor\n\n";
}

async function write(
  output: typeof Deno.stdout,
  text: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    at += await output.write(bytes.subarray(at));
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
