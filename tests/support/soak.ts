/**
 * Opens, uses and ends connections at random, for as long as is asked for,
 * against the real command, and accounts for every byte:
 *
 *     deno task soak --minutes 60
 *
 * Options: `--minutes N` (2), `--engine native|stream` (both, one after the
 * other), `--seed N` (a new one). It prints what it did, and ends with status 1
 * and the seed if something was lost or leaked.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { parseArgs } from "node:util";
import { Command, type EngineName, engines } from "./command.ts";
import { TemporaryDirectory } from "./service.ts";
import { NetListener } from "./net_connection.ts";
import {
  countDescriptors,
  descriptorsReturn,
  eventually,
  memoryReturns,
  residentMemory,
} from "./process_resources.ts";
import { chooseSeed, Random } from "./random.ts";
import {
  assertOutcome,
  type ClientStep,
  type PeerStep,
  playScenario,
  type Scenario,
} from "./scenario.ts";

/** Connections at a time. */
const concurrency = 16;
/** The part of the time after which the memory has reached its size. */
const warmUp = 0.3;
/**
 * How much more memory is no leak, once it has reached its size: a part, and
 * bytes, as the young generation and memory that is shared grow for minutes.
 */
const memoryRatio = 1.1;
const slack = 96 * 1024 * 1024;
/** Seconds of warm-up in which it does; after fewer, it may grow by more bytes. */
const fullWarmUp = 15;
const shortSlack = 128 * 1024 * 1024;

/** Options for {@linkcode soak}. */
export interface SoakOptions {
  /** The engine. */
  readonly engine: EngineName;
  /** How long connections are opened, in seconds. */
  readonly seconds: number;
  /** What decides what they do. */
  readonly seed: number;
}

/** What a soak did, and what it found. */
export interface SoakReport {
  /** Number of connections. */
  readonly connections: number;
  /** Payload bytes that arrived, both ways. */
  readonly bytes: number;
  /** Descriptors of the server before, and at the end. */
  readonly descriptors: readonly [before: number, after: number];
  /** Resident memory of the server after the warm-up, and at the end. */
  readonly memory: readonly [before: number, after: number];
}

/** A size: mostly small, at times one that fills buffers. */
function createSize(random: Random): number {
  return random.pick([
    random.below(10),
    random.below(300),
    random.below(5000),
    random.pick([125, 126, 127, 65_535, 65_536]),
    random.chance(0.05) ? random.below(1_000_000) : 0,
  ]);
}

function createClientStep(random: Random): ClientStep {
  const kind = random.below(10);
  if (kind === 0) return { kind: "flush" };
  if (kind === 1) return { kind: "ping", size: random.below(126) };
  return {
    kind: "message",
    text: random.chance(0.5),
    size: createSize(random),
    fragments: Array.from(
      { length: Math.max(0, random.below(6) - 2) },
      () => random.below(1001),
    ),
  };
}

function createPeerStep(random: Random): PeerStep {
  if (random.chance(0.1)) return { kind: "flush" };
  return { kind: "chunk", size: createSize(random) };
}

/** Makes what one connection does. */
function createScenario(random: Random): Scenario {
  const [client, peer] = [random.below(20), random.below(20)];
  const by = random.pick(["client", "peer"] as const);
  return {
    client: Array.from({ length: client }, () => createClientStep(random)),
    peer: Array.from({ length: peer }, () => createPeerStep(random)),
    cuts: Array.from(
      { length: random.below(5) },
      () => random.below(random.chance(0.5) ? 10 : 70_000),
    ),
    clientHolds: random.chance(0.3),
    peerHolds: random.chance(0.3),
    end: {
      by,
      how: random.pick(["close", "close", "half", "vanish", "reset"] as const),
      after: random.below((by === "client" ? client : peer) + 1),
      wait: random.pick(["nothing", "theirs", "all"] as const),
      code: random.pick([1000, 1001, 3000, 4999]),
    },
  };
}

/**
 * Runs connections through the command until the time is over.
 *
 * @param options How long, and with what.
 * @returns What was done.
 * @throws {Error} If a byte is missing or wrong, or something has leaked.
 */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { engine, seconds, seed } = options;
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(new TemporaryDirectory());
  const listeners: NetListener[] = [];
  for (let worker = 0; worker < concurrency; worker++) {
    const listener = stack.use(await NetListener.start());
    listeners.push(listener);
    await directory.write(`worker${worker}`, `${listener.host} * auto\n`);
  }
  const command = stack.use(
    await Command.start({
      engine,
      args: [
        ...["-b", "file", "-c", `path=${directory.path}`],
        ...["-c", "expression=%endpoint%"],
      ],
    }),
  );
  let bytes = 0;
  let connections = 0;
  async function runFor(seconds: number): Promise<void> {
    const end = performance.now() + seconds * 1000;
    let failed = false;
    async function work(listener: NetListener, worker: number): Promise<void> {
      while (performance.now() < end && !failed) {
        const number = connections++;
        const scenario = createScenario(new Random(seed + number));
        const stage = {
          engine,
          port: command.port,
          target: `/worker${worker}`,
          accept: () => listener.next(),
          unit: 1,
        };
        try {
          const outcome = await playScenario(scenario, stage);
          assertOutcome(scenario, outcome, stage);
          bytes += outcome.atClient.length + outcome.atPeer.length;
        } catch (cause) {
          failed = true;
          const message = `Connection ${number} of seed ${seed}: ${
            JSON.stringify(scenario)
          }`;
          throw new Error(message, { cause });
        }
      }
    }
    await Promise.all(listeners.map(work));
  }
  const { pid } = command;
  const descriptors = countDescriptors(pid);
  await runFor(seconds * warmUp);
  await descriptorsReturn(pid, descriptors);
  const memory = residentMemory(pid);
  await runFor(seconds * (1 - warmUp));
  await descriptorsReturn(pid, descriptors);
  const isShort = seconds * warmUp < fullWarmUp;
  await memoryReturns(
    pid,
    memory * memoryRatio + (isShort ? shortSlack : slack),
  );
  // Each connection is logged as opened and as closed.
  await eventually(
    `${connections} connections are logged as closed`,
    () => command.logged("close").length,
    (count) => count === connections,
  );
  const faults = command.log.all.filter(({ level, event }) =>
    event === "" || level === "error" || event === "refuse"
  );
  assertEquals(faults.slice(0, 5), []);
  return {
    connections,
    bytes,
    descriptors: [descriptors, countDescriptors(pid)],
    memory: [memory, residentMemory(pid)],
  };
}

/** Says what a soak did. */
export function describeSoak(
  { engine, seconds, seed }: SoakOptions,
  { connections, bytes, descriptors, memory }: SoakReport,
): string {
  const [before, after] = memory.map((bytes) => Math.round(bytes / 1e6));
  return `${engine}, seed ${seed}: ${connections} connections and ${
    Math.round(bytes / 1e6)
  } MB in ${seconds} s, descriptors ${descriptors.join(" -> ")}, ` +
    `memory ${before} -> ${after} MB`;
}

async function main(args: string[]): Promise<void> {
  const { minutes, engine, seed } = parseArgs({
    args,
    options: {
      minutes: { type: "string" },
      engine: { type: "string" },
      seed: { type: "string" },
    },
  }).values;
  const seconds = Number(minutes ?? 2) * 60;
  assert(seconds > 0, `--minutes is "${minutes}", not a number above 0`);
  const chosen = engines.filter((name) => (engine ?? name) === name);
  assert(chosen.length > 0, `--engine is "${engine}", not an engine`);
  for (const engine of chosen) {
    const options = {
      engine,
      seconds,
      seed: seed === undefined ? chooseSeed() : Number(seed),
    };
    let report: SoakReport;
    try {
      report = await soak(options);
    } catch (cause) {
      const { seed } = options;
      throw new Error(`Soak of ${engine} with seed ${seed} failed`, { cause });
    }
    const line = describeSoak(options, report);
    await Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
  }
}

if (import.meta.main) await main(Deno.args);
