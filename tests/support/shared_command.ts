/**
 * The real command for tests that need no process of its own: all that a file of
 * tests starts run in one, see `host.ts`.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import {
  argumentsOf,
  Command,
  type CommandResult,
  denoArguments,
  type EngineName,
  type LogEntry,
  parseEntry,
  runCommand,
  takePort,
  tested,
} from "./command.ts";
import { Feed, linesOf } from "./feed.ts";
import type { HostMessage } from "./host.ts";
import { isConnectionLost } from "./lost.ts";
import { writeAll } from "./peer.ts";

/** Options for {@linkcode SharedCommand.start}: those of a command without a process. */
export interface SharedOptions {
  /** The engine; absent: the default. */
  readonly engine?: EngineName;
  /** The peer's address, for the default backend. */
  readonly host?: string;
  /** More arguments of the command. */
  readonly args?: readonly string[];
  /** The configuration file. */
  readonly file?: string;
  /** Where it listens; null: where it does by itself. */
  readonly listen?: string | null;
}

/** The port of the host; absent: a program is tested that has none. */
const hostPort = tested === undefined ? await startHost() : undefined;

/** Starts the host, which ends with this process. */
async function startHost(): Promise<number> {
  const [program, ...args] = await denoArguments("tests/support/host.ts");
  const child = new Deno.Command(program!, {
    args,
    stdin: "piped",
    stdout: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  child.unref();
  addEventListener("unload", () => child.kill("SIGKILL"));
  const lines = linesOf(child.stdout).getReader();
  const { value } = await lines.read();
  await lines.cancel();
  return Number(value);
}

/** A run of the command in the host. */
class Run implements AsyncDisposable {
  /** The lines that it prints, and those of its log. */
  readonly output = { stdout: new Output(), stderr: new Output() };
  /** Resolves at its end, to the status if it ended by itself. */
  readonly ended: Promise<number | undefined>;
  #connection: Deno.TcpConn;
  #hasEnded = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.ended = this.#read();
  }

  static async start(args: readonly string[]): Promise<Run> {
    const connection = await Deno.connect({ port: hostPort! });
    await writeAll(connection, `${JSON.stringify(args)}\n`);
    return new Run(connection);
  }

  async signal(signal: Deno.Signal): Promise<void> {
    try {
      await writeAll(this.#connection, `${signal}\n`);
    } catch (error) {
      // It has ended by itself, and closed the connection.
      if (!isOver(error)) throw error;
    }
  }

  async #read(): Promise<number | undefined> {
    let status: number | undefined;
    for await (const line of linesOf(this.#connection.readable)) {
      const [kind, value]: HostMessage = JSON.parse(line);
      if (kind === "status") status = value;
      else this.output[kind].add(value);
    }
    this.#hasEnded = true;
    for (const output of Object.values(this.output)) output.end();
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // Deno closes it at the end of what it gives.
      if (!this.#hasEnded) await this.#connection.closeWrite();
    } catch (error) {
      if (!isOver(error)) throw error;
    }
    await this.ended;
  }
}

/** Whether an error means that a connection has ended, at either end. */
function isOver(error: unknown): boolean {
  return isConnectionLost(error) || error instanceof Deno.errors.BadResource;
}

/** Text that comes in pieces. */
class Output {
  readonly text: ReadableStream<string>;
  #controller!: ReadableStreamDefaultController<string>;

  constructor() {
    this.text = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
    });
  }

  add(text: string): void {
    this.#controller.enqueue(text);
  }

  end(): void {
    this.#controller.close();
  }

  /** Its lines, as they come. */
  get lines(): ReadableStream<string> {
    return this.text.pipeThrough(new TextLineStream());
  }
}

/**
 * The command, serving beside others in one process; it ends when it is disposed
 * of.
 */
export class SharedCommand implements AsyncDisposable {
  /** The port that it listens on. */
  readonly port: number;
  /** Everything that it logs. */
  readonly log: Feed<LogEntry>;
  /** The lines that it prints. */
  readonly stdout: Feed<string>;
  #owner: Command | Run;

  private constructor(
    owner: Command | Run,
    port: number,
    feeds: { log: Feed<LogEntry>; stdout: Feed<string> },
  ) {
    this.#owner = owner;
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
  static async start(options: SharedOptions = {}): Promise<SharedCommand> {
    if (hostPort === undefined) {
      const command = await Command.start(options);
      return new SharedCommand(command, command.port, command);
    }
    assertShareable(options);
    const run = await Run.start(argumentsOf(options));
    const log = new Feed(run.output.stderr.lines, parseEntry);
    const stdout = new Feed(run.output.stdout.lines, (line) => line);
    try {
      return new SharedCommand(run, await takePort(log), { log, stdout });
    } catch (error) {
      await run[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The exit status, when it has ended by itself. */
  get status(): Promise<{ readonly code: number | undefined }> {
    return this.#owner instanceof Command
      ? this.#owner.status
      : this.#owner.ended.then((code) => ({ code }));
  }

  /** Does what a signal does that the command handles. */
  kill(signal: "SIGHUP" | "SIGINT" | "SIGTERM" | "SIGUSR2"): void {
    if (this.#owner instanceof Command) this.#owner.kill(signal);
    else this.#owner.signal(signal);
  }

  /** See {@linkcode Command.event}. */
  event(
    event: string,
    matches: (entry: LogEntry) => boolean = () => true,
  ): Promise<LogEntry> {
    return this.log.take((entry) => entry.event === event && matches(entry));
  }

  /** See {@linkcode Command.logged}. */
  logged(event: string): LogEntry[] {
    return this.log.all.filter((entry) => entry.event === event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owner[Symbol.asyncDispose]();
  }
}

/**
 * Runs the command to its end.
 *
 * @param args Its arguments.
 * @returns What came of it.
 */
export async function runShared(
  args: readonly string[],
): Promise<CommandResult> {
  if (hostPort === undefined) return await runCommand(args);
  assertShareable({ args });
  await using run = await Run.start(args);
  const [stdout, stderr] = await Promise.all(
    [run.output.stdout, run.output.stderr].map(({ text }) =>
      Array.fromAsync(text)
    ),
  );
  const code = await run.ended;
  return { code: code!, stdout: stdout!.join(""), stderr: stderr!.join("") };
}

/** What a run in the host can be given; a process could be given more. */
const shareable = ["engine", "host", "args", "file", "listen"];

function assertShareable(options: SharedOptions): void {
  const names = Object.keys(options).filter((name) =>
    !shareable.includes(name)
  );
  if (options.args?.includes("--threads")) names.push("threads");
  if (names.length === 0) return;
  throw new TypeError(
    `Cannot run the command in the host: it needs a process of its own for ${
      names.join(", ")
    }`,
  );
}
