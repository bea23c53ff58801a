/**
 * The events of handshakes and connections as metrics.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import type { Instruments, MetricAttributes } from "./instruments.ts";
import { attributes } from "./metrics.ts";
import { OpenConnections } from "./open_connections.ts";
import type {
  ConnectionTelemetry,
  ConnectionTraffic,
  HandshakeTelemetry,
  Telemetry,
} from "./telemetry.ts";

/** Milliseconds between two looks at how late the event loop is. */
const lookInterval = 500;

/** Records events as metrics. */
export class Measurements implements Telemetry {
  #instruments: Instruments;
  #connections: OpenConnections;
  #looking: ReturnType<typeof setInterval>;
  /** What was recorded last for each file. */
  #expiries = new Map<string, number>();

  /** @param instruments Take the values. */
  constructor(instruments: Instruments) {
    this.#instruments = instruments;
    this.#connections = new OpenConnections(instruments);
    // What has not happened yet is 0, not unknown: its first time counts, too.
    instruments.open.add(0);
    instruments.peersDown.add(0);
    instruments.limitsDown.add(0);
    instruments.handshakes.add(0, {
      [attributes.outcome]: "accepted",
      [attributes.status]: 101,
    });
    let last = performance.now();
    this.#looking = setInterval(() => {
      const now = performance.now();
      const late = Math.max(0, now - last - lookInterval);
      last = now;
      instruments.loopDelay.record(late / 1000);
    }, lookInterval);
    Deno.unrefTimer(this.#looking);
  }

  handshake(): HandshakeTelemetry {
    return new Handshake(this.#instruments, this.#connections);
  }

  pluginRestart(name: string, outcome: "running" | "failed"): void {
    this.#instruments.restarts.add(1, {
      [attributes.plugin]: name,
      [attributes.outcome]: outcome,
    });
  }

  peersDown(change: number): void {
    this.#instruments.peersDown.add(change);
  }

  limitsDown(change: number): void {
    this.#instruments.limitsDown.add(change);
  }

  certificateExpiry(file: string, time: number): void {
    const before = this.#expiries.get(file) ?? 0;
    this.#expiries.set(file, time);
    this.#instruments.certificateExpiry.add(time - before, {
      [attributes.certificate]: file,
    });
  }

  /** Adds what has gone through the open connections since the last time. */
  collect(): void {
    this.#connections.countTraffic();
  }

  end(): void {
    clearInterval(this.#looking);
  }
}

class Handshake implements HandshakeTelemetry {
  #instruments: Instruments;
  #connections: OpenConnections;
  #start = performance.now();

  constructor(instruments: Instruments, connections: OpenConnections) {
    this.#instruments = instruments;
    this.#connections = connections;
  }

  queryBackend<T>(
    backend: string,
    query: () => Promise<T>,
    route?: string,
  ): Promise<T> {
    return this.#time("queryDuration", query, {
      [attributes.backend]: backend,
      ...(route !== undefined && { [attributes.route]: route }),
    });
  }

  connectPeer<T>(transport: string, connect: () => Promise<T>): Promise<T> {
    return this.#time("connectDuration", connect, {
      [attributes.transport]: transport,
    });
  }

  refuse(status: number): void {
    this.#end("refused", { [attributes.status]: status });
  }

  abandon(): void {
    this.#end("abandoned");
  }

  open(traffic: ConnectionTraffic): ConnectionTelemetry {
    this.#end("accepted", { [attributes.status]: 101 });
    return this.#connections.add(traffic);
  }

  #end(outcome: string, status: MetricAttributes = {}): void {
    const { handshakes, handshakeDuration } = this.#instruments;
    const ended = { [attributes.outcome]: outcome };
    handshakes.add(1, { ...ended, ...status });
    handshakeDuration.record(secondsSince(this.#start), ended);
  }

  async #time<T>(
    step: "queryDuration" | "connectDuration",
    run: () => Promise<T>,
    known: MetricAttributes,
  ): Promise<T> {
    const start = performance.now();
    let failed: MetricAttributes = {};
    try {
      return await run();
    } catch (error) {
      failed = { [attributes.error]: errorType(error) };
      throw error;
    } finally {
      this.#instruments[step].record(secondsSince(start), {
        ...known,
        ...failed,
      });
    }
  }
}

/**
 * Names an error for an attribute: the status of the answer to it, as an
 * error's message may contain anything.
 *
 * @param error What was thrown.
 * @returns The status, or `_OTHER`.
 */
export function errorType(error: unknown): string {
  return error instanceof RequestError ? `${error.status}` : "_OTHER";
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
