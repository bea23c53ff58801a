/**
 * What a figure is, who can be measured for it, and what a measurement says in
 * its units.
 *
 * @module
 */

import { type Contender, isWebsocksy } from "./contenders.ts";
import type { LoadRequest, Measurement } from "./measure.ts";
import type { Service } from "./services.ts";

/** A figure. */
export interface Figure {
  /** Its name in the options and in the results. */
  readonly name: string;
  /** Heading of its table. */
  readonly title: string;
  /** The load; `start`: none, it is the start that is measured. */
  readonly load: LoadRequest["load"] | "start";
  /** The peer's service that is bridged to. */
  readonly service: Service;
  /** Clients at the same time. */
  readonly clients: number;
  /** Bytes in a message from a client. */
  readonly size: number;
  /** What is counted, in the plural. */
  readonly unit: string;
  /** How many of what the load counts make one unit. */
  readonly scale: number;
  /** Whether others than websocksy are measured, too. */
  readonly rivals: boolean;
  /** Options (`log=error`) with which websocksy is measured beside itself without. */
  readonly variants: readonly string[];
}

/** What one measurement says, in the units of its figure. */
export interface Score {
  /** Units per second; kB per connection for idle ones, milliseconds for a start. */
  readonly rate: number;
  /** Units per second of the bridge's processor time; 0 for memory and a start. */
  readonly perProcessorSecond: number;
  /** Processors that the bridge kept busy. */
  readonly bridge: number;
  /** Processors that the generator's clients kept busy, at most 1. */
  readonly client: number;
  /** Processors that the generator's peer kept busy, at most 1. */
  readonly peer: number;
  /** Processors of the machine that were busy, with whatever. */
  readonly machine: number;
  /** The bridge's resident memory after a start, in MB; else 0. */
  readonly memory: number;
}

/** Bytes in a megabyte, as it is meant here. */
export const MEGABYTE = 1_000_000;

/** What most figures have in common. */
export const defaults = {
  service: { kind: "sink", transport: "tcp", framing: "binary", size: 64 },
  clients: 1,
  size: 64,
  scale: 1,
  rivals: true,
  variants: [],
} as const satisfies Partial<Figure>;

/** Of contenders that start a process for each connection, as many clients are measured at most. */
const MAX_PROCESSES = 100;

/** Makes a figure of round trips. */
export function roundTrips(clients: number): Figure {
  return {
    ...defaults,
    name: `round-trips-${clients}`,
    title: clients === 1
      ? "Round trips of 64 bytes, one client"
      : `Round trips of 64 bytes, ${clients.toLocaleString("en-US")} clients`,
    load: "round-trips",
    service: { ...defaults.service, kind: "echo" },
    clients,
    unit: "round trips",
  };
}

/** Whether a contender can be measured for a figure. */
export function applies(figure: Figure, contender: Contender): boolean {
  const { framing, transport } = figure.service;
  if (!figure.rivals && !isWebsocksy(contender.name)) return false;
  if (
    contender.forks && figure.clients > MAX_PROCESSES && figure.load !== "idle"
  ) return false;
  return contender.framings.includes(framing) &&
    contender.transports.includes(transport);
}

/** Number of clients for a contender. */
export function clientsFor(figure: Figure, contender: Contender): number {
  return figure.load === "idle" && contender.forks
    ? Math.min(figure.clients, MAX_PROCESSES)
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
    machine: measured.machine / seconds,
    memory: 0,
  };
}
