/**
 * The OpenTelemetry instruments that record the metrics.
 *
 * @module
 */

import type {
  Counter,
  Histogram,
  Meter,
  UpDownCounter,
} from "@opentelemetry/api";
import { type Metric, metrics } from "./metrics.ts";

/** An instrument for each metric. */
export type Instruments = {
  readonly [Name in keyof typeof metrics]: InstrumentOf<
    typeof metrics[Name]["kind"]
  >;
};

type InstrumentOf<Kind extends Metric["kind"]> = Kind extends "counter"
  ? Counter
  : Kind extends "histogram" ? Histogram
  : UpDownCounter;

/**
 * Makes the instruments.
 *
 * @param meter Makes each of them.
 * @returns The instruments, by the names that the metrics have in the code.
 */
export function createInstruments(meter: Meter): Instruments {
  const made = Object.entries(metrics).map(([key, metric]) => [
    key,
    createInstrument(meter, metric),
  ]);
  // Each kind makes the instrument that the type above gives to its metric.
  return Object.fromEntries(made) as Instruments;
}

function createInstrument(
  meter: Meter,
  { name, kind, unit, description, buckets = [] }: Metric,
): Counter | Histogram | UpDownCounter {
  if (kind === "counter") {
    return meter.createCounter(name, { unit, description });
  }
  if (kind === "updowncounter") {
    return meter.createUpDownCounter(name, { unit, description });
  }
  const advice = { explicitBucketBoundaries: [...buckets] };
  return meter.createHistogram(name, { unit, description, advice });
}
