/**
 * Finds the contenders that can be started, and measures them in turn.
 *
 * @module
 */

import { type Contender, createContender, isWebsocksy } from "./contenders.ts";
import {
  applies,
  clientsFor,
  type Figure,
  MEGABYTE,
  type Score,
  score,
} from "./figure.ts";
import type { Generator } from "./generator.ts";
import { processorSeconds, residentBytes } from "./process.ts";
import type { FigureScores } from "./statistics.ts";
import type { Service } from "./services.ts";
import { type RunningContender, startContender } from "./start.ts";

/** What all measurements of one invocation have in common. */
export interface Setup {
  /** Measurements of each contender for each figure. */
  readonly rounds: number;
  /** Seconds of one measurement. */
  readonly seconds: number;
  /** The load generator. */
  readonly generator: Generator;
  /** A directory for files of the contenders. */
  readonly directory: string;
  /** Arguments for `deno run` of websocksy. */
  readonly denoArguments: readonly string[];
  /** Further arguments for websocksy. */
  readonly websocksyArguments: readonly string[];
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** The contenders that can be started here, and why others cannot. */
export interface Found {
  /** By their names. */
  readonly ready: ReadonlyMap<string, Contender>;
  /** The reasons, by the names of the others. */
  readonly missing: ReadonlyMap<string, string>;
}

/** Seconds of a load before it is measured, at most a third of what is measured. */
const WARM_UP = 0.5;
const PROBE: Service = {
  kind: "sink",
  transport: "tcp",
  framing: "binary",
  size: 64,
};

/**
 * Starts each contender that is to be measured once, to see whether it can be.
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
    // Memory that was used once is seldom given back: for it, each round needs
    // a bridge that is as good as new.
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
    // There and back, so that none always follows the same one.
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
  const measured = await generator.measure({
    load: figure.load,
    clients: clientsFor(figure, contender),
    size: figure.size,
    websocket: contender.websocket,
    port: bridge.port,
    pid: bridge.pid,
    seconds,
    warmUp: Math.min(WARM_UP, seconds / 3),
    warmUpLimit: 3 * seconds,
    whole: figure.service.kind === "trickle",
  });
  return score(figure, measured);
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
