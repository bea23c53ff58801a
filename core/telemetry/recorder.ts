/**
 * The metrics in memory, for the page and the admin listener: no exporter is
 * needed.
 *
 * @module
 */

import {
  type Adder,
  createInstruments,
  type Histogram,
  type MetricAttributes,
} from "./instruments.ts";
import { Measurements } from "./measurements.ts";
import { type Metric, metrics } from "./metrics.ts";
import type { MetricsSnapshot, Series } from "./snapshot.ts";

/** Records the metrics of one thread. */
export class Recorder extends Measurements {
  #series: ReadonlyMap<keyof typeof metrics, MetricSeries>;

  constructor() {
    const series = new Map<keyof typeof metrics, MetricSeries>();
    super(createInstruments((metric, key) => {
      const one = new MetricSeries(metric);
      series.set(key, one);
      return one;
    }));
    this.#series = series;
  }

  /**
   * Gives the values of now.
   *
   * @returns A copy of them, which can be sent to another thread.
   */
  snapshot(): MetricsSnapshot {
    this.collect();
    const series: Record<string, readonly Series[]> = {};
    for (const [key, one] of this.#series) series[key] = one.all();
    return { origin: performance.timeOrigin, series };
  }
}

/** All series of a metric. */
class MetricSeries implements Adder, Histogram {
  #bounds: readonly number[];
  #series = new Map<string, Changing>();

  constructor({ kind, buckets = [], attributes }: Metric) {
    this.#bounds = kind === "histogram" ? buckets : [];
    if (kind === "histogram" && attributes.length === 0) this.#find({});
  }

  add(value: number, attributes: MetricAttributes = {}): void {
    this.#find(attributes).value += value;
  }

  record(value: number, attributes: MetricAttributes = {}): void {
    const series = this.#find(attributes);
    series.value++;
    series.sum += value;
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    series.buckets[bucket]!++;
  }

  all(): Series[] {
    return Array.from(
      this.#series.values(),
      (series) => ({ ...series, buckets: [...series.buckets] }),
    );
  }

  #find(attributes: MetricAttributes): Changing {
    let key = "";
    // Each metric's attributes come in the same order.
    for (const name in attributes) key += `${name}\0${attributes[name]}\0`;
    let found = this.#series.get(key);
    if (found === undefined) {
      const buckets = new Array(this.#bounds.length + 1).fill(0);
      found = { attributes, value: 0, sum: 0, buckets };
      this.#series.set(key, found);
    }
    return found;
  }
}

interface Changing extends Series {
  value: number;
  sum: number;
  readonly buckets: number[];
}
