/**
 * The instruments that record the metrics, for OpenTelemetry and for the page.
 *
 * @module
 */

import { type Metric, metrics } from "./metrics.ts";

/** Attributes of a value, by their names. */
export type MetricAttributes = Readonly<Record<string, string | number>>;

/** Adds numbers up. */
export interface Adder {
  /**
   * Adds a number.
   *
   * @param value The number; negative only for what can fall.
   * @param attributes What it belongs to.
   */
  add(value: number, attributes?: MetricAttributes): void;
}

/** Records a distribution. */
export interface Histogram {
  /**
   * Records a value.
   *
   * @param value The value.
   * @param attributes What it belongs to.
   */
  record(value: number, attributes?: MetricAttributes): void;
}

/** An instrument for each metric. */
export type Instruments = {
  readonly [Name in keyof typeof metrics]: InstrumentOf<
    typeof metrics[Name]["kind"]
  >;
};

type InstrumentOf<Kind extends Metric["kind"]> = Kind extends "histogram"
  ? Histogram
  : Adder;

/**
 * Makes the instruments.
 *
 * @param create Makes the one for a metric, of its kind.
 * @returns The instruments, by the names that the metrics have in the code.
 */
export function createInstruments(
  create: (metric: Metric, key: keyof typeof metrics) => Adder | Histogram,
): Instruments {
  const made = Object.entries(metrics).map(([key, metric]) => [
    key,
    create(metric, key as keyof typeof metrics),
  ]);
  // Each kind makes the instrument that the type above gives to its metric.
  return Object.fromEntries(made) as Instruments;
}
