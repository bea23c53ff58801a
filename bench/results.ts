/**
 * The results of a run, as they are written in JSON.
 *
 * @module
 */

import type { Score } from "./figure.ts";
import { judge, type Outcome } from "./goals.ts";
import type { Options } from "./options.ts";
import { type FigureScores, summarize, type Summary } from "./statistics.ts";

/** The results of a run. */
export interface Results {
  /** The command that made them. */
  readonly command: string;
  /** When it had ended, in UTC: `2026-01-31`. */
  readonly date: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Platform, and version of the system. */
  readonly system: string;
  /** Number of processors. */
  readonly processors: number;
  /** Measurements of each contender for each figure. */
  readonly rounds: number;
  /** Seconds of one measurement. */
  readonly seconds: number;
  /** Why contenders were left out, by name. */
  readonly missing: Readonly<Record<string, string>>;
  /** The figures. */
  readonly figures: readonly FigureResults[];
  /** What was to be reached. */
  readonly goals: readonly Outcome[];
}

/** The results of one figure. */
export interface FigureResults {
  /** Its name. */
  readonly name: string;
  /** Its title. */
  readonly title: string;
  /** What is counted. */
  readonly unit: string;
  /** Medians of the contenders. */
  readonly contenders: readonly Summary[];
  /** All scores, by name of the contender. */
  readonly rounds: Readonly<Record<string, readonly Score[]>>;
  /** Why contenders have none, by name. */
  readonly failures: Readonly<Record<string, string>>;
}

/**
 * Puts the results of a run together.
 *
 * @param figures What was measured.
 * @param missing Why contenders were left out, by name.
 * @param args The arguments of the command.
 */
export function toResults(
  figures: readonly FigureScores[],
  missing: ReadonlyMap<string, string>,
  args: readonly string[],
  { rounds, seconds, against }: Options,
): Results {
  return {
    command: ["deno task bench", ...args.map(quote)].join(" "),
    date: new Date().toISOString().slice(0, 10),
    deno: Deno.version.deno,
    system: `${Deno.build.target} ${Deno.osRelease()}`,
    processors: navigator.hardwareConcurrency,
    rounds,
    seconds,
    missing: Object.fromEntries(missing),
    figures: figures.map((result) => ({
      name: result.figure.name,
      title: result.figure.title,
      unit: result.figure.unit,
      contenders: summarize(result, against),
      rounds: Object.fromEntries(result.scores),
      failures: Object.fromEntries(result.failures),
    })),
    goals: judge(figures),
  };
}

/** Writes an argument as a shell takes it. */
function quote(argument: string): string {
  return /^[\w.,:=/@%+-]+$/.test(argument)
    ? argument
    : `'${argument.replaceAll("'", "'\\''")}'`;
}
