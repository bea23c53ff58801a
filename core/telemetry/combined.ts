/**
 * Several records of the same events.
 *
 * @module
 */

import type { RequestHeaders, WebSocketEnd } from "../websocket/engine.ts";
import {
  type ConnectionTelemetry,
  type ConnectionTraffic,
  type HandshakeTelemetry,
  noTelemetry,
  type Telemetry,
} from "./telemetry.ts";

/**
 * Makes one of several.
 *
 * @param all Take the events, each of them all.
 * @returns Tells all of them; for none or one, it costs nothing more.
 */
export function combine(all: readonly Telemetry[]): Telemetry {
  const [first = noTelemetry, ...others] = all
    .filter((one) => one !== noTelemetry);
  return others.reduce((one, other) => new Both(one, other), first);
}

/** Two records of the same events. */
class Pair<Each> {
  protected readonly one: Each;
  protected readonly other: Each;

  constructor(one: Each, other: Each) {
    this.one = one;
    this.other = other;
  }
}

class Both extends Pair<Telemetry> implements Telemetry {
  certificateExpiry(file: string, time: number): void {
    this.one.certificateExpiry(file, time);
    this.other.certificateExpiry(file, time);
  }

  handshake(headers: RequestHeaders): HandshakeTelemetry {
    const one = this.one.handshake(headers);
    return new BothHandshakes(one, this.other.handshake(headers));
  }

  pluginRestart(name: string, outcome: "running" | "failed"): void {
    this.one.pluginRestart(name, outcome);
    this.other.pluginRestart(name, outcome);
  }

  peersDown(change: number): void {
    this.one.peersDown(change);
    this.other.peersDown(change);
  }

  limitsDown(change: number): void {
    this.one.limitsDown(change);
    this.other.limitsDown(change);
  }
}

class BothHandshakes extends Pair<HandshakeTelemetry>
  implements HandshakeTelemetry {
  queryBackend<T>(
    backend: string,
    query: () => Promise<T>,
    route?: string,
  ): Promise<T> {
    return this.one.queryBackend(
      backend,
      () => this.other.queryBackend(backend, query, route),
      route,
    );
  }

  connectPeer<T>(transport: string, connect: () => Promise<T>): Promise<T> {
    return this.one.connectPeer(
      transport,
      () => this.other.connectPeer(transport, connect),
    );
  }

  refuse(status: number): void {
    this.one.refuse(status);
    this.other.refuse(status);
  }

  abandon(): void {
    this.one.abandon();
    this.other.abandon();
  }

  open(traffic: ConnectionTraffic): ConnectionTelemetry {
    const one = this.one.open(traffic);
    const other = this.other.open(traffic);
    return {
      close(end: WebSocketEnd): void {
        one.close(end);
        other.close(end);
      },
    };
  }
}
