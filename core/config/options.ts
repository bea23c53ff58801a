/**
 * The table of the `[core]` options: names, defaults, meanings and parsers.
 * The command line, the configuration file and `--help` all come from it.
 *
 * @module
 */

import { formatHost } from "../peers/address.ts";
import { type NetworkConfig, networkOptions } from "./network_options.ts";
import {
  parseChoice,
  parseInteger,
  parseMode,
  parseName,
  parseSeconds,
} from "./option_values.ts";

/** The `[core]` options, parsed. */
export interface CoreConfig extends NetworkConfig {
  /** Listen port, 0 to 65535; 0: any free port. */
  readonly port: number;
  /** Where to listen. */
  readonly listen: ListenAddress;
  /** Permissions of the Unix socket; absent: what the umask leaves. */
  readonly listenMode: number | undefined;
  /** File of the certificate for clients, PEM; absent: no TLS. */
  readonly tlsCert: string | undefined;
  /** File of its private key, PEM. */
  readonly tlsKey: string | undefined;
  /** Seconds for a request's head (`stream` only). */
  readonly headTimeout: number;
  /** Seconds without traffic from a client before it is sent a ping; 0: never. */
  readonly ping: number;
  /** Name of a built-in backend or a plugin, or path or URL of a plugin. */
  readonly backend: string;
  /** The WebSocket engine. */
  readonly engine: "native" | "stream";
  /** Allowed values of `Origin`, or `*`. */
  readonly origin: "*" | readonly string[];
  /** Seconds for the backend's answer and the peer's connection, together. */
  readonly connectTimeout: number;
  /** Bytes: largest message from a client, and most that a framing function may hold back. */
  readonly maxMessage: number;
  /** Bytes from a client that may wait for its peer. */
  readonly maxBuffer: number;
  /** Most connections at once; 0: no limit. */
  readonly maxConnections: number;
  /** Most connections of one client's address at once; 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** Seconds without traffic, either way, before a WebSocket is closed; 0: never. */
  readonly idleTimeout: number;
  /** Seconds that a shutdown waits for open connections. */
  readonly drainTimeout: number;
  /** Seconds that a plugin may be busy without an answer. */
  readonly pluginTimeout: number;
  /** Least severe level that is logged. */
  readonly log: LogLevel;
  /** Format of the log's lines. */
  readonly logFormat: "text" | "json";
}

/** Where the server listens. */
export type ListenAddress =
  | { readonly transport: "tcp"; readonly hostname: string }
  | { readonly transport: "unix"; readonly path: string };

/** Level of a line in the log, the most severe first. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** An option of the `[core]` section, which is also `--NAME VALUE`. */
export interface CoreOption {
  /** Its name in the configuration file. */
  readonly name: string;
  /** Its letter on the command line. */
  readonly short?: string;
  /** What stands for its value in the help. */
  readonly placeholder: string;
  /** The value that holds if none is given, as it would be written; empty: none. */
  readonly default: string;
  /** What it means, in one sentence. */
  readonly help: string;
  /**
   * Parses a value.
   *
   * @throws {SyntaxError | RangeError} If it is not valid; the message goes
   * behind the name of the option.
   */
  readonly parse: (value: string) => Partial<CoreConfig>;
  /** Adds a value to what those before it have made; absent: it replaces them. */
  readonly join?: (
    before: CoreConfig,
    parsed: Partial<CoreConfig>,
  ) => Partial<CoreConfig>;
}

/** All `[core]` options, in the order of the documentation. */
export const coreOptions: readonly CoreOption[] = [
  {
    name: "port",
    short: "p",
    placeholder: "PORT",
    default: "8001",
    help: "listen port, 0 to 65535; 0 takes any free port and prints it",
    parse: (value) => ({ port: parseInteger(value, 0, 65535) }),
  },
  {
    name: "listen",
    short: "l",
    placeholder: "HOST",
    default: "::",
    help:
      "listen host (:: takes IPv4 too), or unix:PATH to listen on a Unix socket",
    parse: (value) => ({ listen: parseListen(value) }),
  },
  {
    name: "listen-mode",
    placeholder: "MODE",
    default: "",
    help: "permissions of the Unix socket, in octal; else the umask decides",
    parse: (value) => ({ listenMode: parseMode(value) }),
  },
  {
    name: "tls-cert",
    placeholder: "FILE",
    default: "",
    help: "certificate for clients, PEM, with those that lead to its authority",
    parse: (value) => ({ tlsCert: value === "" ? undefined : value }),
  },
  {
    name: "tls-key",
    placeholder: "FILE",
    default: "",
    help: "private key of the certificate, PEM",
    parse: (value) => ({ tlsKey: value === "" ? undefined : value }),
  },
  {
    name: "head-timeout",
    placeholder: "SECONDS",
    default: "10",
    help:
      "for a client to send the head of its request (engine stream; Deno has no such limit)",
    parse: (value) => ({ headTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "ping",
    short: "k",
    placeholder: "SECONDS",
    default: "30",
    help:
      "seconds without traffic from a client before it is sent a ping; one that is silent for as long again is dropped; 0: never",
    parse: (value) => ({ ping: parseSeconds(value) }),
  },
  {
    name: "backend",
    short: "b",
    placeholder: "BACKEND",
    default: "defaultpeer",
    help:
      "peer discovery backend: a built-in one, a plugin's name, or the path or URL of a plugin's module",
    parse: (value) => ({ backend: parseName(value) }),
  },
  {
    name: "engine",
    placeholder: "ENGINE",
    default: "native",
    help:
      "WebSocket engine: native (Deno.upgradeWebSocket), or stream (our own, which reads a client no faster than its peer takes)",
    parse: (value) => ({ engine: parseChoice(value, ["native", "stream"]) }),
  },
  {
    name: "origin",
    placeholder: "ORIGIN,...",
    default: "*",
    help: "allowed values of the Origin header, others get 403; *: any",
    parse: (value) => ({ origin: parseOrigin(value) }),
  },
  {
    name: "connect-timeout",
    placeholder: "SECONDS",
    default: "10",
    help: "for the backend's answer and the peer's connection, together",
    parse: (value) => ({ connectTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "max-message",
    placeholder: "BYTES",
    default: "16777216",
    help:
      "largest message from a client, and most that a framing function may hold back",
    parse: (value) => ({ maxMessage: parseInteger(value, 1, 2 ** 30) }),
  },
  {
    name: "max-buffer",
    placeholder: "BYTES",
    default: "67108864",
    help: "bytes from a client that may wait for its peer",
    parse: (value) => ({ maxBuffer: parseInteger(value, 1, 2 ** 40) }),
  },
  {
    name: "max-connections",
    placeholder: "NUMBER",
    default: "0",
    help: "further connections get 503; 0: no limit",
    parse: (value) => ({ maxConnections: parseInteger(value, 0, 2 ** 31) }),
  },
  {
    name: "max-connections-per-address",
    placeholder: "NUMBER",
    default: "0",
    help: "further ones of a client (IPv6: of a /64) get 503; 0: no limit",
    parse: (value) => ({
      maxConnectionsPerAddress: parseInteger(value, 0, 2 ** 31),
    }),
  },
  {
    name: "idle-timeout",
    placeholder: "SECONDS",
    default: "0",
    help: "without traffic, either way, before a WebSocket is closed; 0: never",
    parse: (value) => ({ idleTimeout: parseSeconds(value) }),
  },
  ...networkOptions,
  {
    name: "drain-timeout",
    placeholder: "SECONDS",
    default: "5",
    help: "seconds that a shutdown waits for open connections",
    parse: (value) => ({ drainTimeout: parseSeconds(value) }),
  },
  {
    name: "plugin-timeout",
    placeholder: "SECONDS",
    default: "5",
    help:
      "longest that a plugin may be busy without an answer; it is started again then",
    parse: (value) => ({ pluginTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "log",
    placeholder: "LEVEL",
    default: "info",
    help: "least severe level that is logged: error, warn, info or debug",
    parse: (value) => ({
      log: parseChoice(value, ["error", "warn", "info", "debug"]),
    }),
  },
  {
    name: "log-format",
    placeholder: "FORMAT",
    default: "text",
    help: "format of the log, on stderr: text or json",
    parse: (value) => ({ logFormat: parseChoice(value, ["text", "json"]) }),
  },
];

/** The `[core]` options as they are if none is given. */
export const defaultCoreConfig: CoreConfig = Object.freeze(
  Object.assign(
    {},
    ...coreOptions.map((option) => option.parse(option.default)),
  ),
);

/**
 * Formats where the server listens, as the `listen` option takes it, with the
 * port behind a host.
 *
 * @param listen Where.
 * @param port Listen port.
 * @returns `HOST:PORT` or `unix:PATH`.
 */
export function formatListen(listen: ListenAddress, port: number): string {
  return listen.transport === "unix"
    ? `unix:${listen.path}`
    : `${formatHost(listen.hostname)}:${port}`;
}

function parseListen(value: string): ListenAddress {
  if (value.startsWith("unix:")) {
    const path = value.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (path === "" || path.includes("\0")) {
      throw new SyntaxError("it needs the path of a socket after unix:");
    }
    return { transport: "unix", path };
  }
  const hostname = value.replace(/^\[(.*)\]$/, "$1");
  if (!/^[^\s/[\]]+$/.test(hostname)) {
    throw new SyntaxError(`it is a host or unix:PATH, not "${value}"`);
  }
  return { transport: "tcp", hostname };
}

function parseOrigin(value: string): "*" | readonly string[] {
  const origins = value.split(",").map((origin) => origin.trim())
    .filter((origin) => origin !== "");
  if (origins.length === 0) throw new SyntaxError("it names no origin");
  return origins.includes("*") ? "*" : origins;
}
