/**
 * Metrics and traces through the OpenTelemetry API, which Deno exports.
 *
 * @module
 */

import type * as OpenTelemetryApi from "@opentelemetry/api";
import type {
  Attributes,
  Context,
  Meter,
  Span,
  SpanKind,
  TextMapGetter,
  Tracer,
} from "@opentelemetry/api";
import type { RequestHeaders } from "../websocket/engine.ts";
import { combine } from "./combined.ts";
import {
  type Adder,
  createInstruments,
  type Histogram,
} from "./instruments.ts";
import { errorType, Measurements } from "./measurements.ts";
import { attributes, type Metric } from "./metrics.ts";
import {
  type ConnectionTelemetry,
  type HandshakeTelemetry,
  type Telemetry,
  unwatchedHandshake,
} from "./telemetry.ts";

/** The package `@opentelemetry/api`. */
export type Api = typeof OpenTelemetryApi;

/** Name of the instrumentation scope. */
const scope = "websocksy";

/**
 * Records events as metrics and traces that Deno exports.
 *
 * @param api The package `@opentelemetry/api`.
 * @returns Takes the events.
 */
export function openTelemetry(api: Api): Telemetry {
  const meter = api.metrics.getMeter(scope);
  const measurements = new Measurements(
    createInstruments((metric) => createInstrument(meter, metric)),
  );
  // The callback runs at each collection, which includes what it adds. Deno's
  // last export, at the end of the process, would lack observable counters,
  // and so the traffic since the export before.
  meter.addBatchObservableCallback(() => measurements.collect(), []);
  return combine([measurements, new Traces(api)]);
}

function createInstrument(
  meter: Meter,
  { name, kind, unit, description, buckets = [] }: Metric,
): Adder | Histogram {
  if (kind === "counter") {
    return meter.createCounter(name, { unit, description });
  }
  if (kind === "updowncounter") {
    return meter.createUpDownCounter(name, { unit, description });
  }
  const advice = { explicitBucketBoundaries: [...buckets] };
  return meter.createHistogram(name, { unit, description, advice });
}

/** Records handshakes as spans. */
class Traces implements Telemetry {
  #api: Api;
  #tracer: Tracer;

  constructor(api: Api) {
    this.#api = api;
    this.#tracer = api.trace.getTracer(scope);
  }

  handshake(headers: RequestHeaders): HandshakeTelemetry {
    return new TracedHandshake(this.#api, this.#tracer, headers);
  }

  pluginRestart(): void {}

  peersDown(): void {}

  limitsDown(): void {}

  certificateExpiry(): void {}
}

/** A step of a handshake. */
interface Step {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

class TracedHandshake implements HandshakeTelemetry {
  #api: Api;
  #tracer: Tracer;
  #span: Span;
  /** The context of the steps within the handshake. */
  #context: Context;

  constructor(api: Api, tracer: Tracer, headers: RequestHeaders) {
    const { context, propagation, SpanKind, trace } = api;
    this.#api = api;
    this.#tracer = tracer;
    // `Deno.serve` creates a span for the request, in the trace that the client
    // names. The engine `stream` has none.
    const active = context.active();
    const isWithinRequest = trace.getSpan(active) !== undefined;
    const parent = isWithinRequest
      ? active
      : propagation.extract(active, headers, headerGetter);
    const kind = isWithinRequest ? SpanKind.INTERNAL : SpanKind.SERVER;
    this.#span = tracer.startSpan("handshake", { kind }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  queryBackend<T>(
    backend: string,
    query: () => Promise<T>,
    route?: string,
  ): Promise<T> {
    return this.#run(query, {
      name: "backend query",
      kind: this.#api.SpanKind.INTERNAL,
      attributes: {
        [attributes.backend]: backend,
        ...(route !== undefined && { [attributes.route]: route }),
      },
    });
  }

  connectPeer<T>(transport: string, connect: () => Promise<T>): Promise<T> {
    return this.#run(connect, {
      name: "peer connect",
      kind: this.#api.SpanKind.CLIENT,
      attributes: { [attributes.transport]: transport },
    });
  }

  refuse(status: number): void {
    const { SpanStatusCode } = this.#api;
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#end("refused", { [attributes.status]: status });
  }

  abandon(): void {
    this.#end("abandoned");
  }

  open(): ConnectionTelemetry {
    this.#end("accepted", { [attributes.status]: 101 });
    // The time for which a WebSocket is open is not a span.
    return unwatchedHandshake.open();
  }

  #end(outcome: string, status: Attributes = {}): void {
    this.#span.setAttributes({ [attributes.outcome]: outcome, ...status });
    this.#span.end();
  }

  async #run<T>(
    run: () => Promise<T>,
    { name, kind, attributes: known }: Step,
  ): Promise<T> {
    const { context, SpanStatusCode, trace } = this.#api;
    this.#span.setAttributes(known);
    const options = { kind, attributes: known };
    const span = this.#tracer.startSpan(name, options, this.#context);
    try {
      // Within the span, as a backend may send requests itself.
      return await context.with(trace.setSpan(this.#context, span), run);
    } catch (error) {
      span.setAttributes({ [attributes.error]: errorType(error) });
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }
}

const headerGetter: TextMapGetter<RequestHeaders> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  keys: (headers) => [...headers].map(([name]) => name),
};
