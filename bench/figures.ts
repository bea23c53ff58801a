/**
 * What is measured: each figure, the load that gives it, and its units.
 *
 * @module
 */

import type { Contender } from "./contenders.ts";
import type { LoadRequest, Measurement } from "./measure.ts";
import type { Service } from "./peer.ts";

/** A figure. */
export interface Figure {
  /** Its name in the options and in the results. */
  readonly name: string;
  /** Heading of its table. */
  readonly title: string;
  /** The load. */
  readonly load: LoadRequest["load"];
  /** The peer's service that is bridged to. */
  readonly service: Service;
  /** Framing function. */
  readonly framing: "binary" | "newline";
  /** Clients at the same time. */
  readonly clients: number;
  /** Bytes in a message from a client. */
  readonly size: number;
  /** What is counted, in the plural. */
  readonly unit: string;
  /** How many of what the load counts make one unit. */
  readonly scale: number;
}

/** What one measurement says, in the units of its figure. */
export interface Score {
  /** Units per second; for memory, kB per connection. */
  readonly rate: number;
  /** Units per second of the bridge's processor time; 0 for memory. */
  readonly perProcessorSecond: number;
  /** Processors that the bridge kept busy. */
  readonly bridge: number;
  /** Processors that the generator's clients kept busy, at most 1. */
  readonly client: number;
  /** Processors that the generator's peer kept busy, at most 1. */
  readonly peer: number;
}

/** Of contenders that start a process for each connection, as many idle ones are opened at most. */
const MAX_IDLE_PROCESSES = 100;
const MEGABYTE = 1_000_000;

const defaults = {
  service: "sink",
  framing: "binary",
  clients: 1,
  size: 64,
  scale: 1,
} as const;

/**
 * Lists the figures.
 *
 * @param connections Number of idle connections whose memory is measured.
 */
export function createFigures(connections: number): readonly Figure[] {
  return [
    {
      ...defaults,
      name: "bulk-to-client",
      title: "Peer to client, in bulk, one client",
      load: "receive-bytes",
      service: "source",
      unit: "MB",
      scale: MEGABYTE,
    },
    {
      ...defaults,
      name: "bulk-to-peer",
      title: "Client to peer, messages of 64 KiB, one client",
      load: "send",
      size: 65536,
      unit: "MB",
      scale: MEGABYTE,
    },
    {
      ...defaults,
      name: "messages-to-peer",
      title: "Client to peer, messages of 64 bytes, one client",
      load: "send",
      unit: "messages",
      scale: 64,
    },
    {
      ...defaults,
      name: "lines-to-client",
      title: "Peer to client, lines of 80 bytes framed by newline, one client",
      load: "receive-messages",
      service: "lines",
      framing: "newline",
      unit: "messages",
    },
    {
      ...defaults,
      name: "round-trips-1",
      title: "Round trips of 64 bytes, one client",
      load: "round-trips",
      service: "echo",
      unit: "round trips",
    },
    {
      ...defaults,
      name: "round-trips-100",
      title: "Round trips of 64 bytes, 100 clients",
      load: "round-trips",
      service: "echo",
      clients: 100,
      unit: "round trips",
    },
    {
      ...defaults,
      name: "handshakes",
      title: "Connections opened (handshake, peer, first byte), 16 at a time",
      load: "connections",
      service: "greet",
      clients: 16,
      unit: "connections",
    },
    {
      ...defaults,
      name: "idle-memory",
      title: `Resident memory, ${connections} idle connections`,
      load: "idle",
      service: "greet",
      clients: connections,
      unit: "kB per connection",
    },
  ];
}

/** Whether a contender can be measured for a figure. */
export function applies(figure: Figure, contender: Contender): boolean {
  return figure.framing === "binary" || contender.frames;
}

/** Number of clients for a contender. */
export function clientsFor(figure: Figure, contender: Contender): number {
  return figure.load === "idle" && contender.forks
    ? Math.min(figure.clients, MAX_IDLE_PROCESSES)
    : figure.clients;
}

/** Turns a measurement into the units of its figure. */
export function score(figure: Figure, measured: Measurement): Score {
  const { seconds } = measured;
  const count = measured.count / figure.scale;
  const idle = figure.load === "idle";
  return {
    rate: idle ? measured.memory / 1000 / measured.count : count / seconds,
    perProcessorSecond: idle ? 0 : count / measured.bridge,
    bridge: measured.bridge / seconds,
    client: measured.client / seconds,
    peer: measured.peer / seconds,
  };
}
