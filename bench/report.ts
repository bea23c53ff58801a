/**
 * Reports on the scores: medians over the rounds and ratios within them, the
 * goals, and all of it as JSON.
 *
 * @module
 */

import type { Percentiles } from "./latency.ts";
import type { FigureScores, LatencyScore, Pace, Score } from "./rounds.ts";

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

/** A goal, and the result of a contender. */
export interface Outcome {
  /** The goal. */
  readonly goal: string;
  /** Name of the contender. */
  readonly contender: string;
  /** Its result. */
  readonly value: number;
  /** The bound. */
  readonly bound: number;
  /** Whether the goal is reached. */
  readonly reached: boolean;
}

/** The results of a run. */
export interface Results {
  /** The command that made them, without the files that it writes. */
  readonly command: string;
  /** Day of its end, in UTC: `2026-01-31`. */
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
  /** The goals. */
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

/** The options of a run that a report needs. */
export interface ReportOptions extends Pace {
  /** Names of the contenders that the others are compared with. */
  readonly against: readonly string[];
}

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
      // Figures without a rate have no processor time per unit, either.
      if (own.some((score) => score.perProcessorSecond === 0)) continue;
      processorRatios[name] = medianRatio(own, others, "perProcessorSecond");
    }
    const rates = own.map((score) => score.rate);
    summaries.push({
      contender,
      rate: median(rates),
      range: [Math.min(...rates), Math.max(...rates)],
      perProcessorSecond: medianOf(own, "perProcessorSecond"),
      bridge: medianOf(own, "bridge"),
      client: medianOf(own, "client"),
      peer: medianOf(own, "peer"),
      machine: medianOf(own, "machine"),
      memory: medianOf(own, "memory"),
      received: medianOf(own, "received"),
      ...medianLatency(own),
      ratios,
      processorRatios,
    });
  }
  return summaries;
}

/** Name of a number of a score. */
type Field = Exclude<keyof Score, "latency">;

/** The median over the rounds of one number of a score. */
function medianOf(
  scores: readonly Score[],
  field: Field,
): number {
  return median(scores.map((score) => score[field]));
}

/** The median over the rounds of one number divided by that of another contender. */
function medianRatio(
  own: readonly Score[],
  others: readonly Score[],
  field: Field,
): number {
  const rounds = Math.min(own.length, others.length);
  return median(
    own.slice(0, rounds).map((score, i) => score[field] / others[i]![field]),
  );
}

function medianLatency(
  scores: readonly Score[],
): { readonly latency?: LatencyScore } {
  const all = scores.flatMap(({ latency }) => latency ?? []);
  if (all.length === 0) return {};
  function middle(share: "half" | "high"): Percentiles {
    return {
      p50: median(all.map((one) => one[share].p50)),
      p99: median(all.map((one) => one[share].p99)),
      p999: median(all.map((one) => one[share].p999)),
    };
  }
  const bulk = median(all.map(({ bulk }) => bulk));
  return { latency: { half: middle("half"), high: middle("high"), bulk } };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

interface Goal {
  readonly text: string;
  readonly figure: string;
  /** The number that counts, or its ratio to that of `against`. */
  readonly field: "rate" | "perProcessorSecond";
  /** What it is divided by: a contender, itself in another figure, or itself without an option. */
  readonly against?:
    | { readonly contender: string }
    | { readonly figure: string }
    | { readonly without: string };
  readonly bound: number;
  /** Whether the bound is the most instead of the least. */
  readonly isMost?: boolean;
  /** Contenders; absent: both engines. */
  readonly contenders?: readonly string[];
}

const ENGINES = ["stream", "native"];

const goals: readonly Goal[] = [
  versus("Peer to client in bulk", "bulk-to-client", "websockify", 1.5),
  versus("Peer to client in bulk", "bulk-to-client", "ws-bridge", 2),
  versus("Peer to client in bulk", "bulk-to-client", "haproxy", 1),
  versus("Client to peer, 64 KiB", "bulk-to-peer", "websockify", 2),
  versus("Client to peer, 64 bytes", "messages-to-peer", "ws-bridge", 3),
  versus("Round trips, 100 clients", "round-trips-100", "ws-bridge", 1.5),
  {
    ...versus("Lines of 80 bytes", "lines-to-client", "ws-bridge", 3),
    contenders: ["stream"],
  },
  bothWays(
    "Lines to the client without their end",
    "both-ways-to-client",
    0.85,
  ),
  bothWays(
    "Lines to the peer with their end added",
    "both-ways-to-peer",
    0.85,
  ),
  {
    text: "A line of 16 MiB, MB per CPU s, x one of 1 MiB",
    figure: "line-16m",
    field: "perProcessorSecond",
    against: { figure: "line-1m" },
    bound: 0.5,
  },
  {
    text: "Handshakes per CPU s",
    figure: "handshakes",
    field: "perProcessorSecond",
    bound: 4000,
  },
  {
    text: "Two threads, handshakes per second, x one",
    figure: "handshakes-threads",
    field: "rate",
    against: { without: ":threads=2" },
    bound: 1.6,
    contenders: ENGINES.map((engine) => `${engine}:threads=2`),
  },
  isolated("round trips, x built in", "round-trips", "worker", 0.5),
  isolated("round trips, x built in", "round-trips", "process", 1 / 3),
  isolated("bulk to the client, MB/s", "bulk", "worker", 500),
  isolated("bulk to the client, MB/s", "bulk", "process", 300),
  {
    text: "5,000 idle connections, kB each",
    figure: "idle-memory-5000",
    field: "rate",
    bound: 30,
    isMost: true,
  },
];

/**
 * Judges each goal for which there are results, for each engine.
 *
 * @param results The figures that were measured.
 */
export function judge(results: readonly FigureScores[]): Outcome[] {
  const figures = new Map(
    results.map(({ figure, scores }) => [figure.name, scores]),
  );
  return goals.flatMap((goal) =>
    (goal.contenders ?? ENGINES).flatMap((contender) => {
      const value = valueOf(goal, contender, figures);
      if (value === undefined) return [];
      const { text, bound, isMost = false } = goal;
      const reached = isMost ? value <= bound : value >= bound;
      return [{ goal: text, contender, value, bound, reached }];
    })
  );
}

/** Writes what was judged as a list. */
export function formatOutcomes(outcomes: readonly Outcome[]): string {
  return outcomes.map(({ goal, contender, value, bound, reached }) => {
    const [shown, wanted] = [value, bound].map((number) =>
      number.toLocaleString("en-US", { maximumSignificantDigits: 3 })
    );
    return `  ${reached ? "reached" : "missed "}  ${goal}: ` +
      `${contender} ${shown} of ${wanted}\n`;
  }).join("");
}

/** A ratio to websocksy without the plugin, or a rate. */
function isolated(
  text: string,
  figure: string,
  isolation: string,
  bound: number,
): Goal {
  const without = `:isolation=${isolation}`;
  return {
    text: `Framed by a plugin in a ${isolation}, ${text}`,
    figure: `isolated-${figure}`,
    field: "rate",
    ...bound < 1 && { against: { without } },
    bound,
    contenders: ENGINES.map((engine) => `${engine}${without}`),
  };
}

function versus(
  text: string,
  figure: string,
  contender: string,
  bound: number,
): Goal {
  return {
    text: `${text}, per CPU s, x ${contender}`,
    figure,
    field: "perProcessorSecond",
    against: { contender },
    bound,
  };
}

function bothWays(text: string, figure: string, bound: number): Goal {
  const without = ":framing-config=crlf,strip,append";
  return {
    text: `${text}, per CPU s, x as they are`,
    figure,
    field: "perProcessorSecond",
    against: { without },
    bound,
    contenders: ENGINES.map((engine) => `${engine}${without}`),
  };
}

function valueOf(
  { figure, field, against }: Goal,
  contender: string,
  figures: ReadonlyMap<string, FigureScores["scores"]>,
): number | undefined {
  const scores = figures.get(figure);
  const own = scores?.get(contender);
  if (scores === undefined || own === undefined) return undefined;
  if (against === undefined) return medianOf(own, field);
  if ("figure" in against) {
    const other = figures.get(against.figure)?.get(contender);
    return other && medianOf(own, field) / medianOf(other, field);
  }
  const others = scores.get(
    "without" in against
      ? contender.replace(against.without, "")
      : against.contender,
  );
  return others && medianRatio(own, others, field);
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
  { rounds, seconds, against }: ReportOptions,
): Results {
  return {
    command: ["deno task bench", ...args.map(quote)].join(" ")
      .replaceAll(/ --(?:json|svg|page)[ =]\S+/g, ""),
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
