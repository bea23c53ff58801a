/**
 * Metrics as text: the format of Prometheus, and OpenMetrics 1.0, which is
 * made from it.
 *
 * @module
 */

import { type Metric, metrics } from "./metrics.ts";
import type { MetricsSnapshot, Series } from "./snapshot.ts";

/** A format of the text. */
export type MetricsFormat = "prometheus" | "openmetrics";

/** The media types of the formats. */
export const mediaTypes: Readonly<Record<MetricsFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** A metric of the process, which has one value. */
export interface Gauge {
  /** Its name, with the unit, and for a counter without `_total`. */
  readonly name: string;
  /** Its kind. */
  readonly kind: "counter" | "gauge";
  /** Its unit, as the end of the name has it; absent: none. */
  readonly unit?: string;
  /** What it measures. */
  readonly description: string;
  /** Its labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Its value. */
  readonly value: number;
}

/**
 * Chooses the format that a client asks for.
 *
 * @param accept Its `Accept` field; `null`: none.
 * @returns OpenMetrics, if it prefers that.
 */
export function chooseFormat(accept: string | null): MetricsFormat {
  let openMetrics = 0;
  let others = 0;
  for (const range of accept?.toLowerCase().split(",") ?? []) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim());
    const quality = parameters.find((one) => one.startsWith("q="))?.slice(2);
    const weight = quality === undefined ? 1 : Number(quality) || 0;
    if (type === "application/openmetrics-text") {
      openMetrics = Math.max(openMetrics, weight);
    } else if (["text/plain", "text/*", "*/*"].includes(type!)) {
      others = Math.max(others, weight);
    }
  }
  return openMetrics > 0 && openMetrics >= others
    ? "openmetrics"
    : "prometheus";
}

/**
 * Names a metric as Prometheus does when it receives it over OTLP.
 *
 * @param metric The metric.
 * @returns Its name and its unit, without what the kind adds.
 */
export function familyOf(
  { name, unit }: Pick<Metric, "name" | "unit">,
): { readonly name: string; readonly unit: string | undefined } {
  const word = units[unit];
  const base = toLabel(name);
  return {
    name: word === undefined ? base : `${base}_${word}`,
    unit: word,
  };
}

const units: Readonly<Record<string, string>> = { s: "seconds", By: "bytes" };

/**
 * Formats metrics.
 *
 * @param snapshot The values of the metrics.
 * @param process Those of the process.
 * @param format The format.
 * @returns The text.
 */
export function formatMetrics(
  { series }: MetricsSnapshot,
  process: readonly Gauge[],
  format: MetricsFormat,
): string {
  let text = "";
  for (const [key, metric] of Object.entries(metrics)) {
    text += formatMetric(metric, series[key] ?? [], format);
  }
  for (const { name, kind, unit, description, labels = {}, value } of process) {
    text += formatHead({ name, kind, unit, description }, format) +
      `${sampleName(name, kind)}${formatLabels(labels)} ${value}\n`;
  }
  return format === "openmetrics" ? `${text}# EOF\n` : text;
}

function formatMetric(
  metric: Metric,
  series: readonly Series[],
  format: MetricsFormat,
): string {
  if (series.length === 0) return "";
  const { name, unit } = familyOf(metric);
  const kind = metric.kind === "updowncounter" ? "gauge" : metric.kind;
  let text = formatHead(
    { name, kind, unit, description: metric.description },
    format,
  );
  for (const one of series) {
    const labels = Object.fromEntries(
      Object.entries(one.attributes)
        .map(([label, value]) => [toLabel(label), `${value}`]),
    );
    text += kind === "histogram"
      ? formatHistogram(name, labels, metric.buckets ?? [], one, format)
      : `${sampleName(name, kind)}${formatLabels(labels)} ${one.value}\n`;
  }
  return text;
}

function formatHead(
  { name, kind, unit, description }: {
    readonly name: string;
    readonly kind: string;
    readonly unit?: string | undefined;
    readonly description: string;
  },
  format: MetricsFormat,
): string {
  // OpenMetrics names the family, Prometheus the samples.
  const named = format === "openmetrics" ? name : sampleName(name, kind);
  const unitLine = format === "openmetrics" && unit !== undefined
    ? `# UNIT ${named} ${unit}\n`
    : "";
  return `# HELP ${named} ${description}\n# TYPE ${named} ${kind}\n${unitLine}`;
}

function sampleName(name: string, kind: string): string {
  return kind === "counter" ? `${name}_total` : name;
}

function formatHistogram(
  name: string,
  labels: Readonly<Record<string, string>>,
  bounds: readonly number[],
  { value, sum, buckets }: Series,
  format: MetricsFormat,
): string {
  let text = "";
  let count = 0;
  for (const [index, bound] of [...bounds, Infinity].entries()) {
    count += buckets[index]!;
    const le = formatBound(bound, format);
    text += `${name}_bucket${formatLabels({ ...labels, le })} ${count}\n`;
  }
  const all = formatLabels(labels);
  return `${text}${name}_sum${all} ${sum}\n${name}_count${all} ${value}\n`;
}

function formatBound(bound: number, format: MetricsFormat): string {
  if (bound === Infinity) return "+Inf";
  // OpenMetrics wants a bound to look like the float that it is.
  return format === "openmetrics" && Number.isInteger(bound)
    ? `${bound}.0`
    : `${bound}`;
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replace(/[\\"\n]/g, (character) => escapes[character]!)}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join()}}`;
}

const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  '"': '\\"',
  "\n": "\\n",
};

function toLabel(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9]/g, "_");
}
