/**
 * The real command as a process of its own, for tests: started, watched by its
 * log, and ended with the test.
 *
 * @module
 */

import { join } from "node:path";
import { stdArguments } from "../../tools/std.ts";
import { Feed, linesOf } from "./feed.ts";
import { type Need, needing } from "./needing.ts";

/** A WebSocket engine, as `--engine` takes it. */
export type EngineName = "native" | "stream";

/** The engines that every test of a WebSocket runs against. */
export const engines: readonly EngineName[] = ["stream", "native"];

/** Options for {@linkcode testEngines}. */
export interface TestEnginesOptions {
  /**
   * What the machine has to have.
   *
   * @default {[]}
   */
  readonly needs?: readonly Need[];
  /**
   * The engines to test.
   *
   * @default {engines}
   */
  readonly only?: readonly EngineName[];
  /**
   * Milliseconds after which the test has failed: it hangs, however busy the
   * machine is.
   *
   * @default {180000}
   */
  readonly timeout?: number;
}

/**
 * Registers a test for each engine.
 *
 * @param name What the test shows.
 * @param test Gets the engine to test.
 * @param options Where and for how long it runs.
 */
export function testEngines(
  name: string,
  test: (t: Deno.TestContext, engine: EngineName) => Promise<void>,
  options: TestEnginesOptions = {},
): void {
  const { needs = [], only = engines, timeout = 180_000 } = options;
  for (const engine of engines.filter((engine) => only.includes(engine))) {
    Deno.test(needing(needs, {
      name: `${name} [${engine}]`,
      timeout,
      fn: (t: Deno.TestContext) => test(t, engine),
    }));
  }
}

/** The folder of the project. */
export const root: string = join(import.meta.dirname!, "../..");

/** The permissions that the command is started with unless a test says otherwise. */
const allPermissions = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
];

/** Milliseconds that a command which should end by itself is given. */
const patience = 120_000;

/** Where and how the command runs. */
export interface CommandOptions {
  /**
   * Deno's flags for permissions.
   *
   * @default {["--allow-net", "--allow-read", "--allow-write", "--allow-env"]}
   */
  readonly permissions?: readonly string[];
  /** More flags for Deno, such as `--cert=FILE`. */
  readonly flags?: readonly string[];
  /** Working directory. */
  readonly cwd?: string;
  /** Environment variables, beside those of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * A program to run in place of the sources: with the permissions and flags that
   * it has.
   *
   * @default {Deno.env.get("WEBSOCKSY_BINARY")}
   */
  readonly binary?: string;
  /** Whether the sources are run, though a bundle of them was made. */
  readonly isFromSources?: boolean;
  /** A program and its arguments that runs Deno, such as `unshare`. */
  readonly wrapper?: readonly string[];
}

/** How a command that ended by itself went. */
export interface CommandResult {
  /** Exit status. */
  readonly code: number;
  /** What it wrote to stdout. */
  readonly stdout: string;
  /** What it wrote to stderr. */
  readonly stderr: string;
}

/** A line of the log, in JSON. */
export interface LogEntry {
  /** Its event; empty for a line that is not JSON. */
  readonly event: string;
  /** Its fields; `text` is the whole line. */
  readonly [field: string]: string | number | boolean | undefined;
}

/**
 * A program that is tested in place of the sources: with all permissions that it
 * may have, and no flags of Deno. Tests that choose these need "deno run".
 */
export const tested: string | undefined = Deno.env.get("WEBSOCKSY_BINARY");

/**
 * The directory of a bundle of the sources, which starts in less time than they
 * do; absent: the sources are run.
 */
const bundle = Deno.env.get("WEBSOCKSY_BUNDLE");

/** The folder of the program that is tested. */
export const programFolder: string = bundle ?? root;

function bundleArguments(
  directory: string,
  flags: readonly string[],
): string[] {
  return [
    Deno.execPath(),
    "run",
    `--config=${join(directory, "deno.json")}`,
    "--no-prompt",
    ...flags,
    join(directory, "main.js"),
  ];
}

/**
 * Makes the command line that runs the command.
 *
 * @param args Its arguments.
 * @param options Where and how.
 * @returns The command, to be spawned; its output is piped.
 */
export async function createCommand(
  args: readonly string[],
  options: CommandOptions,
): Promise<Deno.Command> {
  const { permissions = allPermissions, flags = [], cwd = root } = options;
  const binary = options.binary ?? tested;
  const deno = bundle === undefined || options.isFromSources
    ? await denoArguments("main.ts", [...permissions, ...flags])
    : bundleArguments(bundle, [...permissions, ...flags]);
  const [program, ...rest] = [
    ...options.wrapper ?? [],
    ...binary === undefined ? deno : [binary],
    ...args,
  ];
  return new Deno.Command(program!, {
    args: rest,
    cwd,
    env: {
      NO_COLOR: "1",
      ...binary === undefined ? {} : toVariables(flags),
      ...options.env,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/**
 * Makes the command line that runs a module of the project.
 *
 * @param module Its path from the root.
 * @param flags Flags for Deno.
 * @returns The program, and its arguments.
 */
export async function denoArguments(
  module: string,
  flags: readonly string[] = allPermissions,
): Promise<string[]> {
  return [
    Deno.execPath(),
    "run",
    `--config=${join(root, "deno.json")}`,
    ...await stdArguments(),
    "--no-check",
    "--no-prompt",
    ...flags,
    join(root, module),
  ];
}

/** A compiled program takes from its environment what Deno takes as a flag, too. */
function toVariables(flags: readonly string[]): Record<string, string> {
  const certificate = flags.find((flag) => flag.startsWith("--cert="));
  return certificate === undefined
    ? {}
    : { DENO_CERT: certificate.slice("--cert=".length) };
}

/**
 * Runs the command to its end.
 *
 * @param args Its arguments.
 * @param options Where and how.
 * @returns What came of it.
 */
export async function runCommand(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = (await createCommand(args, options)).spawn();
  // One that serves where it should have ended would never end.
  const timer = setTimeout(() => child.kill("SIGKILL"), patience);
  try {
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return {
      code,
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
    };
  } finally {
    clearTimeout(timer);
  }
}

/** Options for {@linkcode Command.start}. */
export interface StartOptions extends CommandOptions {
  /** The engine; absent: the default. */
  readonly engine?: EngineName;
  /** The peer's address, for the default backend. */
  readonly host?: string;
  /**
   * More arguments of the command.
   *
   * @default {[]}
   */
  readonly args?: readonly string[];
  /** The configuration file. */
  readonly file?: string;
  /**
   * Where it listens; null: where it does by itself.
   *
   * @default {"127.0.0.1"}
   */
  readonly listen?: string | null;
}

/**
 * The arguments of a command that serves on a free port, with a log in JSON.
 *
 * @param options What it bridges to, and how.
 */
export function argumentsOf(options: StartOptions): string[] {
  const { engine, host, file, listen = "127.0.0.1", args = [] } = options;
  return [
    ...file === undefined ? [] : [file],
    ...["-p", "0", "--log-format", "json"],
    ...listen === null ? [] : ["-l", listen],
    ...engine === undefined ? [] : ["--engine", engine],
    ...host === undefined ? [] : ["-c", `host=${host}`],
    ...args,
  ];
}

/**
 * Takes a line of the log that says where the command listens.
 *
 * @param log The log.
 * @returns The port.
 * @throws {Error} If the log ends without it.
 */
export async function takePort(log: Feed<LogEntry>): Promise<number> {
  const { address } = await log.take(({ event }) => event === "listening");
  return Number(new URL(String(address)).port);
}

/** The children that a test which was cut off may have left behind. */
const running = new Set<Deno.ChildProcess>();

addEventListener("unload", () => {
  for (const child of running) kill(child, "SIGKILL");
});

/** The command, serving; it is killed when it is disposed of. */
export class Command implements AsyncDisposable {
  /** The port that it listens on. */
  readonly port: number;
  /** Everything that it logs. */
  readonly log: Feed<LogEntry>;
  /** The lines that it prints. */
  readonly stdout: Feed<string>;
  #child: Deno.ChildProcess;

  private constructor(
    child: Deno.ChildProcess,
    port: number,
    feeds: { log: Feed<LogEntry>; stdout: Feed<string> },
  ) {
    this.#child = child;
    this.port = port;
    this.log = feeds.log;
    this.stdout = feeds.stdout;
  }

  /**
   * Starts the command on a free port, with a log in JSON, and waits until it
   * listens.
   *
   * @param options What it bridges to, and how.
   * @returns The command.
   * @throws {Error} If it ends instead; the message has what it wrote.
   */
  static async start(options: StartOptions = {}): Promise<Command> {
    const command = await createCommand(argumentsOf(options), options);
    const child = command.spawn();
    running.add(child);
    const log = new Feed(linesOf(child.stderr), parseEntry);
    const stdout = new Feed(linesOf(child.stdout), (line) => line);
    try {
      return new Command(child, await takePort(log), { log, stdout });
    } catch (error) {
      await end(child, [log, stdout]);
      throw error;
    }
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The process's exit status. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /**
   * Waits for a line of the log. Each is given once.
   *
   * @param event Its event.
   * @param matches Whether it is the one.
   * @returns The first one that matches, past or to come.
   * @throws {Error} If the command ends without it.
   */
  event(
    event: string,
    matches: (entry: LogEntry) => boolean = () => true,
  ): Promise<LogEntry> {
    return this.log.take((entry) => entry.event === event && matches(entry));
  }

  /**
   * Gives the lines of the log that have come so far, those that were waited for
   * too.
   *
   * @param event Their event.
   */
  logged(event: string): LogEntry[] {
    return this.log.all.filter((entry) => entry.event === event);
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /**
   * Resident memory.
   *
   * @returns Bytes.
   */
  residentMemory(): number {
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child, [this.log, this.stdout]);
  }
}

/** Another program that a test needs: a service, which is killed when it is disposed of. */
export class Service implements AsyncDisposable {
  #child: Deno.ChildProcess;
  #feeds: readonly Feed<string>[];
  /** The line that said that it is ready. */
  readonly readyLine: string;

  private constructor(
    child: Deno.ChildProcess,
    feeds: readonly Feed<string>[],
    readyLine: string,
  ) {
    this.#child = child;
    this.#feeds = feeds;
    this.readyLine = readyLine;
  }

  /**
   * Starts a program and waits until it says that it is ready.
   *
   * @param program Its name, and its arguments.
   * @param ready Matches the line that says so.
   * @returns The service.
   * @throws {Error} If it ends instead; the message has what it wrote.
   */
  static async start(
    [program, ...args]: readonly [string, ...string[]],
    ready: RegExp,
  ): Promise<Service> {
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    running.add(child);
    const feeds = [child.stdout, child.stderr].map((stream) =>
      new Feed(linesOf(stream), (line) => line)
    );
    try {
      return new Service(child, feeds, await takeLine(feeds, ready));
    } catch (error) {
      await end(child, feeds);
      throw error;
    }
  }

  /**
   * Waits for a line that it writes.
   *
   * @param matching Matches the line.
   * @returns The line.
   * @throws {Error} If it ends without it.
   */
  line(matching: RegExp): Promise<string> {
    return takeLine(this.#feeds, matching);
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Lets it end by itself, for one that would leave something behind. */
  async stop(): Promise<void> {
    kill(this.#child, "SIGTERM");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child, this.#feeds);
  }
}

function takeLine(
  feeds: readonly Feed<string>[],
  matching: RegExp,
): Promise<string> {
  return Promise.any(
    feeds.map((feed) => feed.take((line) => matching.test(line))),
  );
}

async function end(
  child: Deno.ChildProcess,
  feeds: readonly { readonly ended: Promise<void> }[],
): Promise<void> {
  kill(child, "SIGKILL");
  await child.status;
  running.delete(child);
  await Promise.all(feeds.map((feed) => feed.ended));
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended by itself.
  }
}

/**
 * Reads a line of the log.
 *
 * @param line The line.
 */
export function parseEntry(line: string): LogEntry {
  try {
    return { ...JSON.parse(line), text: line };
  } catch {
    return { event: "", text: line };
  }
}
