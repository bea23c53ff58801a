/**
 * The figures, by the sets in which they are measured.
 *
 * @module
 */

import { defaults, type Figure, MEGABYTE, roundTrips } from "./figure.ts";
import { growthFigures } from "./growth.ts";

/** Names of the sets of figures. */
export const figureSets = ["main", "growth", "quick", "all"] as const;

/** Name of a set of figures. */
export type FigureSet = typeof figureSets[number];

const QUICK = [
  "bulk-to-client",
  "bulk-to-peer",
  "messages-to-peer",
  "lines-to-client",
  "round-trips-100",
  "handshakes",
];
/** Options with which `newline` takes ends off, and adds them. */
const BOTH_WAYS = "framing-config=crlf,strip,append";
/** Figures of the set "main" that those of the set "growth" go on from. */
const BASES = ["bulk-to-client", "round-trips-1", "round-trips-100"];

/**
 * Lists the figures of a set.
 *
 * @param set Name of the set.
 * @param connections Number of connections that do nothing whose memory is measured.
 */
export function createFigures(
  set: FigureSet,
  connections: number,
): readonly Figure[] {
  const main = mainFigures(connections);
  switch (set) {
    case "main":
      return main;
    case "quick":
      return main.filter(({ name }) => QUICK.includes(name));
    case "growth":
      return [
        ...main.filter(({ name }) => BASES.includes(name)),
        ...growthFigures(),
      ];
    case "all":
      return [...main, ...growthFigures()];
  }
}

function mainFigures(connections: number): readonly Figure[] {
  const { service } = defaults;
  return [
    {
      ...defaults,
      name: "bulk-to-client",
      title: "Peer to client, in bulk, one client",
      load: "receive-bytes",
      service: { ...service, kind: "source" },
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
      service: { ...service, kind: "source", framing: "newline", size: 80 },
      unit: "messages",
    },
    {
      ...defaults,
      name: "both-ways-to-client",
      title: "Peer to client, lines of 80 bytes, with and without their end",
      load: "receive-messages",
      service: { ...service, kind: "source", framing: "newline", size: 80 },
      unit: "messages",
      rivals: false,
      variants: [BOTH_WAYS],
    },
    {
      ...defaults,
      name: "both-ways-to-peer",
      title:
        "Client to peer, lines of 80 bytes, as they are and with an end added",
      load: "send",
      service: { ...service, framing: "newline" },
      size: 80,
      unit: "messages",
      scale: 80,
      rivals: false,
      variants: [BOTH_WAYS],
    },
    longLine("line-1m", "1 MiB", 2 ** 20),
    longLine("line-16m", "16 MiB", 2 ** 24),
    roundTrips(1),
    roundTrips(100),
    {
      ...defaults,
      name: "handshakes",
      title: "Connections opened (handshake, peer, first byte), 16 at a time",
      load: "connections",
      service: { ...service, kind: "greet" },
      clients: 16,
      unit: "connections",
    },
    {
      ...defaults,
      name: "handshakes-threads",
      title: "Connections opened, 64 at a time, by one thread and by two",
      load: "connections",
      service: { ...service, kind: "greet" },
      clients: 64,
      unit: "connections",
      rivals: false,
      variants: ["threads=2"],
    },
    idleMemory("idle-memory", connections),
    idleMemory("idle-memory-5000", 5000),
    {
      ...idleMemory("quiet-memory", connections),
      title:
        `Resident memory, ${connections} connections that had 1 MiB echoed, one after another`,
      service: { ...service, kind: "echo" },
      size: 2 ** 20,
    },
    {
      ...defaults,
      name: "start-up",
      title: "From start to the first connection accepted",
      load: "start",
      unit: "ms",
      variants: ["threads=2"],
    },
  ];
}

function idleMemory(name: string, connections: number): Figure {
  return {
    ...defaults,
    name,
    title: `Resident memory, ${connections} idle connections`,
    load: "idle",
    service: { ...defaults.service, kind: "greet" },
    clients: connections,
    size: 0,
    unit: "kB per connection",
  };
}

function longLine(name: string, words: string, size: number): Figure {
  return {
    ...defaults,
    name,
    title:
      `Lines of ${words} framed by newline, of which the peer writes 1 KiB every 50 us`,
    load: "receive-messages",
    service: { ...defaults.service, kind: "trickle", framing: "newline", size },
    unit: "MB",
    scale: MEGABYTE / size,
    // What keeps the start of a line as a string, and splits it anew with every
    // read, would need minutes.
    rivals: false,
  };
}
