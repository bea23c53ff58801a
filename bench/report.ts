/**
 * From scores to what is shown: medians over the rounds, ratios within them,
 * and a table.
 *
 * @module
 */

import type { Figure, Score } from "./figures.ts";

/** All scores of one figure: for each contender, one of each round. */
export interface FigureScores {
  /** The figure. */
  readonly figure: Figure;
  /** Scores by name of the contender, in the order of the rounds. */
  readonly scores: ReadonlyMap<string, readonly Score[]>;
  /** Why a contender has no scores, by its name. */
  readonly failures: ReadonlyMap<string, string>;
}

/** A contender's medians. */
export interface Summary extends Score {
  /** Name of the contender. */
  readonly contender: string;
  /** Lowest and highest rate of a round. */
  readonly range: readonly [lowest: number, highest: number];
  /** Median over the rounds of this rate divided by that of another contender, by its name. */
  readonly ratios: Readonly<Record<string, number>>;
  /** The same for units per second of processor time. */
  readonly processorRatios: Readonly<Record<string, number>>;
}

/** Share of a processor from which on the generator may be what limits a rate. */
const BUSY = 0.9;

/**
 * Sums up the scores of a figure.
 *
 * @param against Names of the contenders that the others are compared with.
 */
export function summarize(
  { scores }: FigureScores,
  against: readonly string[],
): Summary[] {
  const summaries: Summary[] = [];
  for (const [contender, own] of scores) {
    const ratios: Record<string, number> = {};
    const processorRatios: Record<string, number> = {};
    for (const name of against) {
      const others = scores.get(name);
      if (others === undefined) continue;
      ratios[name] = medianRatio(own, others, "rate");
      processorRatios[name] = medianRatio(own, others, "perProcessorSecond");
    }
    const rates = own.map((score) => score.rate);
    summaries.push({
      contender,
      rate: median(rates),
      range: [Math.min(...rates), Math.max(...rates)],
      perProcessorSecond: median(own.map((score) => score.perProcessorSecond)),
      bridge: median(own.map((score) => score.bridge)),
      client: median(own.map((score) => score.client)),
      peer: median(own.map((score) => score.peer)),
      ratios,
      processorRatios,
    });
  }
  return summaries;
}

/** Writes the table of a figure. */
export function formatFigure(
  scores: FigureScores,
  against: readonly string[],
): string {
  const { figure, failures } = scores;
  const summaries = summarize(scores, against);
  const bases = against.filter((name) => scores.scores.has(name));
  const rows = figure.load === "idle"
    ? memoryRows(summaries, bases)
    : rateRows(figure, summaries, bases);
  const lines = [`${figure.name}: ${figure.title}`, ...align(rows)];
  if (summaries.some(isGeneratorBusy)) {
    lines.push(
      "  * the load generator was busy: compare by processor time",
    );
  }
  for (const [name, why] of failures) lines.push(`  ${name}: ${why}`);
  return lines.join("\n") + "\n";
}

function rateRows(
  figure: Figure,
  summaries: readonly Summary[],
  bases: readonly string[],
): string[][] {
  return [
    [
      "",
      `${figure.unit}/s`,
      "lowest-highest",
      ...bases.map((name) => `x ${name}`),
      "per CPU s",
      ...bases.map((name) => `x ${name}`),
      figure.unit === "MB" ? "CPU ms/MB" : "CPU us each",
      "bridge",
      "client",
      "peer",
    ],
    ...summaries.map((summary) => [
      summary.contender,
      number(summary.rate) + (isGeneratorBusy(summary) ? "*" : ""),
      summary.range.map(number).join("-"),
      ...bases.map((name) => number(summary.ratios[name]!)),
      number(summary.perProcessorSecond),
      ...bases.map((name) => number(summary.processorRatios[name]!)),
      number((figure.unit === "MB" ? 1e3 : 1e6) / summary.perProcessorSecond),
      percent(summary.bridge),
      percent(summary.client),
      percent(summary.peer),
    ]),
  ];
}

function memoryRows(
  summaries: readonly Summary[],
  bases: readonly string[],
): string[][] {
  return [
    [
      "",
      "kB per connection",
      "lowest-highest",
      ...bases.map((name) => `x ${name}`),
    ],
    ...summaries.map((summary) => [
      summary.contender,
      number(summary.rate),
      summary.range.map(number).join("-"),
      ...bases.map((name) => number(summary.ratios[name]!)),
    ]),
  ];
}

function isGeneratorBusy({ client, peer }: Summary): boolean {
  return Math.max(client, peer) >= BUSY;
}

function medianRatio(
  own: readonly Score[],
  others: readonly Score[],
  field: "rate" | "perProcessorSecond",
): number {
  const rounds = Math.min(own.length, others.length);
  return median(
    own.slice(0, rounds).map((score, i) => score[field] / others[i]![field]),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Three digits, and no exponent. */
function number(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return Number.isFinite(value)
    ? value.toLocaleString("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    })
    : "-";
}

function percent(value: number): string {
  return `${Math.round(value * 100)}%`;
}

/** Pads the cells of a table: the first column to the left, the others to the right. */
function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]!.length))
  );
  return rows.map((row) =>
    "  " +
    row.map((cell, column) =>
      column === 0
        ? cell.padEnd(widths[column]!)
        : cell.padStart(widths[column]!)
    ).join("  ")
  );
}
