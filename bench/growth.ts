/**
 * Figures that show how cost grows: with the connections, with the size of a
 * message, and with each framing function, transport and level of the log.
 *
 * @module
 */

import { defaults, type Figure, MEGABYTE, roundTrips } from "./figure.ts";
import type { Framing, Transport } from "./services.ts";

const CONNECTIONS = [10, 1000, 5000];
const SIZES = [
  ["16b", "16 bytes", 16],
  ["256b", "256 bytes", 256],
  ["4k", "4 KiB", 4096],
  ["64k", "64 KiB", 65536],
  ["1m", "1 MiB", 1048576],
] as const;
const FRAMINGS: readonly Framing[] = [
  "auto",
  "separator",
  "newline",
  "fixedlength",
  "dynamic32",
  "json",
];
const TRANSPORTS: readonly Transport[] = [
  "unix",
  "tls",
  "udp",
  "unix-dgram",
];
const LOG_LEVELS = ["log=error", "log=debug"];

/** Lists these figures. Those of TCP peers are among the main ones. */
export function growthFigures(): readonly Figure[] {
  const { service } = defaults;
  return [
    ...CONNECTIONS.map(roundTrips),
    ...SIZES.map(([suffix, words, size]): Figure => ({
      ...defaults,
      name: `to-peer-${suffix}`,
      title: `Client to peer, messages of ${words}, one client`,
      load: "send",
      size,
      unit: "messages",
      scale: size,
    })),
    ...SIZES.map(([suffix, words, size]): Figure => ({
      ...defaults,
      name: `to-client-${suffix}`,
      title: `Peer to client, lines of ${words} framed by newline, one client`,
      load: "receive-messages",
      service: { ...service, kind: "source", framing: "newline", size },
      unit: "messages",
    })),
    ...FRAMINGS.map((framing): Figure => ({
      ...defaults,
      name: `framing-${framing}`,
      title: `Peer to client, 80 bytes to a message of ${framing}, one client`,
      load: "receive-bytes",
      service: { ...service, kind: "source", framing, size: 80 },
      unit: "MB",
      scale: MEGABYTE,
    })),
    ...TRANSPORTS.map((transport): Figure => ({
      ...roundTrips(100),
      name: `round-trips-${transport}`,
      title: `Round trips of 64 bytes, 100 clients, peer on ${transport}`,
      service: { ...service, kind: "echo", transport },
    })),
    ...(["unix", "tls"] as const).map((transport): Figure => ({
      ...defaults,
      name: `bulk-${transport}`,
      title: `Peer to client, in bulk, one client, peer on ${transport}`,
      load: "receive-bytes",
      service: { ...service, kind: "source", transport },
      unit: "MB",
      scale: MEGABYTE,
    })),
    {
      ...defaults,
      name: "log-handshakes",
      title: "Connections opened, 16 at a time, by level of the log",
      load: "connections",
      service: { ...service, kind: "greet" },
      clients: 16,
      unit: "connections",
      rivals: false,
      variants: LOG_LEVELS,
    },
    {
      ...roundTrips(100),
      name: "log-round-trips",
      title: "Round trips of 64 bytes, 100 clients, by level of the log",
      rivals: false,
      variants: LOG_LEVELS,
    },
  ];
}
