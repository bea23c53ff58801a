/**
 * The command: arguments, wiring, signals, exit status.
 *
 * @module
 */

import manifest from "./deno.json" with { type: "json" };
import { backends } from "./backends/mod.ts";
import type { Backend } from "./core/api.ts";
import { type Arguments, parseArguments } from "./core/config/arguments.ts";
import type { Shell } from "./core/config/command_options.ts";
import { loadBackend } from "./core/backend_host.ts";
import { readCertificate } from "./core/certificate.ts";
import {
  type Config,
  parseConfigFile,
  resolveConfig,
  type Setting,
} from "./core/config/config.ts";
import { startDemoService } from "./core/demo.ts";
import {
  describeConfig,
  describeDemo,
  describeFailure,
  explainListenError,
  formatUrl,
} from "./core/config/describe.ts";
import { formatHelp } from "./core/config/help.ts";
import { ConfigError, describeError } from "./core/errors.ts";
import { createLog, type Log } from "./core/log.ts";
import { nativeEngine } from "./core/engines/native_engine.ts";
import type { CoreConfig } from "./core/config/options.ts";
import { Pages } from "./core/pages/pages.ts";
import { Plugins } from "./core/plugins/plugin_host.ts";
import { Server } from "./core/server.ts";
import { streamEngine } from "./core/engines/stream_engine.ts";
import {
  isTelemetryOn,
  loadTelemetry,
} from "./core/telemetry/load_telemetry.ts";
import type { Telemetry } from "./core/telemetry/telemetry.ts";
import type { ServerCertificate, WebSocketEngine } from "./core/websocket.ts";
import { framings } from "./framing/mod.ts";

const engines: Readonly<Record<CoreConfig["engine"], WebSocketEngine>> = {
  native: nativeEngine,
  stream: streamEngine,
};

/** A configuration, and what it loads. */
interface Loaded {
  readonly config: Config;
  readonly backend: Backend;
  readonly plugins: Plugins;
  readonly certificate: ServerCertificate | undefined;
  readonly pages: Pages;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

/** The same one whatever is loaded anew. */
let telemetryLoading: Promise<Telemetry> | undefined;

/** A setting of the demo; it comes before all others, which can so set it otherwise. */
const demoConsole: Setting = {
  section: "core",
  option: "console",
  value: "/",
  origin: "--demo",
};

await main();

async function main(): Promise<void> {
  let args: Arguments;
  let loaded: Loaded;
  try {
    args = parseArguments(Deno.args);
    if (args.help) return print(formatHelp(Object.keys(backends)));
    if (args.version) return print(`websocksy ${manifest.version}`);
    if (args.completions !== undefined) {
      return await printCompletions(args.completions);
    }
    if (args.demo) args = withDemo(args);
    loaded = await load(args);
  } catch (error) {
    return exit(isPermissionMissing(error) ? 1 : 2, error);
  }
  if (args.check) {
    await loaded.backend.cleanup?.();
    await loaded.plugins.end();
    print(describeConfig(loaded.config));
    return exit(0);
  }
  await serve(args, loaded);
}

async function printCompletions(shell: Shell): Promise<void> {
  const { formatCompletions } = await import(
    "./core/completions/completions.ts"
  );
  write(Deno.stdout, formatCompletions(shell, Object.keys(backends)));
}

function withDemo(args: Arguments): Arguments {
  const { port } = startDemoService();
  const demo = { host: `tcp://127.0.0.1:${port}`, framing: "newline" };
  const settings = Object.entries(demo).map(([option, value]): Setting => ({
    section: "backend",
    option,
    value,
    origin: "--demo",
  }));
  return { ...args, settings: [...settings, ...args.settings] };
}

async function load(args: Arguments): Promise<Loaded> {
  const { configFile, settings, demo } = args;
  const fromFile = configFile === undefined
    ? []
    : parseConfigFile(await readConfigFile(configFile), configFile);
  const defaults = demo ? [demoConsole] : [];
  const config = resolveConfig([...defaults, ...fromFile, ...settings]);
  const log = createLog({
    level: config.core.log,
    format: config.core.logFormat,
    write: (line) => write(Deno.stderr, line),
  });
  const certificate = await readCertificate(config.core);
  const pages = await Pages.load(config.core, log);
  const telemetry = await (telemetryLoading ??= loadTelemetry(log));
  const builtIn = { backends, framings };
  const plugins = await Plugins.load(config, { ...builtIn, log, telemetry });
  try {
    const backend = await loadBackend(config.backend, plugins);
    return { config, backend, plugins, certificate, pages, log, telemetry };
  } catch (error) {
    await plugins.end();
    throw error;
  }
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : describeError(error);
    throw new ConfigError(`cannot read it: ${why}`, file, { cause: error });
  }
}

async function serve(args: Arguments, loaded: Loaded): Promise<void> {
  const { config: { core }, backend, plugins, certificate, pages } = loaded;
  const { log, telemetry } = loaded;
  const { framings } = plugins;
  let server: Server;
  try {
    const engine = engines[core.engine];
    const settings = { core, backend, framings, certificate, pages };
    server = await Server.listen({ ...settings, engine, log, telemetry });
  } catch (error) {
    return exit(1, explainListenError(error, core));
  }
  // Before anybody can be told that it listens, and sends a signal then.
  handleSignals(server, args, loaded);
  // Whatever was forgotten in one connection must not end all of them.
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log("error", "internal", { error: describeError(event.reason) });
  });
  addEventListener("error", (event) => {
    event.preventDefault();
    log("error", "internal", { error: describeError(event.error) });
  });
  const address = formatUrl(core, server.port);
  log("info", "listening", { address, engine: core.engine });
  if (args.demo) {
    const deno = Deno.build.standalone ? "deno" : Deno.execPath();
    print(describeDemo(core, server.port, deno));
  }
}

function handleSignals(server: Server, args: Arguments, first: Loaded): void {
  const { log } = first;
  let { plugins } = first;
  let stopping = false;
  async function stop(signal: Deno.Signal, status: number): Promise<void> {
    // A second signal does not wait any longer.
    if (stopping) exit(status);
    stopping = true;
    log("info", "shutdown", { signal });
    try {
      await server.shutDown();
      await plugins.end();
    } finally {
      if (isTelemetryOn()) endByItself(listeners);
      else exit(0);
    }
  }
  const listeners = new Map<Deno.Signal, () => void>();
  function listen(signal: Deno.Signal, listener: () => void): void {
    listeners.set(signal, listener);
    Deno.addSignalListener(signal, listener);
  }
  listen("SIGINT", () => stop("SIGINT", 130));
  if (Deno.build.os === "windows") return;
  listen("SIGTERM", () => stop("SIGTERM", 143));
  let reloading = Promise.resolve();
  async function replace(): Promise<void> {
    if (stopping) return;
    const retired = plugins;
    const reloaded = await reload(server, args, log);
    if (reloaded === undefined) return;
    ({ plugins } = reloaded);
    // It takes as long as the connections that use them.
    retired.retire();
  }
  // One after another: each ends what the one before has loaded.
  listen("SIGHUP", () => reloading = reloading.then(replace));
}

/**
 * Ends the process as soon as nothing is left that would keep it. Before its
 * end, Deno exports what it has not yet. If `Deno.exit` made it do that, and it
 * went to collect metrics meanwhile, it would wait for this thread for ever.
 */
function endByItself(listeners: ReadonlyMap<Deno.Signal, () => void>): void {
  for (const [signal, listener] of listeners) {
    Deno.removeSignalListener(signal, listener);
  }
  Deno.exitCode = 0;
  Deno.unrefTimer(setTimeout(() => exit(0), 1000));
}

/** Lets new connections use the configuration as it is now, if it is valid. */
async function reload(
  server: Server,
  args: Arguments,
  log: Log,
): Promise<Loaded | undefined> {
  try {
    const loaded = await load(args);
    const { config: { core }, backend, plugins, certificate, pages } = loaded;
    const { framings } = plugins;
    const settings = { core, backend, framings, certificate, pages };
    await server.reconfigure(settings);
    log("info", "reload");
    return loaded;
  } catch (error) {
    log("error", "reload", { error: describeFailure(error) });
    return undefined;
  }
}

function isPermissionMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && isPermissionMissing(error.cause));
}

/** Ends the process; with an error, after one line that tells it. */
function exit(status: number, error?: unknown): never {
  if (error !== undefined) write(Deno.stderr, `${describeFailure(error)}\n`);
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
    // Nobody reads it any more, or not fast enough, or the disk is full: it is
    // lost, which is no reason to stop serving, and there is nowhere to say so.
  }
}
