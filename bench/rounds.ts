/**
 * Measures the figures: all contenders in alternating rounds.
 *
 * @module
 */

import type { Certificate } from "./certificate.ts";
import {
  type Contender,
  createContender,
  type GivenArguments,
  isWebsocksy,
  type RunningContender,
  startContender,
} from "./contenders.ts";
import { ADDED, BOTH_WAYS, type Figure, MEGABYTE } from "./figures.ts";
import type { Generator, Measurement } from "./generator.ts";
import type { LatencyLoad, Percentiles } from "./latency.ts";
import { processorSeconds, residentBytes } from "./usage.ts";

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
  /** Payload bytes that clients received for each unit; 0 if they are not counted. */
  readonly received: number;
  /** How long messages took at a fixed rate; only of `latency`. */
  readonly latency?: LatencyScore;
}

/** How long messages took at shares of the rate that was reached without one. */
export interface LatencyScore {
  /** At half of it. */
  readonly half: Percentiles;
  /** At nine tenths of it. */
  readonly high: Percentiles;
  /** Megabytes per second that the client in bulk received meanwhile, at half. */
  readonly bulk: number;
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

/** How often and how long is measured. */
export interface Pace {
  /** Measurements of each contender for each figure. */
  readonly rounds: number;
  /** Seconds of one measurement. */
  readonly seconds: number;
  /**
   * Processor seconds of each thread after which a bridge counts as warm. Bridges on V8 take
   * twice the time for a round trip until their code is compiled, some 15,000
   * round trips later.
   */
  readonly warm: number;
}

/** What all measurements of one invocation have in common. */
export interface Setup extends Pace, GivenArguments {
  /** The load generator. */
  readonly generator: Generator;
  /** That of latency, or why there is none. */
  readonly latency: LatencyLoad | Error;
  /** The certificate of contenders, or why figures with TLS cannot be measured. */
  readonly certificate: Certificate | Error;
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

/** Most clients of contenders that start a process for each connection. */
const MAX_PROCESSES = 100;
/** Seconds of a load before the measurement, at most a third of its length. */
const WARM_UP = 0.5;
/** Seconds that a cold bridge is given to become warm, if they are more than three measurements. */
const WARM_UP_LIMIT = 4;
const PROBE_FIGURE = {
  service: { kind: "sink", transport: "tcp", framing: "binary", size: 64 },
  load: "send",
  tls: false,
  compressed: false,
} as const;

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
    for (const contender of contendersFor(figure, names, setup)) {
      const { name } = contender;
      if (ready.has(name) || missing.has(name)) continue;
      try {
        await contender.prepare?.(setup.directory);
        await using _ = await start(contender, PROBE_FIGURE, setup);
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
  { latency, certificate }: Setup,
): Contender[] {
  if (figure.load === "latency" && latency instanceof Error) return [];
  if (figure.tls && certificate instanceof Error) return [];
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
  if (figure.tls && !contender.tls) return false;
  if (figure.compressed && !contender.compresses) return false;
  if (
    contender.forks && figure.clients > MAX_PROCESSES && !isMemory(figure)
  ) return false;
  return contender.framings.includes(framing) &&
    contender.transports.includes(transport);
}

/** Whether memory is measured. */
function isMemory({ load }: Figure): boolean {
  return load === "idle" || load === "gone";
}

/** Number of clients for a contender. */
function clientsFor(figure: Figure, contender: Contender): number {
  return isMemory(figure) && contender.forks
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
  const chosen = contendersFor(figure, names, setup)
    .filter(({ name }) => ready.has(name));
  for (const { name } of chosen) scores.set(name, []);
  await using stack = new AsyncDisposableStack();
  const running = new Map<string, RunningContender>();

  async function measureOnce(contender: Contender): Promise<Score> {
    // Processes seldom return memory to the system, so each round of a memory
    // figure needs a new bridge.
    if (figure.load === "start" || isMemory(figure)) {
      await using bridge = await start(contender, figure, setup);
      return await measureBridge(figure, contender, bridge, setup);
    }
    let bridge = running.get(contender.name);
    if (bridge === undefined) {
      bridge = stack.use(await start(contender, figure, setup));
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
  { seconds, warm, generator, latency }: Setup,
): Promise<Score> {
  if (figure.load === "start") return scoreStart(bridge);
  if (figure.load === "latency") {
    const load = latency as LatencyLoad;
    return await measureLatency(figure, contender, bridge, {
      ...{ load, seconds, warm },
    });
  }
  const threads = threadsOf(contender.name);
  const appends = figure.load === "send" &&
    contender.name.endsWith(`:${BOTH_WAYS}`);
  const arrives = figure.size + (appends ? ADDED : 0);
  const measured = await generator.measure({
    load: figure.load,
    clients: clientsFor(figure, contender),
    size: figure.size,
    arrives,
    websocket: contender.websocket,
    compressed: figure.compressed,
    port: bridge.port,
    pid: bridge.pid,
    seconds,
    warmUp: Math.min(WARM_UP, seconds / 3),
    warm: warm * threads,
    warmUpLimit: Math.max(3 * seconds, WARM_UP_LIMIT) * threads,
    whole: ["trickle", "text"].includes(figure.service.kind),
  });
  if (!appends) return score(figure, measured);
  // Lines are compared, not their bytes.
  const count = measured.count * figure.size / arrives;
  return score(figure, { ...measured, count });
}

/** Threads of a contender: each compiles its code, so that each has to become warm. */
function threadsOf(contender: string): number {
  return Number(/:threads=(\d+)/.exec(contender)?.[1] ?? 1);
}

/** Converts a measurement to the units of its figure. */
function score(figure: Figure, measured: Measurement): Score {
  const { seconds } = measured;
  const count = measured.count / figure.scale;
  const idle = isMemory(figure);
  return {
    rate: idle ? measured.memory / 1000 / measured.count : count / seconds,
    perProcessorSecond: idle ? 0 : count / measured.bridge,
    received: measured.received / count,
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
    received: 0,
    bridge: processorSeconds(pid) / (startTime / 1000),
    client: 0,
    peer: 0,
    machine: 0,
    memory: residentBytes(pid) / MEGABYTE,
  };
}

/**
 * Finds the rate that clients reach that wait for each message, and how long
 * messages take at shares of it.
 */
async function measureLatency(
  { clients, bulk }: Figure,
  { websocket }: Contender,
  { port, pid }: RunningContender,
  { load, seconds, warm }: {
    readonly load: LatencyLoad;
    readonly seconds: number;
    readonly warm: number;
  },
): Promise<Score> {
  const target = { port, websocket, clients, bulk, seconds };
  const deadline = performance.now() +
    Math.max(3 * seconds, WARM_UP_LIMIT) * 1000;
  while (processorSeconds(pid) < warm && performance.now() < deadline) {
    await load.measure({ ...target, rate: 0 });
  }
  const used = processorSeconds(pid);
  const { rate } = await load.measure({ ...target, rate: 0 });
  const spent = processorSeconds(pid) - used;
  const half = await load.measure({ ...target, rate: rate * 0.5 });
  const high = await load.measure({ ...target, rate: rate * 0.9 });
  return {
    rate,
    perProcessorSecond: 0,
    bridge: spent / seconds,
    client: 0,
    peer: 0,
    machine: 0,
    memory: 0,
    received: 0,
    latency: { half, high, bulk: half.bulk / MEGABYTE },
  };
}

async function start(
  contender: Contender,
  { service, load, tls, compressed }: Pick<
    Figure,
    "service" | "load" | "tls" | "compressed"
  >,
  { generator, latency, certificate, ...setup }: Setup,
): Promise<RunningContender> {
  const peer = load === "latency"
    ? { address: (latency as LatencyLoad).address }
    : await generator.serve(service);
  return await startContender(contender, {
    ...setup,
    service,
    peer,
    certificate: tls ? certificate as Certificate : undefined,
    compression: compressed,
  });
}
