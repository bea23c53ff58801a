/**
 * Metrics and traces through the OpenTelemetry API, which Deno exports.
 *
 * @module
 */

import type * as OpenTelemetryApi from "@opentelemetry/api";
import type {
  Attributes,
  Context,
  Histogram,
  Span,
  SpanKind,
  TextMapGetter,
  Tracer,
} from "@opentelemetry/api";
import { RequestError } from "../errors.ts";
import { createInstruments, type Instruments } from "./instruments.ts";
import { attributes } from "./metrics.ts";
import type { RequestHeaders } from "../websocket/engine.ts";
import { OpenConnections } from "./open_connections.ts";
import type {
  ConnectionTelemetry,
  ConnectionTraffic,
  HandshakeTelemetry,
  Telemetry,
} from "./telemetry.ts";

/** The package `@opentelemetry/api`. */
export type Api = typeof OpenTelemetryApi;

/** Name of the instrumentation scope. */
const scope = "websocksy";

/** The tracer and instruments that all handshakes use. */
interface Tools {
  readonly api: Api;
  readonly tracer: Tracer;
  readonly instruments: Instruments;
  readonly connections: OpenConnections;
}

/** Records events as metrics and traces. */
export class OpenTelemetry implements Telemetry {
  #tools: Tools;

  /** @param api The package `@opentelemetry/api`. */
  constructor(api: Api) {
    const meter = api.metrics.getMeter(scope);
    const instruments = createInstruments(meter);
    const connections = new OpenConnections(instruments);
    const tracer = api.trace.getTracer(scope);
    this.#tools = { api, tracer, instruments, connections };
    // The callback runs at each collection, which includes what it adds. Deno's
    // last export, at the end of the process, would lack observable counters,
    // and so the traffic since the export before.
    meter.addBatchObservableCallback(() => connections.countTraffic(), []);
  }

  handshake(headers: RequestHeaders): HandshakeTelemetry {
    return new Handshake(this.#tools, headers);
  }

  pluginRestart(name: string, outcome: "running" | "failed"): void {
    this.#tools.instruments.restarts.add(1, {
      [attributes.plugin]: name,
      [attributes.outcome]: outcome,
    });
  }
}

/** A step of a handshake. */
interface Step {
  readonly name: string;
  readonly kind: SpanKind;
  readonly duration: Histogram;
  readonly attributes: Attributes;
}

class Handshake implements HandshakeTelemetry {
  #tools: Tools;
  #start = performance.now();
  #span: Span;
  /** The context of the steps within the handshake. */
  #context: Context;

  constructor(tools: Tools, headers: RequestHeaders) {
    const { api: { context, propagation, SpanKind, trace }, tracer } = tools;
    this.#tools = tools;
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

  queryBackend<T>(backend: string, query: () => Promise<T>): Promise<T> {
    const { api: { SpanKind }, instruments } = this.#tools;
    return this.#run(query, {
      name: "backend query",
      kind: SpanKind.INTERNAL,
      duration: instruments.queryDuration,
      attributes: { [attributes.backend]: backend },
    });
  }

  connectPeer<T>(transport: string, connect: () => Promise<T>): Promise<T> {
    const { api: { SpanKind }, instruments } = this.#tools;
    return this.#run(connect, {
      name: "peer connect",
      kind: SpanKind.CLIENT,
      duration: instruments.connectDuration,
      attributes: { [attributes.transport]: transport },
    });
  }

  refuse(status: number): void {
    const { SpanStatusCode } = this.#tools.api;
    if (status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#end("refused", { [attributes.status]: status });
  }

  abandon(): void {
    this.#end("abandoned");
  }

  open(traffic: ConnectionTraffic): ConnectionTelemetry {
    this.#end("accepted", { [attributes.status]: 101 });
    return this.#tools.connections.add(traffic);
  }

  #end(outcome: string, status: Attributes = {}): void {
    const { handshakes, handshakeDuration } = this.#tools.instruments;
    const ended = { [attributes.outcome]: outcome };
    handshakes.add(1, { ...ended, ...status });
    handshakeDuration.record(secondsSince(this.#start), ended);
    this.#span.setAttributes({ ...ended, ...status });
    this.#span.end();
  }

  async #run<T>(run: () => Promise<T>, step: Step): Promise<T> {
    const { api: { context, SpanStatusCode, trace }, tracer } = this.#tools;
    const { name, kind, attributes: known } = step;
    const start = performance.now();
    this.#span.setAttributes(known);
    const options = { kind, attributes: known };
    const span = tracer.startSpan(name, options, this.#context);
    let failed: Attributes = {};
    try {
      // Within the span, as a backend may send requests itself.
      return await context.with(trace.setSpan(this.#context, span), run);
    } catch (error) {
      failed = { [attributes.error]: errorType(error) };
      span.setAttributes(failed);
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      step.duration.record(secondsSince(start), { ...known, ...failed });
      span.end();
    }
  }
}

const headerGetter: TextMapGetter<RequestHeaders> = {
  get: (headers, name) => headers.get(name) ?? undefined,
  keys: (headers) => [...headers].map(([name]) => name),
};

/**
 * The status of the answer to an error, as an error's message may contain
 * anything.
 */
function errorType(error: unknown): string {
  return error instanceof RequestError ? `${error.status}` : "_OTHER";
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
