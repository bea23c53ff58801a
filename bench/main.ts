/**
 * The benchmark: measures websocksy beside other bridges and plain TCP relays,
 * in alternating runs. `README.md` says what each figure means.
 *
 * @module
 */

import { stdArguments } from "../tools/std.ts";
import { drawChart } from "./chart.ts";
import { contenders } from "./contenders.ts";
import type { Figure } from "./figure.ts";
import { createFigures } from "./figures.ts";
import { Generator } from "./generator.ts";
import { formatOutcomes, judge } from "./goals.ts";
import { helpText, type Options, parseOptions } from "./options.ts";
import { formatFigure } from "./report.ts";
import { toResults } from "./results.ts";
import { findContenders, measureFigure, type Setup } from "./rounds.ts";
import type { FigureScores } from "./statistics.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args);
    // Whether they can be written is better known now than after minutes.
    for (const file of [options.json, options.svg]) {
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
    await using generator = Generator.start(directory, signal);
    const denoArguments = options.denoArguments ?? await stdArguments();
    const setup = { ...options, generator, directory, denoArguments, signal };
    await write(Deno.stdout, heading(options));
    const { results, missing } = await measureAll(options, setup);
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
    const failed = results.some(({ failures }) => failures.size > 0) ||
      options.contenders.some((name) => missing.has(name));
    return failed ? EXIT_FAILED : 0;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Measures figure by figure, and writes the table of each when it is complete. */
async function measureAll(
  options: Options,
  setup: Setup,
): Promise<{
  readonly results: readonly FigureScores[];
  readonly missing: ReadonlyMap<string, string>;
}> {
  const figures = chooseFigures(options);
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
      await write(Deno.stdout, `${figure.name}: no contender for it\n\n`);
      continue;
    }
    results.push(result);
    await write(Deno.stdout, formatFigure(result, options.against) + "\n");
  }
  return { results, missing };
}

function chooseFigures({ set, only, connections }: Options): readonly Figure[] {
  if (only.length === 0) return createFigures(set, connections);
  return createFigures("all", connections)
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
