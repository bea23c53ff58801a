/**
 * The values of metrics at one time.
 *
 * @module
 */

import type { MetricAttributes } from "./instruments.ts";

/** A time series, with its value. */
export interface Series {
  /** Its attributes. */
  readonly attributes: MetricAttributes;
  /** The sum of what was added; of a histogram, how many values there were. */
  readonly value: number;
  /** The sum of a histogram's values. */
  readonly sum: number;
  /** How many of a histogram's values each bucket has; the last one has those beyond all bounds. */
  readonly buckets: readonly number[];
}

/** The values of a thread's metrics. */
export interface MetricsSnapshot {
  /** When the thread has started: milliseconds since 1970. */
  readonly origin: number;
  /** The series of each metric, by its name in the code. */
  readonly series: Readonly<Record<string, readonly Series[]>>;
}

/**
 * Adds up what several threads have recorded.
 *
 * @param snapshots Their values.
 * @returns The sums.
 */
export function addUp(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  const names = new Set(
    snapshots.flatMap(({ series }) => Object.keys(series)),
  );
  const series: Record<string, readonly Series[]> = {};
  for (const name of names) {
    const sums = new Map<string, Series>();
    for (const one of snapshots.flatMap(({ series }) => series[name] ?? [])) {
      const key = JSON.stringify(one.attributes);
      const sum = sums.get(key);
      sums.set(key, sum === undefined ? one : addTo(sum, one));
    }
    series[name] = [...sums.values()];
  }
  const origin = Math.min(...snapshots.map(({ origin }) => origin));
  return { origin, series };
}

function addTo(sum: Series, one: Series): Series {
  return {
    attributes: sum.attributes,
    value: sum.value + one.value,
    sum: sum.sum + one.sum,
    buckets: sum.buckets.map((count, index) => count + one.buckets[index]!),
  };
}
