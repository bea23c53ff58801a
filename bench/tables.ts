/**
 * Writes the table of a figure.
 *
 * @module
 */

import { type Figure, MEGABYTE } from "./figures.ts";
import { summarize, type Summary } from "./report.ts";
import type { FigureScores } from "./rounds.ts";

/** Share of a processor from which on the generator may limit a rate. */
const BUSY = 0.9;
/** Share of all processors from which on the machine may limit a rate. */
const MACHINE_BUSY = 0.95;

/**
 * Writes the table of a figure.
 *
 * @param against Names of the contenders that the others are compared with.
 */
export function formatFigure(
  scores: FigureScores,
  against: readonly string[],
): string {
  const { figure, failures } = scores;
  const summaries = summarize(scores, against);
  const bases = against.filter((name) => scores.scores.has(name));
  const lines = [
    `${figure.name}: ${figure.title}`,
    ...align(tableOf(figure, summaries, bases)),
  ];
  const marked = ["idle", "gone", "latency"].includes(figure.load)
    ? ""
    : summaries.map(marks).join("");
  for (const [mark, what] of [["*", "load generator"], ["+", "machine"]]) {
    if (!marked.includes(mark!)) continue;
    lines.push(`  ${mark} the ${what} was busy: compare by processor time`);
  }
  for (const [name, why] of failures) lines.push(`  ${name}: ${why}`);
  return lines.join("\n") + "\n";
}

function tableOf(
  figure: Figure,
  summaries: readonly Summary[],
  bases: readonly string[],
): string[][] {
  switch (figure.load) {
    case "latency":
      return latencyTable(figure, summaries);
    case "idle":
    case "gone":
      return memoryTable(summaries, bases);
    case "start":
      return startTable(summaries, bases);
    default:
      return rateTable(figure, summaries, bases);
  }
}

function rateTable(
  figure: Figure,
  summaries: readonly Summary[],
  bases: readonly string[],
): string[][] {
  return [
    [
      "",
      `${figure.unit}/s`,
      "lowest-highest",
      "per CPU s",
      ...bases.map((name) => `x ${name}`),
      figure.unit === "MB" ? "CPU ms/MB" : "CPU us each",
      ...figure.compressed ? ["of its size"] : [],
      "bridge",
      "client",
      "peer",
      "machine",
    ],
    ...summaries.map((summary) => [
      summary.contender,
      number(summary.rate) + marks(summary),
      range(summary),
      number(summary.perProcessorSecond),
      ...bases.map((name) => number(summary.processorRatios[name]!)),
      number((figure.unit === "MB" ? 1e3 : 1e6) / summary.perProcessorSecond),
      ...figure.compressed ? [number(summary.received / MEGABYTE)] : [],
      percent(summary.bridge),
      percent(summary.client),
      percent(summary.peer),
      percent(summary.machine),
    ]),
  ];
}

/** Rates, and microseconds at half of the rate and at nine tenths of it. */
function latencyTable(
  { bulk }: Figure,
  summaries: readonly Summary[],
): string[][] {
  const head = ["p50", "p99", "p99.9"];
  return [
    [
      ...["", "best/s", "lowest-highest", "bridge"],
      ...head.map((name) => `0.5: ${name}`),
      ...head.map((name) => `0.9: ${name}`),
      ...bulk ? ["bulk MB/s"] : [],
    ],
    ...summaries.map((summary) => {
      const { half, high, bulk: received } = summary.latency!;
      return [
        summary.contender,
        number(summary.rate),
        range(summary),
        percent(summary.bridge),
        ...[half, high].flatMap(({ p50, p99, p999 }) =>
          [p50, p99, p999].map(number)
        ),
        ...bulk ? [number(received)] : [],
      ];
    }),
  ];
}

function memoryTable(
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
      range(summary),
      ...bases.map((name) => number(summary.ratios[name]!)),
    ]),
  ];
}

function startTable(
  summaries: readonly Summary[],
  bases: readonly string[],
): string[][] {
  return [
    [
      "",
      "ms",
      "lowest-highest",
      ...bases.map((name) => `x ${name}`),
      "CPU ms",
      "MB resident",
    ],
    ...summaries.map((summary) => [
      summary.contender,
      number(summary.rate),
      range(summary),
      ...bases.map((name) => number(summary.ratios[name]!)),
      number(summary.bridge * summary.rate),
      number(summary.memory),
    ]),
  ];
}

function marks(summary: Summary): string {
  return (isGeneratorBusy(summary) ? "*" : "") +
    (isMachineBusy(summary) ? "+" : "");
}

function isGeneratorBusy({ client, peer }: Summary): boolean {
  return Math.max(client, peer) >= BUSY;
}

function isMachineBusy({ machine }: Summary): boolean {
  return machine >= MACHINE_BUSY * navigator.hardwareConcurrency;
}

function range({ range }: Summary): string {
  return range.map(number).join("-");
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
