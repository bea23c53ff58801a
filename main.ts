/**
 * The command: arguments, wiring, signals, exit status.
 *
 * @module
 */

import { Worker } from "node:worker_threads";
import { absolutePath } from "./core/absolute_path.ts";
import type { AdminListener } from "./core/admin/listener.ts";
import manifest from "./deno.json" with { type: "json" };
import { backends } from "./backends/mod.ts";
import { type AdminCommand, parseAdminCommand } from "./core/cli/admin_text.ts";
import { type Arguments, parseArguments } from "./core/cli/arguments.ts";
import type { Shell } from "./core/cli/command_options.ts";
import {
  type GivenOption,
  override,
  parseConfigFile,
  resolveConfig,
} from "./core/config/config.ts";
import { startDemoService } from "./core/cli/demo.ts";
import {
  describeConfig,
  describeDemo,
  describeFailure,
  explainListenError,
  formatUrl,
} from "./core/cli/describe.ts";
import { formatListen } from "./core/config/options.ts";
import { formatHelp } from "./core/cli/help.ts";
import { ConfigError, describeError } from "./core/errors.ts";
import { nativeEngine } from "./core/websocket/native/engine.ts";
import { streamEngine } from "./core/websocket/stream/engine.ts";
import type { Log } from "./core/log/log.ts";
import { LogOutput } from "./core/log/output.ts";
import { outliveErrors } from "./core/log/uncaught_errors.ts";
import { peerStatesBytes } from "./core/peers/states.ts";
import { Program, type ProgramParts } from "./core/program.ts";
import { isTelemetryOn } from "./core/telemetry/load.ts";
import type { MetricsSnapshot } from "./core/telemetry/snapshot.ts";
import { rateTableBytes } from "./core/access/rate_table.ts";
import { countTableBytes } from "./core/memory/count_table.ts";
import {
  hasSockets,
  readVariable,
  ServiceManager,
  type ServiceState,
} from "./core/server/service_manager.ts";
import { SharedCounts } from "./core/threads/shared_counts.ts";
import { type AllThreads, askAll } from "./core/server/questions.ts";
import { isThread, runThread } from "./core/threads/worker.ts";
import { countThreads, Threads, whyNoThreads } from "./core/threads/pool.ts";
import { framings } from "./framing/mod.ts";

/** What the program can load, and where its log goes. */
const parts: ProgramParts & { readonly log: LogOutput } = {
  backends,
  framings,
  engines: { native: nativeEngine, stream: streamEngine },
  log: new LogOutput(Deno.stderr),
};

/**
 * Milliseconds that the end of the process waits for the last lines of the log.
 */
const flushTimeout = 300;

/**
 * Milliseconds after `drain-timeout` at which the process ends although
 * something hangs.
 */
const lateEnd = 400;
/**
 * Milliseconds after which it is killed: those since its thread last answered,
 * as it may be slow on a busy machine, and those in all.
 */
const silentEnd = 800;
const lastEnd = 3000;
/** Milliseconds between two questions to its thread. */
const askInterval = 50;
/** Milliseconds that a process with telemetry may take to end by itself. */
const longEnd = 3000;

/**
 * An option of the demo. It precedes all others, so that they can override it.
 */
const demoConsole: GivenOption = {
  section: "core",
  option: "console",
  value: "/",
  origin: "--demo",
};

hideSignalWarning();
if (isThread()) runThread(parts);
else await main();

async function main(): Promise<void> {
  let args: Arguments;
  let options: readonly GivenOption[];
  let program: Program;
  try {
    const command = parseAdminCommand(Deno.args);
    if (command !== undefined) return await operate(command);
    args = parseArguments(Deno.args);
    if (args.json && !args.check) {
      throw new ConfigError("it goes with --check", "--json");
    }
    if (args.help) return print(formatHelp(Object.keys(backends)));
    if (args.version) return print(`websocksy ${manifest.version}`);
    if (args.completions !== undefined) {
      return await printCompletions(args.completions);
    }
    if (args.demo) args = withDemo(args);
    options = await readOptions(args);
    if (args.lockPlugin !== undefined) {
      return await printLock(args.lockPlugin, options);
    }
    program = await Program.load(options, parts);
  } catch (error) {
    return await exit(isPermissionMissing(error) ? 1 : 2, error);
  }
  if (args.check) {
    await program.end();
    const { config, isolations } = program;
    if (args.json) {
      const { describeAsJson } = await import("./core/cli/describe_json.ts");
      print(describeAsJson(config, options, isolations));
    } else print(describeConfig(config, isolations));
    return await exit(0);
  }
  await serve(args, options, program);
}

/**
 * Hides what Deno writes to stderr, once, about the `signal` of a request, whose
 * behaviour a compiled program cannot choose: the native engine expects it.
 */
function hideSignalWarning(): void {
  const { warn } = console;
  // deno-lint-ignore no-console
  console.warn = (...data: unknown[]): void => {
    if (!String(data[0]).startsWith("Deno.serve: request.signal")) {
      warn.apply(console, data);
    }
  };
}

/** Has a server that runs carry out a command. */
async function operate(command: AdminCommand): Promise<void> {
  const { runAdminCommand } = await import("./core/cli/admin_client.ts");
  let answer: string | undefined;
  try {
    answer = await runAdminCommand(command);
  } catch (error) {
    return await exit(error instanceof ConfigError ? 2 : 1, error);
  }
  if (answer !== undefined) print(answer);
}

async function printCompletions(shell: Shell): Promise<void> {
  const { formatCompletions } = await import(
    "./core/cli/completions/completions.ts"
  );
  const names = [Object.keys(backends), Object.keys(framings)] as const;
  write(Deno.stdout, formatCompletions(shell, ...names));
}

async function printLock(
  plugin: string,
  options: readonly GivenOption[],
): Promise<void> {
  const { makeLock } = await import("./core/plugins/lock.ts");
  print(await makeLock(plugin, resolveConfig(options)));
}

function withDemo(args: Arguments): Arguments {
  const { port } = startDemoService();
  const demo = { host: `tcp://127.0.0.1:${port}`, framing: "newline" };
  const options = Object.entries(demo)
    // A second host would be a second peer.
    .filter(([name]) =>
      !args.options.some(({ section, option }) =>
        section === "backend" && option === name
      )
    )
    .map(([option, value]): GivenOption => ({
      section: "backend",
      option,
      value,
      origin: "--demo",
    }));
  return { ...args, options: [...options, ...args.options] };
}

async function readOptions(
  { configFile, options, demo }: Arguments,
): Promise<readonly GivenOption[]> {
  const fromFile = configFile === undefined
    ? []
    : parseConfigFile(await readConfigFile(configFile), configFile);
  return [...(demo ? [demoConsole] : []), ...override(fromFile, options)];
}

async function readConfigFile(file: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(absolutePath(file));
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Deno.errors.IsADirectory
      ? "it is a directory"
      : describeError(error);
    throw new ConfigError(`cannot read it: ${why}`, file, { cause: error });
  }
}

async function serve(
  args: Arguments,
  options: readonly GivenOption[],
  program: Program,
): Promise<void> {
  const { log } = program;
  const { count, why } = countThreads(program.config.core);
  if (why !== undefined) log("warn", "threads", { count, why });
  const missing = count === 1 ? undefined : whyNoThreads(import.meta.url);
  if (missing !== undefined) return await exit(1, new Error(missing));
  const started = Promise.withResolvers<Started>();
  const tell = toServiceManager(log);
  const reload = handleSignals(args, program, started.promise, tell);
  let threads: Threads | undefined;
  let admin: AdminListener | undefined;
  try {
    const { port } = program.config.core;
    if (count === 1) await program.listen({ port });
    else threads = await listenInThreads(options, program, count);
  } catch (error) {
    return await exit(1, explainListenError(error, program.config.core));
  }
  const all: AllThreads = {
    count,
    ask: (index, question) =>
      index === 0 ? program.answer(question) : threads!.ask(index, question),
  };
  try {
    admin = await listenForOperators(program, all, reload);
  } catch (error) {
    const { address: listen, port } = program.config.core.admin!;
    const names = { host: "--admin", port: "--admin" };
    return await exit(1, explainListenError(error, { listen, port }, names));
  }
  // Without IPv6, the address differs from that of the configuration.
  const { core } = program.config;
  started.resolve({ threads, admin, all });
  outliveErrors(log);
  tell("READY");
  const address = formatUrl(core, program.port);
  log("info", "listening", {
    address,
    engine: core.engine,
    threads: count === 1 ? undefined : count,
  });
  for (const [name, where] of program.isolations) {
    log("info", "plugin", { name, what: where });
  }
  if (args.demo) {
    const deno = Deno.build.standalone ? "deno" : Deno.execPath();
    print(describeDemo(core, program.port, deno));
  }
}

/** What listens beside the first thread. */
interface Started {
  readonly threads: Threads | undefined;
  readonly admin: AdminListener | undefined;
  /** The first thread, and those. */
  readonly all: AllThreads;
}

async function listenForOperators(
  program: Program,
  threads: AllThreads,
  reload: () => Promise<string | undefined>,
): Promise<AdminListener | undefined> {
  const { config: { core }, log } = program;
  if (core.admin === undefined) return undefined;
  const { AdminListener } = await import("./core/admin/listener.ts");
  const admin = await AdminListener.listen({
    core,
    engine: parts.engines.stream,
    log,
    threads,
    state: () => program.state,
    access: () => program.adminAccess,
    reload,
  });
  const { address } = core.admin;
  log("info", "admin", {
    address: address.transport === "unix"
      ? formatListen(address, 0)
      : `http://${formatListen(address, admin.port)}/`,
  });
  return admin;
}

/**
 * Listens in this thread and in others; each of them loads the configuration.
 */
async function listenInThreads(
  options: readonly GivenOption[],
  program: Program,
  count: number,
): Promise<Threads> {
  const { config: { core }, log } = program;
  const [counts, sockets] = [new SharedCounts(), new SharedCounts()];
  const accessMemory = {
    rates: new SharedArrayBuffer(rateTableBytes),
    users: new SharedArrayBuffer(countTableBytes),
  };
  const peerMemory = new SharedArrayBuffer(peerStatesBytes);
  const thread = { index: 0, count };
  let threads: Threads | undefined = undefined;
  async function gatherMetrics(): Promise<MetricsSnapshot[]> {
    return await askAll<"metrics">({
      count: threads === undefined ? 1 : count,
      ask: (index, question) =>
        index === 0 ? program.answer(question) : threads!.ask(index, question),
    }, { kind: "metrics" });
  }
  await program.listen({
    port: core.port,
    counts,
    sockets,
    accessMemory,
    peerMemory,
    thread,
    gatherMetrics,
  });
  threads = await Threads.start({
    module: import.meta.url,
    count,
    options,
    port: program.port,
    memory: counts.memory,
    sockets: sockets.memory,
    accessMemory,
    peerMemory,
    gatherMetrics,
    onError(error): void {
      log("error", "thread", { error: describeError(error) });
      exit(1);
    },
  });
  return threads;
}

/**
 * Finds the service manager that started the program.
 *
 * @returns Tells it, if there is one, how the program stands.
 */
function toServiceManager(log: Log): (state: ServiceState) => void {
  function warn(error: unknown): void {
    log("warn", "service-manager", { error: describeError(error) });
  }
  if (hasSockets()) {
    warn(
      "sockets that systemd has opened are not used: disable the unit that has ListenStream=",
    );
  }
  try {
    const manager = ServiceManager.find();
    return (state) => void manager?.tell(state).catch(warn);
  } catch (error) {
    warn(error);
    return () => {};
  }
}

/**
 * Handles signals, from the start on: SIGHUP would end the process otherwise.
 *
 * @param args The arguments, whose file is read again.
 * @param program What runs.
 * @param started Gives the other threads, once all of them listen.
 * @param tell Tells the service manager.
 * @returns Reads the configuration again, as SIGHUP does; gives why it is not
 * used, if so.
 */
function handleSignals(
  args: Arguments,
  program: Program,
  started: Promise<Started>,
  tell: (state: ServiceState) => void,
): () => Promise<string | undefined> {
  const { log } = program;
  let threads: Threads | undefined;
  let admin: AdminListener | undefined;
  let state: "starting" | "running" | "leaving" | "stopping" = "starting";
  started.then((listening) => {
    ({ threads, admin } = listening);
    state = "running";
  });
  async function stop(signal: Deno.Signal, status: number): Promise<void> {
    // Before it listens there is nothing to wait for; a second signal does not
    // wait any longer.
    if (state === "starting" || state === "stopping") {
      // `Deno.exit` exports the rest of the telemetry, and waits for its receiver.
      if (isTelemetryOn()) killAfter(Date.now());
      return await exit(status);
    }
    state = "stopping";
    tell("STOPPING");
    log("info", "shutdown", { signal });
    const patience = program.config.core.drainTimeout * 1000;
    const killer = killAfter(Date.now() + patience);
    // From now on, as the drain's own time: a busy machine may have taken long to
    // start that thread.
    const late = setTimeout(() => exit(0), patience + lateEnd);
    Deno.unrefTimer(late);
    try {
      await Promise.all([program.end(), threads?.end()]);
      // Until then, it tells who is left.
      await admin?.close();
    } finally {
      if (isTelemetryOn()) {
        clearTimeout(late);
        killer.terminate();
        endByItself(listeners);
      } else await exit(0);
    }
  }
  async function leave(): Promise<void> {
    await started;
    if (state !== "running") return;
    state = "leaving";
    log("info", "leave", { signal: "SIGUSR2" });
    await Promise.all([program.leave(), threads?.leave()]);
    if (state === "leaving") await stop("SIGUSR2", 0);
  }
  async function reload(): Promise<string | undefined> {
    await started;
    tell("RELOADING");
    try {
      return await readAgain();
    } finally {
      if (state !== "stopping") tell("READY");
    }
  }
  async function readAgain(): Promise<string | undefined> {
    try {
      await Promise.all([program.reopenLogs(), threads?.reopenLogs()]);
    } catch (error) {
      log("error", "log", { error: describeError(error) });
    }
    let options: readonly GivenOption[] = [];
    const why = await program.reload(async () => {
      options = await readOptions(args);
      return options;
    });
    if (why !== undefined || state === "stopping") return why;
    await threads?.reload(options);
    log("info", "reload");
    return undefined;
  }
  async function drain(): Promise<void> {
    await askAll<"admit">((await started).all, {
      kind: "admit",
      isOpen: false,
    });
    log("info", "drain", { signal: "SIGUSR2" });
  }
  const listeners = new Map<Deno.Signal, () => void>();
  function listen(signal: Deno.Signal, listener: () => void): void {
    listeners.set(signal, listener);
    Deno.addSignalListener(signal, listener);
  }
  listen("SIGINT", () => stop("SIGINT", 130));
  if (Deno.build.os !== "windows") {
    listen("SIGTERM", () => stop("SIGTERM", 143));
    listen("SIGHUP", reload);
    listen(
      "SIGUSR2",
      () => program.config.core.reusePort ? leave() : drain(),
    );
  }
  return reload;
}

/**
 * Kills the process if it has not ended soon after a time. Another thread does
 * it: this one may be too busy.
 *
 * @param time The time, as of `Date.now()`.
 * @returns The thread, which does not keep the process from ending by itself.
 */
function killAfter(time: number): Worker {
  const source = `const { parentPort } = require("node:worker_threads");
  setTimeout(() => {
    let last = Date.now();
    parentPort.on("message", () => last = Date.now());
    setInterval(() => {
      const now = Date.now();
      if (now > last + ${silentEnd} || now > ${time + lastEnd}) {
        process.kill(process.pid, "SIGKILL");
      }
      parentPort.postMessage(undefined);
    }, ${askInterval});
  }, Math.max(0, ${time} - Date.now()));`;
  const worker = new Worker(source, { eval: true, name: "end" });
  worker.on("message", () => worker.postMessage(undefined));
  worker.unref();
  return worker;
}

/**
 * Ends the process as soon as nothing keeps it. Before the end, Deno exports
 * the rest of the telemetry. If `Deno.exit` causes that export while metrics
 * are being collected, Deno waits for this thread without an end.
 */
function endByItself(listeners: ReadonlyMap<Deno.Signal, () => void>): void {
  for (const [signal, listener] of listeners) {
    Deno.removeSignalListener(signal, listener);
  }
  Deno.exitCode = 0;
  Deno.unrefTimer(setTimeout(() => exit(0), longEnd));
  // Traces, the log and metrics, each with its own time-out.
  const timeout = Number(readVariable("OTEL_EXPORTER_OTLP_TIMEOUT")) || 10_000;
  killAfter(Date.now() + longEnd + 3 * timeout);
}

function isPermissionMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && isPermissionMissing(error.cause));
}

/** Ends the process; with an error, it first writes one line to stderr. */
async function exit(status: number, error?: unknown): Promise<never> {
  await parts.log.flush(flushTimeout);
  if (error !== undefined) {
    const stderr = new LogOutput(Deno.stderr);
    stderr.add(`websocksy: ${describeFailure(error)}\n`);
    await stderr.flush(flushTimeout);
  }
  Deno.exit(status);
}

function print(text: string): void {
  write(Deno.stdout, `${text}\n`);
}

function write(
  stream: { writeSync(data: Uint8Array): number },
  text: string,
): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
  } catch {
    // The reader has closed stderr. The line is lost, but the server goes on,
    // and there is no other place to report it.
  }
}
