/**
 * The command: arguments, wiring, signals, exit status.
 *
 * @module
 */

import manifest from "./deno.json" with { type: "json" };
import { backends } from "./backends/mod.ts";
import type { Backend } from "./core/api.ts";
import {
  type Arguments,
  formatHelp,
  parseArguments,
} from "./core/arguments.ts";
import { loadBackend } from "./core/backend_host.ts";
import {
  type Config,
  parseConfigFile,
  resolveConfig,
  type Setting,
} from "./core/config.ts";
import { startDemoService } from "./core/demo.ts";
import {
  describeConfig,
  describeDemo,
  describeFailure,
  explainListenError,
  formatUrl,
} from "./core/describe.ts";
import { ConfigError, describeError } from "./core/errors.ts";
import { createLog, type Log } from "./core/log.ts";
import { nativeEngine } from "./core/native_websocket.ts";
import type { CoreConfig } from "./core/options.ts";
import { Server } from "./core/server.ts";
import { streamEngine } from "./core/stream_engine.ts";
import type { WebSocketEngine } from "./core/websocket.ts";
import { framings } from "./framing/mod.ts";

const engines: Readonly<Record<CoreConfig["engine"], WebSocketEngine>> = {
  native: nativeEngine,
  stream: streamEngine,
};

/** A configuration, and its backend. */
interface Loaded {
  readonly config: Config;
  readonly backend: Backend;
}

await main();

async function main(): Promise<void> {
  let args: Arguments;
  let loaded: Loaded;
  try {
    args = parseArguments(Deno.args);
    if (args.help) return print(formatHelp(Object.keys(backends)));
    if (args.version) return print(`websocksy ${manifest.version}`);
    if (args.demo) args = withDemo(args);
    loaded = await load(args);
  } catch (error) {
    return exit(isPermissionMissing(error) ? 1 : 2, error);
  }
  if (args.check) {
    await loaded.backend.cleanup?.();
    print(describeConfig(loaded.config));
    return exit(0);
  }
  await serve(args, loaded);
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

async function load({ configFile, settings }: Arguments): Promise<Loaded> {
  const fromFile = configFile === undefined
    ? []
    : parseConfigFile(await readConfigFile(configFile), configFile);
  const config = resolveConfig([...fromFile, ...settings]);
  return {
    config,
    backend: await loadBackend(config.backend, { backends, framings }),
  };
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

async function serve(
  args: Arguments,
  { config, backend }: Loaded,
): Promise<void> {
  const { core } = config;
  const log = createLog({
    level: core.log,
    format: core.logFormat,
    write: (line) => write(Deno.stderr, line),
  });
  let server: Server;
  try {
    const engine = engines[core.engine];
    server = await Server.listen({ core, backend, framings, engine, log });
  } catch (error) {
    return exit(1, explainListenError(error, core));
  }
  const address = formatUrl(core, server.port);
  log("info", "listening", { address, engine: core.engine });
  if (args.demo) {
    const deno = Deno.build.standalone ? "deno" : Deno.execPath();
    print(describeDemo(core, server.port, deno));
  }
  handleSignals(server, args, log);
  // Whatever was forgotten in one connection must not end all of them.
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log("error", "internal", { error: describeError(event.reason) });
  });
}

function handleSignals(server: Server, args: Arguments, log: Log): void {
  let stopping = false;
  async function stop(signal: Deno.Signal, status: number): Promise<void> {
    // A second signal does not wait any longer.
    if (stopping) exit(status);
    stopping = true;
    log("info", "shutdown", { signal });
    await server.shutDown();
    exit(0);
  }
  Deno.addSignalListener("SIGINT", () => stop("SIGINT", 130));
  if (Deno.build.os === "windows") return;
  Deno.addSignalListener("SIGTERM", () => stop("SIGTERM", 143));
  Deno.addSignalListener("SIGHUP", () => reload(server, args, log));
}

async function reload(
  server: Server,
  args: Arguments,
  log: Log,
): Promise<void> {
  try {
    const { config, backend } = await load(args);
    await server.reconfigure({ core: config.core, backend });
    log("info", "reload");
  } catch (error) {
    log("error", "reload", { error: describeFailure(error) });
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
  } catch (error) {
    // Nobody reads it any more, which is no reason to stop serving.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
