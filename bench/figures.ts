/**
 * The figures: what each counts, and under which load.
 *
 * @module
 */

import { directories } from "./directories.ts";
import type { LoadRequest } from "./generator.ts";
import { type Framing, linesOf, type Service, type Transport } from "./peer.ts";

/** A figure. */
export interface Figure {
  /** Its name in the options and in the results. */
  readonly name: string;
  /** Heading of its table. */
  readonly title: string;
  /** The load; `start`: none, the start is measured. */
  readonly load: LoadRequest["load"] | "start" | "latency";
  /** The peer's service that is bridged to. */
  readonly service: Service;
  /** Whether clients use TLS. */
  readonly tls: boolean;
  /** Whether the bridge compresses messages. */
  readonly compressed: boolean;
  /** Whether another client receives in bulk; for `latency` only. */
  readonly bulk: boolean;
  /** Clients at the same time. */
  readonly clients: number;
  /** Bytes in a message from a client. */
  readonly size: number;
  /** What is counted, in the plural. */
  readonly unit: string;
  /** How many of what the load counts make one unit. */
  readonly scale: number;
  /** Whether contenders other than websocksy are measured, too. */
  readonly rivals: boolean;
  /**
   * Options (`log=error`) with which websocksy is measured, beside websocksy
   * without them.
   */
  readonly variants: readonly string[];
}

/** Names of the sets of figures. */
export const figureSets = ["main", "growth", "quick", "all"] as const;

/** Name of a set of figures. */
export type FigureSet = typeof figureSets[number];

/** Bytes in a megabyte. */
export const MEGABYTE = 1_000_000;

/** What most figures have in common. */
const defaults = {
  service: { kind: "sink", transport: "tcp", framing: "binary", size: 64 },
  tls: false,
  compressed: false,
  bulk: false,
  clients: 1,
  size: 64,
  scale: 1,
  rivals: true,
  variants: [],
} as const satisfies Partial<Figure>;

/** Figures that are also measured with clients that use TLS. */
const WITH_TLS = [
  "bulk-to-client",
  "bulk-to-peer",
  "messages-to-peer",
  "lines-to-client",
  "round-trips-1",
  "round-trips-100",
  "handshakes",
  "churn",
  "latency-100",
  "idle-memory",
];
const QUICK = [
  "bulk-to-client",
  "bulk-to-peer",
  "messages-to-peer",
  "lines-to-client",
  "round-trips-100",
  "handshakes",
];
/** Options with which `newline` removes line ends, and adds them. */
export const BOTH_WAYS = "framing-config=crlf,strip,append";
/** Name of the figure that is measured only if a file is given for it. */
export const FILE_FIGURE = "compressed-file";
/** The byte that ends a line. */
const LF = 0x0a;
/** Bytes of the end that it adds. */
export const ADDED = 2;
/** Figures of the set "main" that those of the set "growth" continue. */
const BASES = ["bulk-to-client", "round-trips-1", "round-trips-100"];
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
/** Options with which a plugin is the backend, and frames. */
const ISOLATIONS = ["isolation=worker", "isolation=process"];
const LOG_LEVELS = ["log=error", "log=debug"];
/**
 * Lists the figures of a set.
 *
 * @param set Name of the set.
 * @param connections Number of connections that do nothing whose memory is measured.
 * @param text A file whose lines are to be compressed.
 */
export function createFigures(
  set: FigureSet,
  connections: number,
  text?: string,
): readonly Figure[] {
  const all = [
    ...mainFigures(connections),
    ...(text === undefined ? [] : [compressedFile(text)]),
  ];
  const main = all.flatMap((figure) =>
    WITH_TLS.includes(figure.name) ? [figure, overTls(figure)] : [figure]
  );
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
    handshakes("handshakes", 16, "16 at a time"),
    {
      ...defaults,
      name: "churn",
      title: "Connections opened, one echo, closed, 16 at a time",
      load: "churn",
      service: { ...service, kind: "echo" },
      clients: 16,
      unit: "connections",
    },
    ...threadFigures(),
    compressedLines(160),
    compressedLines(4096),
    latency("latency-1", 1),
    latency("latency-100", 100),
    latency("latency-1000", 1000),
    {
      ...latency("latency-bulk", 100),
      title: "Latency of 100 clients, beside one that receives in bulk",
      bulk: true,
    },
    ...isolationFigures(),
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
      ...idleMemory("gone-memory", connections),
      title:
        `Resident memory, ${connections} connections that had 1 MiB echoed, and ended`,
      load: "gone",
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

function roundTrips(clients: number): Figure {
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

function handshakes(name: string, clients: number, words: string): Figure {
  return {
    ...defaults,
    name,
    title: `Connections opened (handshake, peer, first byte), ${words}`,
    load: "connections",
    service: { ...defaults.service, kind: "greet" },
    clients,
    unit: "connections",
  };
}

/** Many clients of one thread and of two: with much work for a little load. */
function threadFigures(): readonly Figure[] {
  const threads = { rivals: false, variants: ["threads=2"] };
  const opened = handshakes("handshakes-threads", 64, "64 at a time");
  return [
    { ...opened, ...threads },
    { ...overTls(opened), ...threads },
    {
      ...roundTrips(100),
      ...threads,
      name: "round-trips-threads",
      title: "Round trips of 64 bytes, 100 clients, by threads",
    },
    {
      ...compressedLines(160),
      ...threads,
      name: "compressed-threads",
      title: "Peer to client, lines of JSON, compressed, 32 clients",
      clients: 32,
    },
  ];
}

/** Text for clients that take it compressed. */
function compressedLines(size: number): Figure {
  return {
    ...defaults,
    name: `compressed-${size}`,
    title: `Peer to client, lines of JSON of ${size} bytes, each compressed`,
    load: "receive-messages",
    service: { ...defaults.service, kind: "text", framing: "newline", size },
    compressed: true,
    unit: "MB",
    scale: MEGABYTE / size,
  };
}

/** The lines of a file, for a client that takes them compressed. */
function compressedFile(file: string): Figure {
  const lines = linesOf(file);
  const count = lines.reduce((sum, byte) => byte === LF ? sum + 1 : sum, 0);
  const size = lines.length / count;
  const { service, ...figure } = compressedLines(size);
  return {
    ...figure,
    name: FILE_FIGURE,
    title: `Peer to client, lines of ${file}, ${
      Math.round(size)
    } bytes on average, each compressed`,
    service: { ...service, file },
  };
}

function latency(name: string, clients: number): Figure {
  return {
    ...defaults,
    name,
    title: `Latency of ${
      clients === 1 ? "one client" : `${clients} clients`
    }, us at 0.5 and 0.9 of the best rate`,
    load: "latency",
    service: { ...defaults.service, kind: "echo" },
    clients,
    unit: "messages",
  };
}

/** The same figure with clients that use TLS. */
function overTls(figure: Figure): Figure {
  return {
    ...figure,
    name: `${figure.name}-tls`,
    title: `${figure.title}, TLS`,
    tls: true,
  };
}

/** The cost of a plugin's isolation, for framing and for answers. */
function isolationFigures(): readonly Figure[] {
  const { service } = defaults;
  const isolated = { rivals: false, variants: ISOLATIONS };
  return [
    {
      ...roundTrips(100),
      ...isolated,
      name: "isolated-round-trips",
      title: "Round trips of 64 bytes, 100 clients, framed by a plugin",
      service: { ...service, kind: "echo", framing: "fixedlength" },
    },
    {
      ...defaults,
      ...isolated,
      name: "isolated-bulk",
      title: "Peer to client, in bulk, one client, framed by a plugin",
      load: "receive-bytes",
      service: { ...service, kind: "source" },
      unit: "MB",
      scale: MEGABYTE,
    },
    {
      ...defaults,
      ...isolated,
      name: "isolated-query",
      title: "Connections opened, one at a time, with a plugin as backend",
      load: "connections",
      service: { ...service, kind: "greet" },
      unit: "connections",
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

/**
 * Lists the figures that show how cost grows with the number of connections and
 * the size of a message, and with each framing function, transport and level of
 * the log. Those of TCP peers are among the main ones.
 */
function growthFigures(): readonly Figure[] {
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
      ...defaults,
      name: "directories",
      title: "Connections opened, 16 at a time, by the directory that is asked",
      load: "connections",
      service: { ...service, kind: "greet" },
      clients: 16,
      unit: "connections",
      rivals: false,
      variants: directories.map((name) => `directory=${name}`),
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
