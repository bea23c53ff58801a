/**
 * The contenders: the commands of each bridge and plain relay, how they are
 * started and ended, and what their processes use.
 *
 * @module
 */

import { join } from "node:path";
import { freePort } from "../tools/free_port.ts";
import { v8Flags } from "../tools/v8_flags.ts";
import { installWs } from "../tools/ws.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { compileProgram } from "./compile.ts";
import {
  directories,
  type DirectoryName,
  startDirectory,
} from "./directories.ts";
import {
  type Framing,
  framingConfig,
  type Service,
  type ServiceAddress,
  type Transport,
} from "./peer.ts";
import { descendants } from "./usage.ts";

/** A program that connects clients to a peer. */
export interface Contender {
  /** Its name in the options and in the tables. */
  readonly name: string;
  /** Whether its clients use WebSocket; those of a plain TCP relay do not. */
  readonly websocket: boolean;
  /** Whether it starts a process for every connection. */
  readonly forks: boolean;
  /** Framing functions that it has; a plain relay has `binary`, as it passes on each read. */
  readonly framings: readonly Framing[];
  /** How it can connect to its peer. */
  readonly transports: readonly Transport[];
  /** Whether its clients can use TLS. */
  readonly tls: boolean;
  /** Whether it compresses messages. */
  readonly compresses: boolean;
  /** The directory that it asks for its peer, if it asks one. */
  readonly asks?: DirectoryName;
  /** Prepares its files, once, before the first start. */
  prepare?(directory: string): Promise<void>;
  /** The command that starts it. */
  command(place: Place, given: GivenArguments): string[];
}

/** Where a contender listens, and connects to. */
export interface Place {
  /** Port on 127.0.0.1 at which it is to listen. */
  readonly port: number;
  /** Its peer. */
  readonly service: Service;
  /** Where the peer listens. */
  readonly peer: ServiceAddress;
  /** A directory for its files. */
  readonly directory: string;
  /** Its certificate, if its clients are to use TLS. */
  readonly certificate: Certificate | undefined;
  /** Whether it is to compress what it sends. */
  readonly compression: boolean;
  /** Options that let it ask for its peer; absent: it is told which. */
  readonly asking?: readonly string[];
}

/** What the user said about starting websocksy. */
export interface GivenArguments {
  /** Arguments for `deno run`, before the name of the module. */
  readonly denoArguments: readonly string[];
  /** Further arguments for websocksy. */
  readonly websocksyArguments: readonly string[];
}

/** A contender that accepts connections. */
export interface RunningContender extends AsyncDisposable {
  /** Process id; processes that it starts are its descendants. */
  readonly pid: number;
  /** Port on 127.0.0.1, without TLS: with it, that of its client's end of TLS. */
  readonly port: number;
  /** Milliseconds from its start until a connection was accepted. */
  readonly startTime: number;
}

/** Options for {@linkcode startContender}. */
export interface StartOptions extends Omit<Place, "port">, GivenArguments {
  /** Gives up the wait. */
  readonly signal: AbortSignal;
}

const HOST = "127.0.0.1";
const MAIN = join(import.meta.dirname!, "..", "main.ts");
const SOURCES = join(import.meta.dirname!, "contenders");
/**
 * A plugin whose backend answers its options, and with two framing functions
 * that do the same as built-in ones.
 */
const PLUGIN = `export const apiVersion = 1;
export const framings = {
  "plugin-binary": () => ({
    frame: (data) => ({ length: data.length, type: "binary" }),
  }),
  "plugin-fixedlength": (config) => {
    const length = Number(config);
    return {
      frame: (data) => data.length < length ? null : { length, type: "binary" },
    };
  },
};
export function createBackend() {
  const told = {};
  return {
    configure(option, value) { told[option] = value; },
    query: () => ({
      address: told.host,
      framing: "plugin-" + told.framing,
      framingConfig: told["framing-config"],
    }),
  };
}
`;
const START_TIMEOUT = 15_000;
const STOP_TIMEOUT = 2000;
/** Milliseconds between two attempts to connect. */
const ATTEMPT_INTERVAL = 2;

const relay = {
  websocket: false,
  forks: false,
  framings: ["binary"],
  transports: ["tcp"],
  tls: false,
  compresses: false,
} as const;
/** What bridges of other projects have in common. */
const bridge = {
  ...relay,
  websocket: true,
  framings: ["binary", "newline"],
  tls: true,
} as const;

/** The contenders, in the order of the tables. */
export const contenders: readonly Contender[] = [
  websocksy("stream", []),
  websocksy("native", []),
  {
    ...bridge,
    name: "ws-bridge",
    compresses: true,
    prepare: installWs,
    command: (place) => [
      ...["node", join(SOURCES, "ws_bridge.mjs"), place.directory],
      ...portsOf(place),
      place.service.framing,
      place.compression ? "deflate" : "plain",
      ...filesOf(place.certificate),
    ],
  },
  {
    ...bridge,
    name: "go",
    prepare: (directory) => compileProgram("go_bridge.go", directory),
    command: (place) => [
      join(place.directory, "go_bridge"),
      ...portsOf(place),
      place.service.framing,
      ...filesOf(place.certificate),
    ],
  },
  {
    ...bridge,
    name: "beast",
    prepare: (directory) =>
      compileProgram("beast_bridge.cpp", directory, ["ssl", "crypto"]),
    command: (place) => [
      join(place.directory, "beast_bridge"),
      ...portsOf(place),
      place.service.framing,
      ...filesOf(place.certificate),
    ],
  },
  {
    ...relay,
    name: "websockify",
    websocket: true,
    forks: true,
    command: ({ port, peer }) => [
      "websockify",
      "--heartbeat=0",
      `${HOST}:${port}`,
      new URL(peer.address).host,
    ],
  },
  {
    ...relay,
    name: "socat",
    forks: true,
    // Its default of 8 KiB for a read would put it at a disadvantage.
    command: ({ port, peer }) => [
      "socat",
      "-b262144",
      `TCP-LISTEN:${port},bind=${HOST},reuseaddr,fork,nodelay,backlog=1024`,
      `TCP:${new URL(peer.address).host},nodelay`,
    ],
  },
  {
    ...relay,
    name: "deno-relay",
    tls: true,
    command: (place) => [
      ...[Deno.execPath(), "run", "--quiet", "--allow-net", "--allow-read"],
      join(SOURCES, "deno_relay.ts"),
      ...portsOf(place),
      ...filesOf(place.certificate),
    ],
  },
  {
    ...relay,
    name: "haproxy",
    transports: ["tcp", "unix"],
    tls: true,
    command(place): string[] {
      const file = `${place.directory}/haproxy.cfg`;
      Deno.writeTextFileSync(
        file,
        haproxyConfig(
          `${place.port}${
            place.certificate ? ` ssl crt ${place.certificate.both}` : ""
          }`,
          peerOf(place.peer),
        ),
      );
      return ["haproxy", "-db", "-f", file];
    },
  },
];

/**
 * Finds a contender, or makes a variant of one.
 *
 * @param name `NAME`, or for websocksy `NAME:OPTION=VALUE:...`: with these
 * options in addition to others.
 * @throws {TypeError} If there is none of this name; the message follows the
 * name.
 */
export function createContender(name: string): Contender {
  const [base, ...options] = name.split(":");
  const found = contenders.find((contender) => contender.name === base);
  if (found === undefined) {
    const known = contenders.map(({ name }) => name).join(", ");
    throw new TypeError(`it must be one of ${known}`);
  }
  if (options.length === 0) return found;
  if (!isWebsocksy(found.name)) {
    throw new TypeError("only stream and native take options");
  }
  if (!options.every((option) => /^[a-z][a-z0-9-]*=/.test(option))) {
    throw new TypeError("an option is OPTION=VALUE, without the dashes");
  }
  return websocksy(found.name, options);
}

/** Whether a contender of this name is websocksy, with any options. */
export function isWebsocksy(name: string): boolean {
  return /^(stream|native)(:|$)/.test(name);
}

/** The arguments that say where a contender listens, and where its peer does. */
function portsOf({ port, peer }: Place): string[] {
  return [String(port), new URL(peer.address).port];
}

/** The flags of V8 that are asked for, or those with which websocksy is delivered. */
function v8FlagsOf(
  asked: string | undefined,
  denoArguments: readonly string[],
): string[] {
  if (asked !== undefined) return [`--${asked}`];
  const isGiven = denoArguments.some((arg) => arg.startsWith("--v8-flags"));
  return isGiven ? [] : [`--v8-flags=${v8Flags}`];
}

function filesOf(certificate: Certificate | undefined): string[] {
  return certificate === undefined
    ? []
    : [certificate.certificate, certificate.key];
}

function websocksy(engine: string, options: readonly string[]): Contender {
  const isolation = options.find((option) => option.startsWith("isolation="));
  const asked = options.find((option) => option.startsWith("directory="));
  const v8 = options.find((option) => option.startsWith("v8-flags="));
  const given = options.filter((option) =>
    option !== isolation && option !== asked && option !== v8
  );
  const asks = directories.find((name) => asked === `directory=${name}`);
  return {
    name: [engine, ...options].join(":"),
    websocket: true,
    forks: false,
    framings: isolation === undefined
      ? [
        ...["auto", "binary", "separator", "newline"] as const,
        ...["fixedlength", "dynamic32", "json"] as const,
      ]
      : ["binary", "fixedlength"],
    transports: ["tcp", "tls", "unix", "udp", "unix-dgram"],
    tls: true,
    compresses: engine === "stream",
    ...(asks !== undefined && { asks }),
    command: (place, { denoArguments, websocksyArguments }) => {
      const { peer, directory, certificate, compression } = place;
      const { framing, size } = place.service;
      return [
        ...[Deno.execPath(), "run", "--quiet", "--no-prompt"],
        ...["--allow-net", "--allow-read", "--allow-write"],
        ...(isolation ? [`--allow-run=${Deno.execPath()}`] : []),
        ...(peer.certificate ? [`--cert=${peer.certificate}`] : []),
        ...v8FlagsOf(v8, denoArguments),
        ...denoArguments,
        MAIN,
        ...(isolation ? [configureIsolation(directory, isolation)] : []),
        `--listen=${HOST}`,
        `--port=${place.port}`,
        `--engine=${engine}`,
        ...(certificate
          ? [
            `--tls-cert=${certificate.certificate}`,
            `--tls-key=${certificate.key}`,
          ]
          : []),
        ...(compression ? ["--compression=on"] : []),
        ...(place.asking ?? ["-c", `host=${peer.address}`]),
        ...["-c", `framing=${framing}`],
        ...["-c", `framing-config=${framingConfig(framing, size)}`],
        ...websocksyArguments,
        ...given.flatMap((option) =>
          /^framing/.test(option) ? ["-c", option] : [`--${option}`]
        ),
      ];
    },
  };
}

/** Writes a configuration with a plugin as the backend and its framing functions. */
function configureIsolation(directory: string, isolation: string): string {
  const [, kind = ""] = isolation.split("=");
  const file = `${directory}/isolation-${kind}.ini`;
  Deno.writeTextFileSync(`${directory}/plugin.js`, PLUGIN);
  Deno.writeTextFileSync(
    file,
    `[core]
backend = bench
[plugin bench]
url = ${directory}/plugin.js
isolation = ${kind}
`,
  );
  return file;
}

/** The address of a peer as HAProxy takes it. */
function peerOf({ address }: ServiceAddress): string {
  const { protocol, host, pathname } = new URL(address);
  return protocol === "unix:" ? `unix@${pathname}` : host;
}

/** HAProxy's configuration for a relay from one port to one server. */
function haproxyConfig(bind: string, server: string): string {
  return `global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen relay
  bind ${HOST}:${bind}
  server peer ${server}
`;
}

/**
 * Starts a contender, and waits until it accepts connections. If its clients
 * are to use TLS, HAProxy speaks it for them, so that the load is the same, and
 * the client's part of the cost is not the contender's.
 *
 * @throws {Error} If it ends, or does not accept a connection within 15
 * seconds. The message has the last line that it wrote.
 */
export async function startContender(
  contender: Contender,
  options: StartOptions,
): Promise<RunningContender> {
  await using support = new AsyncDisposableStack();
  const asking = contender.asks === undefined ? undefined : support.use(
    await startDirectory(contender.asks, {
      peer: new URL(options.peer.address).host,
      directory: options.directory,
    }),
  ).options;
  const { signal, directory } = options;
  const port = freePort();
  const command = contender.command(
    { ...options, port, ...(asking !== undefined && { asking }) },
    options,
  );
  const log = `${directory}/${contender.name.replace(/\W/g, "-")}.log`;
  const process = { name: contender.name, command, port, log, signal };
  const { pid, startTime } = support.use(await startProcess(process));
  let clientPort = port;
  if (options.certificate !== undefined) {
    clientPort = freePort();
    support.use(await startTlsClient(clientPort, port, options));
  }
  const services = support.move();
  return {
    pid,
    port: clientPort,
    startTime,
    [Symbol.asyncDispose]: () => services.disposeAsync(),
  };
}

/** Starts HAProxy as the client's end of TLS. */
function startTlsClient(
  port: number,
  server: number,
  { directory, signal }: StartOptions,
): Promise<RunningContender> {
  const file = `${directory}/tls-client.cfg`;
  // The same cipher for all, and the whole handshake for each connection.
  const tls =
    "ssl verify none no-ssl-reuse ciphersuites TLS_AES_128_GCM_SHA256";
  Deno.writeTextFileSync(
    file,
    haproxyConfig(`${port}`, `${HOST}:${server} ${tls}`),
  );
  return startProcess({
    name: "haproxy",
    command: ["haproxy", "-db", "-f", file],
    port,
    log: `${directory}/tls-client.log`,
    signal,
  });
}

/**
 * Finds out whether there is what figures with TLS need.
 *
 * @param directory Where the certificate is to be.
 * @returns The certificate of the contenders.
 * @throws {Error} If a program is missing.
 */
export async function prepareTls(directory: string): Promise<Certificate> {
  const certificate = await makeCertificate(directory, "bridge");
  await new Deno.Command("haproxy", { args: ["-v"], stdout: "null" }).output();
  return certificate;
}

/** A process to start. */
interface Process {
  readonly name: string;
  readonly command: readonly string[];
  /** Where it listens. */
  readonly port: number;
  /** File for what it writes. */
  readonly log: string;
  readonly signal: AbortSignal;
}

async function startProcess(
  { name, command, port, log, signal }: Process,
): Promise<RunningContender> {
  const start = performance.now();
  // The shell replaces itself with the program, which writes its log to a file,
  // so that reading the log costs no time.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log]
      .concat(command),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await accepts(port, child, signal);
    return {
      pid: child.pid,
      port,
      startTime: performance.now() - start,
      [Symbol.asyncDispose]: () => stop(child),
    };
  } catch (error) {
    await stop(child);
    const why = lastLine(log) || (error as Error).message;
    throw new Error(`Cannot start "${name}": ${why}`, { cause: error });
  }
}

async function accepts(
  port: number,
  child: Deno.ChildProcess,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT;
  let ended = false;
  void child.status.then(() => ended = true);
  while (true) {
    signal.throwIfAborted();
    if (ended) throw new Error("it has ended");
    try {
      (await Deno.connect({ hostname: HOST, port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
    if (performance.now() > deadline) throw new Error("it does not listen");
    await new Promise((resolve) => setTimeout(resolve, ATTEMPT_INTERVAL));
  }
}

/**
 * Ends a process, and those that it started: with SIGTERM, then with SIGKILL.
 */
async function stop(child: Deno.ChildProcess): Promise<void> {
  const started = descendants(child.pid);
  kill(child.pid, "SIGTERM");
  const timer = setTimeout(() => kill(child.pid, "SIGKILL"), STOP_TIMEOUT);
  await child.status;
  clearTimeout(timer);
  for (const pid of started) kill(pid, "SIGKILL");
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function lastLine(file: string): string {
  try {
    return Deno.readTextFileSync(file).trim().split("\n").at(-1) ?? "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
