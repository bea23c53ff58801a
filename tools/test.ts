/**
 * Runs the tests in several processes at the same time, several files in each:
 *
 *     deno run -A tools/test.ts [--jobs=N] [--no-check] [--times] [FLAG]... [PATH]...
 *
 * A path is a file of tests, a folder of them, or sources and pages whose
 * examples are to be run; without one, everything is run. Flags are those of
 * `deno test`. The last lines are the totals: the tests that passed, failed,
 * and were ignored, and the programs that the latter need. `--times` prints
 * before them how long each process took, and how much processor time it used;
 * every file has its own then.
 *
 * @module
 */

import { join, relative, resolve } from "node:path";
import { type Lack, readLacks } from "./programs.ts";
import {
  argumentsFor,
  describeStd,
  findStd,
  type StdSource,
  stdVariable,
} from "./std.ts";

/** Milliseconds after which a file of tests has failed. */
const PATIENCE = 900_000;

/**
 * Seconds that files of tests take beside others, about, where they are not few:
 * which files run in one process, and which are started first, depends on them. `--times` on a quiet machine measures them.
 */
export const durations: Readonly<Record<string, number>> = {
  "tests/e2e/console_test.ts": 165,
  "tests/e2e/clients_test.ts": 110,
  "tests/docs/applications_test.ts": 100,
  "tests/e2e/abuse_test.ts": 100,
  "tests/delivery/bench_test.ts": 95,
  "tests/e2e/plugin_backend_test.ts": 90,
  "tests/e2e/plugin_test.ts": 90,
  "tests/docs/application_clients_test.ts": 85,
  "tests/e2e/vanished_test.ts": 65,
  "tests/docs/service_examples_test.ts": 60,
  "tests/e2e/compression_test.ts": 60,
  "tests/e2e/lockout_test.ts": 60,
  "tests/e2e/slow_clients_test.ts": 60,
  "tests/e2e/dying_peers_test.ts": 55,
  "tests/e2e/load_test.ts": 55,
  "tests/docs/guide_test.ts": 50,
  "tests/e2e/admin_page_test.ts": 50,
  "tests/e2e/client_certificates_test.ts": 50,
  "tests/e2e/hostile_test.ts": 50,
  "tests/docs/from_websockify_test.ts": 45,
  "tests/e2e/bulk_test.ts": 45,
  "tests/e2e/listen_test.ts": 45,
  "tests/e2e/log_test.ts": 45,
  "tests/e2e/threads_test.ts": 45,
  "tests/e2e/bridge_test.ts": 40,
  "tests/e2e/capture_test.ts": 40,
  "tests/e2e/plugin_framer_test.ts": 40,
  "tests/e2e/scarcity_test.ts": 40,
  "tests/e2e/shutdown_test.ts": 40,
  "tests/e2e/telemetry_test.ts": 40,
  "tests/e2e/tls_test.ts": 40,
  "tests/e2e/web_test.ts": 40,
  "tests/e2e/access_test.ts": 35,
  "tests/e2e/metrics_test.ts": 35,
  "tests/e2e/access_limits_test.ts": 30,
  "tests/e2e/access_log_test.ts": 30,
  "tests/e2e/certificates_test.ts": 30,
  "tests/docs/readme_commands_test.ts": 25,
  "tests/e2e/completions_test.ts": 25,
  "tests/e2e/fleet_limits_test.ts": 25,
  "tests/e2e/framing_test.ts": 25,
  "tests/e2e/proxy_test.ts": 25,
  "tests/e2e/requests_test.ts": 25,
  "tests/delivery/dockerfile_test.ts": 20,
  "tests/e2e/admin_test.ts": 20,
  "tests/e2e/command_test.ts": 20,
  "tests/e2e/messages_test.ts": 20,
  "tests/e2e/protocol_test.ts": 20,
  "tests/e2e/routes_test.ts": 20,
};

/** Files that run in one process, as they make what they test of one bundle. */
export const bundled: readonly string[] = [
  "tests/delivery/compile_test.ts",
  "tests/delivery/npm_test.ts",
  "tests/delivery/deb_test.ts",
  "tests/delivery/install_test.ts",
];

/** The folder of unit tests. */
const unit = "tests/unit/";

/** The processes that run the unit tests: both have as much to do. */
const unitShares = [1, 1];

/** Seconds that a file takes of which nothing is known. */
const otherDuration = 10;

/**
 * Seconds of a process of tests, on average: to begin one, with a host of
 * commands, costs a second of the processor.
 */
const processDuration = 180;

/** Runs its arguments as one file of tests. */
const together = "tests/support/together.ts";

/** Runs the examples of all sources and pages. */
const examples = "tests/support/examples.ts";

const root = join(import.meta.dirname!, "..");
const isWindows = Deno.build.os === "windows";

/** The parsed arguments. */
export interface TestOptions {
  /** Files and folders; none: everything. */
  readonly paths: readonly string[];
  /** Flags for `deno test`. */
  readonly flags: readonly string[];
  /** How many processes run at the same time. */
  readonly jobs: number;
  /** Whether types are checked. */
  readonly isChecked: boolean;
  /** Whether the time of each process is printed. */
  readonly isTimed: boolean;
}

/**
 * Parses the arguments of the command line.
 *
 * @param args The arguments.
 * @returns The parsed arguments.
 * @throws {RangeError} If the number of jobs is not valid.
 */
export function parseTestArguments(args: readonly string[]): TestOptions {
  const paths: string[] = [];
  const flags: string[] = [];
  // Tests wait for others more than half of their time.
  let jobs = navigator.hardwareConcurrency * 3 + 1;
  let isChecked = true;
  let isTimed = false;
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    if (arg === "--no-check") isChecked = false;
    else if (arg === "--times") isTimed = true;
    else if (arg.startsWith("--jobs=")) {
      jobs = Number(arg.slice("--jobs=".length));
      if (!Number.isInteger(jobs) || jobs < 1) {
        throw new RangeError(`Cannot use ${arg}: it is a number from 1`);
      }
    } else if (arg === "--filter") flags.push(`--filter=${args[++index]}`);
    else if (arg.startsWith("-")) flags.push(arg);
    else paths.push(arg);
  }
  return { paths, flags, jobs, isChecked, isTimed };
}

/** A process that runs tests. */
export interface Unit {
  /** Its name in the output. */
  readonly name: string;
  /** The subcommand of `deno`, its flags and files. */
  readonly args: readonly string[];
}

/** The process without tests, which checks types. */
const types = "types";

/** Processes that do not need the program. */
const independent: readonly string[] = [types, "examples"];

/**
 * Distributes files among processes.
 *
 * @param files The files: tests, and others whose examples are run.
 * @param options Flags, whether types are checked, and whether times are
 * printed: each file has its own process then.
 * @returns The processes, in the order in which they are to be started.
 */
export function planUnits(
  files: readonly string[],
  { flags, isChecked, isTimed }: Pick<
    TestOptions,
    "flags" | "isChecked" | "isTimed"
  >,
): Unit[] {
  const tests = files.filter((file) => file.endsWith("_test.ts"));
  const sources = files.filter((file) => !file.endsWith("_test.ts"));
  const isWhole = sources.includes(".");
  const unchecked = ["test", "-A", "--no-check", ...flags];
  function each(files: readonly string[]): Unit[] {
    return files.map((file) => ({ name: file, args: [...unchecked, file] }));
  }
  function grouped(
    name: string,
    files: readonly string[],
    shares: readonly number[],
  ): Unit[] {
    if (files.length <= shares.length) return each(files);
    return deal(files, shares).map((files, index) => ({
      name: shares.length === 1 ? name : `${name}, ${index + 1}`,
      args: [...unchecked, together, "--", ...files],
    }));
  }
  const units = tests.filter((file) => file.startsWith(unit));
  const delivered = bundled.filter((file) => tests.includes(file));
  const others = tests.filter((file) =>
    ![units, delivered].some((files) => files.includes(file))
  ).toSorted((a, b) => durationOf(b) - durationOf(a));
  const processes = Math.ceil(sumOf(others) / processDuration);
  // The last ones are short, so that no processor has nothing to do at the end.
  const shares = Array.from(
    { length: processes },
    (_, index) => 3 * processes - 2 * index,
  );
  // The processes that take longest are started first.
  return [
    ...isChecked && isWhole
      ? [{ name: types, args: ["check", "--doc", "."] }]
      : isChecked && tests.length > 0
      ? [{ name: types, args: ["check", ...tests] }]
      : [],
    ...isTimed ? each(delivered) : grouped("delivery", delivered, [1]),
    ...grouped("unit tests", units, unitShares),
    ...isTimed ? each(others) : grouped("other tests", others, shares),
    ...isWhole ? [{ name: "examples", args: [...unchecked, examples] }] : [],
    ...isWhole || sources.length === 0 ? [] : [{
      name: "examples",
      args: [
        ...["test", "-A", "--doc", ...isChecked ? [] : ["--no-check"]],
        ...flags,
        ...sources,
      ],
    }],
  ];
}

function durationOf(file: string): number {
  return durations[file] ?? otherDuration;
}

function sumOf(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + durationOf(file), 0);
}

/** Distributes files among lists, which take as long as their shares say. */
function deal(
  files: readonly string[],
  shares: readonly number[],
): string[][] {
  const lists = shares.map((): string[] => []);
  for (const file of files.toSorted((a, b) => durationOf(b) - durationOf(a))) {
    const loads = lists.map((list, index) =>
      (sumOf(list) + durationOf(file)) / shares[index]!
    );
    lists[loads.indexOf(Math.min(...loads))]!.push(file);
  }
  return lists;
}

/** The outcome of a process. */
export interface Outcome {
  /** How many tests passed. */
  readonly passed: number;
  /**
   * How many failed; a process that failed without a failed test counts as one.
   */
  readonly failed: number;
  /** The names of tests and steps that were ignored. */
  readonly ignored: readonly string[];
}

/**
 * Reads the output of a process.
 *
 * @param text Its output, without colours.
 * @param isSuccess Whether it succeeded.
 * @returns Its outcome.
 */
export function readOutcome(text: string, isSuccess: boolean): Outcome {
  // The code under test may write such lines, too: the last one is Deno's.
  const sums = text.matchAll(
    /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(.*)/gm,
  ).toArray().at(-1);
  const ignored = Array.from(
    text.matchAll(/^ *(.*?) \.\.\. ignored(?: \(.*\))?$/gm),
    ([, name]) => name!,
  );
  const passed = Number(sums?.[1] ?? 0);
  const failed = Number(sums?.[2] ?? 0);
  // A process that ended early wrote no totals or ran no tests, and a process
  // can fail for another reason than a test.
  const hasRun = passed > 0 || /ignored|filtered out/.test(sums?.[3] ?? "");
  if (failed === 0 && !(isSuccess && hasRun)) {
    return { passed, failed: 1, ignored };
  }
  return { passed, failed, ignored };
}

/**
 * Summarizes the outcomes.
 *
 * @param outcomes The outcome of each process.
 * @param seconds How long it took.
 * @returns Lines for stdout.
 */
export function summarize(
  outcomes: readonly Outcome[],
  seconds: number,
): string {
  const sum = (count: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const ignored = outcomes.flatMap(({ ignored }) => ignored);
  const minutes = Math.floor(Math.round(seconds) / 60);
  const lines = [
    `${sum(({ passed }) => passed)} passed, ${
      sum(({ failed }) => failed)
    } failed${ignored.length > 0 ? `, ${ignored.length} ignored` : ""}`,
    `It took ${minutes} min ${Math.round(seconds) % 60} s.`,
  ];
  const counts = new Map<string, Lack & { count: number }>();
  for (const lack of ignored.flatMap(readLacks)) {
    const { count } = counts.get(lack.name) ?? { count: 0 };
    counts.set(lack.name, { ...lack, count: count + 1 });
  }
  const lacks = [...counts.values()].toSorted((a, b) =>
    a.name < b.name ? -1 : 1
  );
  const list = (some: readonly { name: string; count: number }[]): string =>
    some.map(({ name, count }) => `${name} (${count})`).join(", ");
  const programs = lacks.filter((lack) => lack.package !== undefined);
  const others = lacks.filter((lack) => lack.package === undefined);
  if (programs.length > 0) {
    const packages = new Set(programs.map((lack) => lack.package));
    lines.push(
      `Ignored for want of these programs: ${list(programs)}. On Debian:`,
      `    apt-get install --no-install-recommends ${[...packages].join(" ")}`,
    );
  }
  if (others.length > 0) {
    lines.push(`Ignored, as this machine lacks: ${list(others)}`);
  }
  return lines.join("\n");
}

/** How long a process took. */
export interface Timing {
  /** Its name. */
  readonly name: string;
  /** Seconds from its start to its end. */
  readonly seconds: number;
  /** Seconds of processor time that it and the processes it waited for used. */
  readonly processor: number;
}

/** Runs the program that its arguments are, and prints what `times` says then. */
const timed = '"$@"; status=$?; times >&2; exit $status';

/**
 * Reads what `times` of the shell wrote at the end.
 *
 * @param text What the process wrote, and the shell after it.
 * @returns Seconds of processor time of all that the shell started.
 */
export function readProcessorTime(text: string): number {
  const [minutes, seconds, systemMinutes, systemSeconds] =
    text.matchAll(/^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/gm).toArray().at(-1)
      ?.slice(1).map(Number) ?? [];
  if (systemSeconds === undefined) return NaN;
  return (minutes! + systemMinutes!) * 60 + seconds! + systemSeconds;
}

/**
 * Makes a table of what the processes took, the one that used most processor
 * time first.
 *
 * @param timings What each took.
 * @returns Lines for stdout.
 */
export function formatTimings(timings: readonly Timing[]): string {
  const rows = timings.toSorted((a, b) => b.processor - a.processor);
  const sum = rows.reduce((total, { processor }) => total + processor, 0);
  return [
    "processor    time  (seconds)",
    ...rows.map(({ name, seconds, processor }) =>
      `${processor.toFixed(1).padStart(9)}${
        seconds.toFixed(1).padStart(8)
      }  ${name}`
    ),
    `${sum.toFixed(1).padStart(9)}          together`,
  ].join("\n");
}

/** Finds the files of tests in a folder. */
async function findTests(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await findTests(path));
    else if (name.endsWith("_test.ts")) found.push(path);
  }
  return found.sort();
}

/**
 * Finds the tests of a path, or returns the path if it may contain examples.
 */
async function findFiles(path: string): Promise<string[]> {
  const name = relative(root, resolve(path));
  const { isDirectory } = await Deno.stat(join(root, name));
  const tests = isDirectory ? await findTests(name) : [];
  return tests.length === 0 ? [name] : tests;
}

/** Runs `deno`; all processes that it starts end with it. */
class Processes {
  readonly #source: StdSource;
  readonly #isTimed: boolean;
  readonly #running = new Set<Deno.ChildProcess>();
  /** Variables of their environment, beside those that this process has. */
  readonly env: Record<string, string>;

  constructor(source: StdSource, isTimed: boolean) {
    this.#source = source;
    this.#isTimed = isTimed;
    this.env = { [stdVariable]: source, NO_COLOR: "1" };
  }

  /**
   * Runs tests.
   *
   * @param unit Which.
   * @param write Gets their output, line by line.
   * @returns Whether they succeeded.
   */
  async run(unit: Unit, write: (line: string) => void): Promise<boolean> {
    const [subcommand, ...args] = unit.args;
    const [program, ...rest] = [
      ...this.#isTimed ? ["/bin/sh", "-c", timed, "sh"] : [],
      ...[Deno.execPath(), subcommand!, ...argumentsFor(this.#source), ...args],
    ];
    const child = new Deno.Command(program!, {
      args: rest,
      cwd: root,
      env: this.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // In its own process group, with all processes that it starts.
      detached: !isWindows,
    }).spawn();
    this.#running.add(child);
    const timer = setTimeout(() => {
      write(`It is ended: it has taken ${PATIENCE / 1000} seconds`);
      kill(child);
    }, PATIENCE);
    try {
      const [{ success }] = await Promise.all([
        child.status,
        pass(child.stdout, write),
        pass(child.stderr, write),
      ]);
      return success;
    } finally {
      clearTimeout(timer);
      this.#running.delete(child);
    }
  }

  /** Ends all of them. */
  end(): void {
    for (const child of this.#running) kill(child);
  }
}

/**
 * Makes a bundle of the program for the tests of a whole run: it starts in three
 * quarters of the processor time that the sources take, hundreds of times.
 */
async function makeBundle(
  processes: Processes,
  directory: string,
): Promise<boolean> {
  const lines: string[] = [];
  const isMade = await processes.run({
    name: "bundle",
    args: ["run", "-A", "tools/bundle.ts", "--output", directory],
  }, (line) => lines.push(line));
  if (isMade) processes.env["WEBSOCKSY_BUNDLE"] = directory;
  else say(`Cannot bundle the program:\n${lines.join("\n")}`);
  return isMade;
}

async function pass(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  write: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) write(line);
  }
  if (rest !== "") write(rest);
}

function kill({ pid }: Deno.ChildProcess): void {
  try {
    Deno.kill(isWindows ? pid : -pid, "SIGKILL");
  } catch (error) {
    // The process may have ended in the meantime.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseTestArguments(args);
  const { paths, jobs, isTimed } = options;
  const start = performance.now();
  const source = await findStd();
  say(describeStd(source));
  const files = paths.length === 0
    ? ["."]
    : (await Promise.all(paths.map(findFiles))).flat();
  const all = files.includes(".") ? await findTests("tests") : [];
  const units = planUnits([...new Set([...files, ...all])], options);
  const processes = new Processes(source, isTimed);
  // Another program than that of the sources may be tested.
  const isBundled = files.includes(".") && !Deno.env.has("WEBSOCKSY_BINARY");
  const directory = isBundled
    ? await Deno.makeTempDir({ prefix: "websocksy-bundle-" })
    : undefined;
  function removeBundle(): void {
    if (directory !== undefined) {
      Deno.removeSync(directory, { recursive: true });
    }
  }
  for (const signal of isWindows ? [] : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      processes.end();
      removeBundle();
      Deno.exit(signal === "SIGINT" ? 130 : 143);
    });
  }
  const outcomes: Outcome[] = [];
  const bundling = directory === undefined
    ? undefined
    : makeBundle(processes, directory).then((isMade) => {
      if (!isMade) outcomes.push({ passed: 0, failed: 1, ignored: [] });
    });
  const timings: Timing[] = [];
  // The output of a single file is shown at once; of several, only failures.
  const isShown = units.length === 1 && units[0]!.name === files[0];
  async function run(unit: Unit): Promise<void> {
    if (!independent.includes(unit.name)) await bundling;
    const start = performance.now();
    const lines: string[] = [];
    const isSuccess = await processes.run(unit, (line) => {
      lines.push(line);
      if (isShown) say(line);
    });
    const text = lines.join("\n");
    const outcome = unit.name === types
      ? { passed: 0, failed: isSuccess ? 0 : 1, ignored: [] }
      : readOutcome(text, isSuccess);
    outcomes.push(outcome);
    const took = (performance.now() - start) / 1000;
    const processor = readProcessorTime(text);
    timings.push({ name: unit.name, seconds: took, processor });
    if (isShown) return;
    const seconds = took.toFixed(1);
    if (outcome.failed > 0) say(findErrors(lines).join("\n"));
    const { passed, failed, ignored } = outcome;
    const words = [
      ...[`${passed} passed`, `${failed} failed`],
      ...ignored.length > 0 ? [`${ignored.length} ignored`] : [],
    ];
    say(`${unit.name}: ${words.join(", ")} (${seconds} s)`);
  }
  const queue = [...units];
  async function work(): Promise<void> {
    for (let unit; (unit = queue.shift()) !== undefined;) await run(unit);
  }
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    removeBundle();
  }
  if (isTimed) say(formatTimings(timings));
  say(summarize(outcomes, (performance.now() - start) / 1000));
  return outcomes.some(({ failed }) => failed > 0) ? 1 : 0;
}

/** The part of a process's output about its failures, or all of it. */
function findErrors(lines: readonly string[]): readonly string[] {
  const start = lines.lastIndexOf(" ERRORS ");
  return lines.slice(Math.max(0, start));
}

function say(text: string): void {
  const bytes = new TextEncoder().encode(`${text}\n`);
  for (let sent = 0; sent < bytes.length;) {
    sent += Deno.stdout.writeSync(bytes.subarray(sent));
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
