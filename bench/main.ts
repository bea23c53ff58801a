/**
 * The benchmark: measures websocksy beside other bridges and plain TCP relays,
 * in alternating runs. `README.md` says what each figure means.
 *
 * @module
 */

import { stdArguments } from "../tools/std.ts";
import {
  type Contender,
  contenders,
  type RunningContender,
  startContender,
} from "./contenders.ts";
import {
  applies,
  clientsFor,
  createFigures,
  type Figure,
  type Score,
  score,
} from "./figures.ts";
import { Generator } from "./generator.ts";
import { helpText, type Options, parseOptions } from "./options.ts";
import type { Service } from "./peer.ts";
import { type FigureScores, formatFigure, summarize } from "./report.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
/** Seconds of a load before it is measured, at most a third of what is measured. */
const WARM_UP = 0.5;

if (import.meta.main) Deno.exit(await main(Deno.args));

/** What all measurements of one invocation have in common. */
interface Setup {
  readonly options: Options;
  readonly generator: Generator;
  readonly directory: string;
  readonly denoArguments: readonly string[];
  readonly signal: AbortSignal;
}

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args);
  } catch (error) {
    await write(Deno.stderr, `${(error as Error).message}\n`);
    return EXIT_USAGE;
  }
  if (options.help) {
    await write(Deno.stdout, helpText());
    return 0;
  }
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, interrupt);
  }
  try {
    return await run(options, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return EXIT_INTERRUPTED;
    throw error;
  }
}

async function run(options: Options, signal: AbortSignal): Promise<number> {
  const directory = await Deno.makeTempDir({ prefix: "websocksy-bench-" });
  try {
    await using generator = await Generator.start(signal);
    const denoArguments = options.denoArguments ?? await stdArguments();
    const setup = { options, generator, directory, denoArguments, signal };
    const results: FigureScores[] = [];
    await write(Deno.stdout, heading(options));
    const { ready, missing } = await findContenders(setup);
    for (const [name, why] of missing) {
      await write(Deno.stdout, `Left out: ${name}: ${why}\n\n`);
    }
    for (const figure of createFigures(options.connections)) {
      if (options.only.length > 0 && !options.only.includes(figure.name)) {
        continue;
      }
      const result = await measureFigure(figure, ready, setup);
      if (result.scores.size + result.failures.size === 0) continue;
      results.push(result);
      await write(Deno.stdout, formatFigure(result, options.against) + "\n");
    }
    if (options.json !== undefined) {
      await Deno.writeTextFile(options.json, toJson(results, missing, options));
    }
    const failed = results.some(({ failures }) => failures.size > 0) ||
      options.contenders.some((name) => missing.has(name));
    return failed ? EXIT_FAILED : 0;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Finds the contenders that can be started here, and says why the others cannot. */
async function findContenders(
  setup: Setup,
): Promise<{ ready: Contender[]; missing: Map<string, string> }> {
  const chosen = setup.options.contenders;
  const ready: Contender[] = [];
  const missing = new Map<string, string>();
  for (const contender of contenders) {
    if (chosen.length > 0 && !chosen.includes(contender.name)) continue;
    try {
      await using _ = await start(contender, "sink", "binary", setup);
      ready.push(contender);
    } catch (error) {
      setup.signal.throwIfAborted();
      missing.set(contender.name, (error as Error).message);
    }
  }
  return { ready, missing };
}

async function measureFigure(
  figure: Figure,
  ready: readonly Contender[],
  setup: Setup,
): Promise<FigureScores> {
  const scores = new Map<string, Score[]>();
  const failures = new Map<string, string>();
  const { service, framing } = figure;
  const chosen = ready.filter((contender) => applies(figure, contender));
  for (const { name } of chosen) scores.set(name, []);
  await using stack = new AsyncDisposableStack();
  const running = new Map<Contender, RunningContender>();

  async function measureOnce(contender: Contender): Promise<Score> {
    // Memory that was used once is seldom given back: for it, each round needs
    // a bridge that is as good as new.
    if (figure.load === "idle") {
      await using bridge = await start(contender, service, framing, setup);
      return await measureBridge(figure, contender, bridge, setup);
    }
    let bridge = running.get(contender);
    if (bridge === undefined) {
      bridge = stack.use(await start(contender, service, framing, setup));
      running.set(contender, bridge);
    }
    return await measureBridge(figure, contender, bridge, setup);
  }

  for (let round = 0; round < setup.options.rounds; round++) {
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
  { pid, port }: RunningContender,
  { options: { seconds }, generator }: Setup,
): Promise<Score> {
  const measured = await generator.measure({
    load: figure.load,
    clients: clientsFor(figure, contender),
    size: figure.size,
    websocket: contender.websocket,
    port,
    pid,
    seconds,
    warmUp: Math.min(WARM_UP, seconds / 3),
  });
  return score(figure, measured);
}

function start(
  contender: Contender,
  service: Service,
  framing: Figure["framing"],
  { options, generator, directory, denoArguments, signal }: Setup,
): Promise<RunningContender> {
  return startContender(contender, {
    peerPort: generator.ports[service],
    framing,
    directory,
    denoArguments,
    websocksyArguments: options.websocksyArguments,
    signal,
  });
}

function heading({ rounds, seconds }: Options): string {
  const processors = navigator.hardwareConcurrency;
  return `${processors} processors, Deno ${Deno.version.deno}, medians of ` +
    `${rounds} rounds of ${seconds} s; bridge, client, peer: ` +
    "percent of one processor\n\n";
}

function toJson(
  results: readonly FigureScores[],
  missing: ReadonlyMap<string, string>,
  options: Options,
): string {
  const { rounds, seconds, connections, against } = options;
  const value = {
    deno: Deno.version.deno,
    system: `${Deno.build.target} ${Deno.osRelease()}`,
    processors: navigator.hardwareConcurrency,
    rounds,
    seconds,
    connections,
    missing: Object.fromEntries(missing),
    figures: results.map((result) => ({
      name: result.figure.name,
      title: result.figure.title,
      unit: result.figure.unit,
      contenders: summarize(result, against),
      rounds: Object.fromEntries(result.scores),
      failures: Object.fromEntries(result.failures),
    })),
  };
  return JSON.stringify(value, null, 2) + "\n";
}

async function write(
  output: typeof Deno.stdout,
  text: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    at += await output.write(bytes.subarray(at));
  }
}
