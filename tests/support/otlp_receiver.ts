/**
 * A receiver for what Deno exports over OTLP/HTTP, in JSON, for tests.
 *
 * @module
 */

/** Attributes, by name. */
export type OtlpAttributes = Readonly<Record<string, string | number>>;

/** One time series of a metric, with its latest value. */
export interface OtlpSeries {
  /** Name of the metric. */
  readonly name: string;
  /** `sum`, `histogram` or `gauge`. */
  readonly kind: string;
  /** Whether a sum never falls. */
  readonly isMonotonic: boolean;
  /** The unit. */
  readonly unit: string;
  /** Name of what measures. */
  readonly scope: string;
  /** Its attributes. */
  readonly attributes: OtlpAttributes;
  /** The value; of a histogram, how many were recorded. */
  readonly value: number;
  /** The sum of a histogram's values. */
  readonly sum: number;
  /** The upper bounds of a histogram's buckets. */
  readonly bounds: readonly number[];
}

/** A span. */
export interface OtlpSpan {
  /** Its name. */
  readonly name: string;
  /** Name of what made it. */
  readonly scope: string;
  /** Internal is 1, server 2, client 3. */
  readonly kind: number;
  /** The trace. */
  readonly traceId: string;
  /** Its own id. */
  readonly spanId: string;
  /** That of the span that it is part of; empty if there is none. */
  readonly parentSpanId: string;
  /** Whether it failed. */
  readonly isError: boolean;
  /** Its attributes. */
  readonly attributes: OtlpAttributes;
}

/** Receives metrics and spans until it is disposed of. */
export class OtlpReceiver implements AsyncDisposable {
  /** All spans. */
  readonly spans: OtlpSpan[] = [];
  /** Names of the services that exported. */
  readonly services = new Set<string>();
  #series = new Map<string, OtlpSeries>();
  #server: Deno.HttpServer<Deno.NetAddr>;
  #stop = new AbortController();
  #arrived = Promise.withResolvers<void>();

  private constructor(answers: boolean) {
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      signal: this.#stop.signal,
    }, async (request) => {
      this.#take(await request.json());
      // A promise that nobody ever resolves is an answer that never comes.
      return answers ? Response.json({}) : await new Promise(() => {});
    });
  }

  /** Starts a receiver. */
  static start(): OtlpReceiver {
    return new OtlpReceiver(true);
  }

  /** Starts a receiver that answers nothing. */
  static startHanging(): OtlpReceiver {
    return new OtlpReceiver(false);
  }

  /** The variables that let a `deno` export to it, metrics ten times a second. */
  get env(): Record<string, string> {
    return otlpVariables(this.#server.addr.port);
  }

  /** All time series. */
  get series(): OtlpSeries[] {
    return [...this.#series.values()];
  }

  /**
   * Sums the latest values of a metric.
   *
   * @param name Its name.
   * @param attributes Those that a time series must have; it may have more.
   */
  value(name: string, attributes: OtlpAttributes = {}): number {
    let sum = 0;
    for (const series of this.series) {
      const matches = series.name === name &&
        Object.entries(attributes).every(([key, value]) =>
          series.attributes[key] === value
        );
      if (matches) sum += series.value;
    }
    return sum;
  }

  /**
   * Waits until a metric has a value, by an export that has come or will.
   *
   * @param expected The value.
   * @param name Its name.
   * @param attributes As for {@linkcode OtlpReceiver.value}.
   * @throws {RangeError} If it becomes larger, which no counter takes back.
   */
  async until(
    expected: number,
    name: string,
    attributes: OtlpAttributes = {},
  ): Promise<void> {
    for (;;) {
      const value = this.value(name, attributes);
      if (value === expected) return;
      if (value > expected) {
        throw new RangeError(`${name} is ${value}, not ${expected}`);
      }
      await this.#arrived.promise;
    }
  }

  /**
   * Waits until a metric is not 0.
   *
   * @param name Its name.
   * @param attributes As for {@linkcode OtlpReceiver.value}.
   */
  async untilSome(name: string, attributes: OtlpAttributes): Promise<void> {
    while (this.value(name, attributes) === 0) await this.#arrived.promise;
  }

  /** Waits for the next request, answered or not. */
  async next(): Promise<void> {
    await this.#arrived.promise;
  }

  #take(body: Export): void {
    for (const { resource, scopeMetrics } of body.resourceMetrics ?? []) {
      const { "service.name": service } = toAttributes(resource.attributes);
      this.services.add(String(service));
      for (const { scope, metrics } of scopeMetrics) {
        for (const metric of metrics) this.#takeMetric(scope.name, metric);
      }
    }
    for (const { scopeSpans } of body.resourceSpans ?? []) {
      for (const { scope, spans } of scopeSpans) {
        this.spans.push(...spans.map((span) => ({
          ...span,
          scope: scope.name,
          isError: span.status.code === 2,
          attributes: toAttributes(span.attributes),
        })));
      }
    }
    const { resolve } = this.#arrived;
    this.#arrived = Promise.withResolvers();
    resolve();
  }

  #takeMetric(scope: string, metric: ExportedMetric): void {
    const { name, unit } = metric;
    const kind = (["sum", "histogram", "gauge"] as const)
      .find((kind) => metric[kind] !== undefined)!;
    const { dataPoints, isMonotonic = false } = metric[kind]!;
    for (const point of dataPoints) {
      const attributes = toAttributes(point.attributes);
      const key = JSON.stringify([name, Object.entries(attributes).sort()]);
      const value = point.asDouble ?? point.asInt ?? point.count ?? 0;
      this.#series.set(key, {
        ...{ name, unit, scope, kind, isMonotonic, attributes },
        value: Number(value),
        sum: Number(point.sum ?? 0),
        bounds: point.explicitBounds ?? [],
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.finished;
  }
}

/**
 * The variables that let a `deno` export telemetry.
 *
 * @param port Where to, on 127.0.0.1.
 */
export function otlpVariables(port: number): Record<string, string> {
  return {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_METRIC_EXPORT_INTERVAL: "100",
  };
}

/** What a request has; the fields that matter here. */
interface Export {
  readonly resourceMetrics?: readonly {
    readonly resource: { readonly attributes: readonly ExportedAttribute[] };
    readonly scopeMetrics: readonly {
      readonly scope: { readonly name: string };
      readonly metrics: readonly ExportedMetric[];
    }[];
  }[];
  readonly resourceSpans?: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly ExportedSpan[];
    }[];
  }[];
}

interface ExportedMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: ExportedPoints;
  readonly histogram?: ExportedPoints;
  readonly gauge?: ExportedPoints;
}

interface ExportedPoints {
  readonly isMonotonic?: boolean;
  readonly dataPoints: readonly {
    readonly attributes: readonly ExportedAttribute[];
    readonly asDouble?: number;
    readonly asInt?: number | string;
    readonly count?: number | string;
    readonly sum?: number;
    readonly explicitBounds?: readonly number[];
  }[];
}

type ExportedSpan =
  & Omit<OtlpSpan, "scope" | "isError" | "attributes">
  & {
    readonly status: { readonly code: number };
    readonly attributes: readonly ExportedAttribute[];
  };

interface ExportedAttribute {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: number | string;
    readonly doubleValue?: number;
  };
}

function toAttributes(
  attributes: readonly ExportedAttribute[],
): OtlpAttributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [
    key,
    value.stringValue ?? Number(value.intValue ?? value.doubleValue),
  ]));
}
