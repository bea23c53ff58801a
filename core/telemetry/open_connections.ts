/**
 * The metrics of open connections and their traffic.
 *
 * They cost nothing per message: the counts of open connections are read when
 * the metrics are collected.
 *
 * @module
 */

import type { WebSocketEnd } from "../websocket/engine.ts";
import type { Instruments } from "./instruments.ts";
import { attributes } from "./metrics.ts";
import type {
  ConnectionTelemetry,
  ConnectionTraffic,
  Traffic,
} from "./telemetry.ts";

/** The connections that are open. */
export class OpenConnections {
  #instruments: Instruments;
  #open = new Set<CountedTraffic>();

  /** @param instruments Takes the metrics. */
  constructor(instruments: Instruments) {
    this.#instruments = instruments;
  }

  /**
   * Adds a connection.
   *
   * @param traffic The counts of its traffic.
   * @returns Records its end.
   */
  add(traffic: ConnectionTraffic): ConnectionTelemetry {
    const { open, connectionDuration, closed } = this.#instruments;
    const opened = performance.now();
    const counted = new CountedTraffic(traffic);
    this.#open.add(counted);
    open.add(1);
    return {
      close: ({ code, by }: WebSocketEnd): void => {
        this.#open.delete(counted);
        this.#count([counted]);
        open.add(-1);
        connectionDuration.record((performance.now() - opened) / 1000);
        closed.add(1, {
          [attributes.closeCode]: formatCloseCode(code),
          [attributes.closedBy]: by,
        });
      },
    };
  }

  /** Adds the traffic of all of them since the last time. */
  countTraffic(): void {
    this.#count(this.#open);
  }

  #count(connections: Iterable<CountedTraffic>): void {
    const toPeer: Traffic = { messages: 0, bytes: 0 };
    const toClient: Traffic = { messages: 0, bytes: 0 };
    for (const connection of connections) connection.take(toPeer, toClient);
    const { bytes, messages } = this.#instruments;
    const directions = { to_peer: toPeer, to_client: toClient };
    for (const [direction, traffic] of Object.entries(directions)) {
      bytes.add(traffic.bytes, { [attributes.direction]: direction });
      messages.add(traffic.messages, { [attributes.direction]: direction });
    }
  }
}

/** The traffic of a connection, and how much of it was added. */
class CountedTraffic {
  #traffic: ConnectionTraffic;
  #toPeer: Traffic = { messages: 0, bytes: 0 };
  #toClient: Traffic = { messages: 0, bytes: 0 };

  constructor(traffic: ConnectionTraffic) {
    this.#traffic = traffic;
  }

  /** Adds the traffic that was not yet added. */
  take(toPeer: Traffic, toClient: Traffic): void {
    addUncounted(toPeer, this.#traffic.toPeer, this.#toPeer);
    addUncounted(toClient, this.#traffic.toClient, this.#toClient);
  }
}

function addUncounted(
  sum: Traffic,
  { messages, bytes }: Readonly<Traffic>,
  counted: Traffic,
): void {
  sum.messages += messages - counted.messages;
  sum.bytes += bytes - counted.bytes;
  counted.messages = messages;
  counted.bytes = bytes;
}

/**
 * Names a close code. Codes that clients may choose freely are grouped, or one
 * client could create thousands of time series.
 */
function formatCloseCode(code: number): string {
  if (code <= 1015) return `${code}`;
  if (code >= 3000 && code < 5000) return `${Math.floor(code / 1000)}xxx`;
  return "other";
}
