/**
 * The figures: what each counts, which contenders it has, and how they are
 * measured in alternating rounds.
 *
 * @module
 */

import {
  type Contender,
  createContender,
  type GivenArguments,
  isWebsocksy,
  processorSeconds,
  residentBytes,
  type RunningContender,
  startContender,
} from "./contenders.ts";
import { directories } from "./directories.ts";
import type { Generator, LoadRequest, Measurement } from "./loads.ts";
import type { Framing, Service, Transport } from "./peer.ts";

/** A figure. */
export interface Figure {
  /** Its name in the options and in the results. */
  readonly name: string;
  /** Heading of its table. */
  readonly title: string;
  /** The load; `start`: none, the start is measured. */
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
  /** Whether contenders other than websocksy are measured, too. */
  readonly rivals: boolean;
  /**
   * Options (`log=error`) with which websocksy is measured, beside websocksy
   * without them.
   */
  readonly variants: readonly string[];
}

/** The result of one measurement, in the units of its figure. */
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
  /** Processors of the machine that were busy, with any work. */
  readonly machine: number;
  /** The bridge's resident memory after a start, in MB; else 0. */
  readonly memory: number;
}

/** All scores of one figure: for each contender, one of each round. */
export interface FigureScores {
  /** The figure. */
  readonly figure: Figure;
  /** Scores by name of the contender, in the order of the rounds. */
  readonly scores: ReadonlyMap<string, readonly Score[]>;
  /** Why a contender has no scores, by its name. */
  readonly failures: ReadonlyMap<string, string>;
}

/** Names of the sets of figures. */
export const figureSets = ["main", "growth", "quick", "all"] as const;

/** Name of a set of figures. */
export type FigureSet = typeof figureSets[number];

/** How often and how long is measured. */
export interface Pace {
  /** Measurements of each contender for each figure. */
  readonly rounds: number;
  /** Seconds of one measurement. */
  readonly seconds: number;
}

/** What all measurements of one invocation have in common. */
export interface Setup extends Pace, GivenArguments {
  /** The load generator. */
  readonly generator: Generator;
  /** A directory for files of the contenders. */
  readonly directory: string;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** The contenders that can be started here, and why others cannot. */
interface Found {
  /** By their names. */
  readonly ready: ReadonlyMap<string, Contender>;
  /** The reasons, by the names of the others. */
  readonly missing: ReadonlyMap<string, string>;
}

/** Bytes in a megabyte. */
const MEGABYTE = 1_000_000;

/** What most figures have in common. */
const defaults = {
  service: { kind: "sink", transport: "tcp", framing: "binary", size: 64 },
  clients: 1,
  size: 64,
  scale: 1,
  rivals: true,
  variants: [],
} as const satisfies Partial<Figure>;

const QUICK = [
  "bulk-to-client",
  "bulk-to-peer",
  "messages-to-peer",
  "lines-to-client",
  "round-trips-100",
  "handshakes",
];
/** Options with which `newline` removes line ends, and adds them. */
const BOTH_WAYS = "framing-config=crlf,strip,append";
/** Bytes of the end that it adds. */
const ADDED = 2;
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
/** Most clients of contenders that start a process for each connection. */
const MAX_PROCESSES = 100;
/** Seconds of a load before the measurement, at most a third of its length. */
const WARM_UP = 0.5;
const PROBE: Service = {
  kind: "sink",
  transport: "tcp",
  framing: "binary",
  size: 64,
};

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

/**
 * Starts each contender once, to find out which of them work.
 *
 * @param figures What is to be measured.
 * @param names Names of the contenders that were asked for.
 */
export async function findContenders(
  figures: readonly Figure[],
  names: readonly string[],
  setup: Setup,
): Promise<Found> {
  const ready = new Map<string, Contender>();
  const missing = new Map<string, string>();
  for (const figure of figures) {
    for (const contender of contendersFor(figure, names)) {
      const { name } = contender;
      if (ready.has(name) || missing.has(name)) continue;
      try {
        await contender.prepare?.(setup.directory);
        await using _ = await start(contender, PROBE, setup);
        ready.set(name, contender);
      } catch (error) {
        setup.signal.throwIfAborted();
        missing.set(name, (error as Error).message);
      }
    }
  }
  return { ready, missing };
}

/** The contenders that can be measured for a figure, its variants of websocksy included. */
function contendersFor(
  figure: Figure,
  names: readonly string[],
): Contender[] {
  const all = names.flatMap((name) => [
    name,
    ...(isWebsocksy(name) && !name.includes(":")
      ? figure.variants.map((option) => `${name}:${option}`)
      : []),
  ]);
  return [...new Set(all)].map(createContender)
    .filter((contender) => applies(figure, contender));
}

/** Whether a contender can be measured for a figure. */
function applies(figure: Figure, contender: Contender): boolean {
  const { framing, transport } = figure.service;
  if (!figure.rivals && !isWebsocksy(contender.name)) return false;
  if (
    contender.forks && figure.clients > MAX_PROCESSES && figure.load !== "idle"
  ) return false;
  return contender.framings.includes(framing) &&
    contender.transports.includes(transport);
}

/** Number of clients for a contender. */
function clientsFor(figure: Figure, contender: Contender): number {
  return figure.load === "idle" && contender.forks
    ? Math.min(figure.clients, MAX_PROCESSES)
    : figure.clients;
}

/**
 * Measures a figure: all contenders in every round.
 *
 * @param names Names of the contenders that were asked for.
 * @param ready Those that can be started.
 * @throws {Error} If the load generator has ended.
 */
export async function measureFigure(
  figure: Figure,
  names: readonly string[],
  ready: ReadonlyMap<string, Contender>,
  setup: Setup,
): Promise<FigureScores> {
  const scores = new Map<string, Score[]>();
  const failures = new Map<string, string>();
  const chosen = contendersFor(figure, names)
    .filter(({ name }) => ready.has(name));
  for (const { name } of chosen) scores.set(name, []);
  await using stack = new AsyncDisposableStack();
  const running = new Map<string, RunningContender>();

  async function measureOnce(contender: Contender): Promise<Score> {
    // Processes seldom return memory to the system, so each round of a memory
    // figure needs a new bridge.
    if (figure.load === "start" || figure.load === "idle") {
      await using bridge = await start(contender, figure.service, setup);
      return await measureBridge(figure, contender, bridge, setup);
    }
    let bridge = running.get(contender.name);
    if (bridge === undefined) {
      bridge = stack.use(await start(contender, figure.service, setup));
      running.set(contender.name, bridge);
    }
    return await measureBridge(figure, contender, bridge, setup);
  }

  for (let round = 0; round < setup.rounds; round++) {
    // In alternating order, so that no contender always follows the same one.
    const order = round % 2 === 0 ? chosen : chosen.toReversed();
    for (const contender of order) {
      if (failures.has(contender.name)) continue;
      try {
        scores.get(contender.name)?.push(await measureOnce(contender));
      } catch (error) {
        setup.signal.throwIfAborted();
        if (setup.generator.ended) throw error;
        failures.set(contender.name, (error as Error).message);
        scores.delete(contender.name);
      }
    }
  }
  return { figure, scores, failures };
}

async function measureBridge(
  figure: Figure,
  contender: Contender,
  bridge: RunningContender,
  { seconds, generator }: Setup,
): Promise<Score> {
  if (figure.load === "start") return scoreStart(bridge);
  const appends = figure.load === "send" &&
    contender.name.endsWith(`:${BOTH_WAYS}`);
  const arrives = figure.size + (appends ? ADDED : 0);
  const measured = await generator.measure({
    load: figure.load,
    clients: clientsFor(figure, contender),
    size: figure.size,
    arrives,
    websocket: contender.websocket,
    port: bridge.port,
    pid: bridge.pid,
    seconds,
    warmUp: Math.min(WARM_UP, seconds / 3),
    warmUpLimit: 3 * seconds,
    whole: figure.service.kind === "trickle",
  });
  if (!appends) return score(figure, measured);
  // Lines are compared, not their bytes.
  const count = measured.count * figure.size / arrives;
  return score(figure, { ...measured, count });
}

/** Converts a measurement to the units of its figure. */
function score(figure: Figure, measured: Measurement): Score {
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

function scoreStart({ pid, startTime }: RunningContender): Score {
  return {
    rate: startTime,
    perProcessorSecond: 0,
    bridge: processorSeconds(pid) / (startTime / 1000),
    client: 0,
    peer: 0,
    machine: 0,
    memory: residentBytes(pid) / MEGABYTE,
  };
}

async function start(
  contender: Contender,
  service: Service,
  { generator, ...setup }: Setup,
): Promise<RunningContender> {
  const peer = await generator.serve(service);
  return await startContender(contender, { ...setup, service, peer });
}
