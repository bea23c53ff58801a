/**
 * What the bridge is to reach, as ratios in one run, and whether it has.
 *
 * @module
 */

import { type FigureScores, medianOf, medianRatio } from "./statistics.ts";

/** A goal, and how far a contender has come. */
export interface Outcome {
  /** What is to be reached. */
  readonly goal: string;
  /** Name of the contender. */
  readonly contender: string;
  /** What it has reached. */
  readonly value: number;
  /** The bound. */
  readonly bound: number;
  /** Whether that is enough, or little enough. */
  readonly reached: boolean;
}

interface Goal {
  readonly text: string;
  readonly figure: string;
  /** The number that counts; that of the other in its place if there is `against`. */
  readonly field: "rate" | "perProcessorSecond";
  /** Whom it is divided by: a contender, itself in another figure, or itself without an option. */
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
  // Bytes are counted, of which there are 82 for 80.
  bothWays(
    "Lines to the peer with their end added",
    "both-ways-to-peer",
    0.872,
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
  {
    text: "5,000 idle connections, kB each",
    figure: "idle-memory-5000",
    field: "rate",
    bound: 30,
    isMost: true,
  },
];

/**
 * Says of each goal that can be judged how far each engine has come.
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
