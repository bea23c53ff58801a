/**
 * From scores to medians over the rounds, and ratios within them.
 *
 * @module
 */

import type { Figure, Score } from "./figure.ts";

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
      // Figures without a rate have no processor time for each unit, either.
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
      ratios,
      processorRatios,
    });
  }
  return summaries;
}

/** The median over the rounds of one number of a score. */
export function medianOf(
  scores: readonly Score[],
  field: keyof Score,
): number {
  return median(scores.map((score) => score[field]));
}

/** The median over the rounds of one number divided by that of another contender. */
export function medianRatio(
  own: readonly Score[],
  others: readonly Score[],
  field: keyof Score,
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
