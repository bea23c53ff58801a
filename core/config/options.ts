/**
 * The table of the `[core]` options: names, defaults, meanings and parsers. It
 * includes the tables of the other files of this folder.
 *
 * @module
 */

import type { LogLevel } from "../log/log.ts";
import { formatHost, type ListenAddress } from "../net/address.ts";
import { type LimitConfig, limitOptions } from "./limit_options.ts";
import { type ListenConfig, listenOptions } from "./listen_options.ts";
import { type NetworkConfig, networkOptions } from "./network_options.ts";
import type { CoreOption as Option } from "./option.ts";
import {
  parseChoice,
  parseInteger,
  parseName,
  parseSeconds,
} from "./option_values.ts";
import { type OperatorConfig, operatorOptions } from "./operator_options.ts";
import { parseOrigin } from "./origin.ts";
import { type PageConfig, pageOptions } from "./page_options.ts";

export type { LogLevel } from "../log/log.ts";
export type { ListenAddress } from "../net/address.ts";

/** The `[core]` options, parsed. */
export interface CoreConfig
  extends ListenConfig, LimitConfig, NetworkConfig, PageConfig, OperatorConfig {
  /** Seconds without traffic from a client before it is sent a ping; 0: never. */
  readonly ping: number;
  /** Seconds of silence before TCP probes a peer or client; 0: never. */
  readonly keepAlive: number;
  /** Name of a built-in backend or a plugin, or path or URL of a plugin. */
  readonly backend: string;
  /** The WebSocket engine. */
  readonly engine: "stream" | "native";
  /** Allowed values of `Origin`, or `*`. */
  readonly origin: "*" | readonly string[];
  /** Name of the access section that every request has to satisfy; absent: none. */
  readonly access: string | undefined;
  /** Least severe level that is logged. */
  readonly log: LogLevel;
  /** Format of the log's lines. */
  readonly logFormat: "text" | "json";
  /** File that the log is written to; absent: stderr. */
  readonly logFile: string | undefined;
}

/** A `[core]` option. */
export type CoreOption = Option<CoreConfig>;

const engines = ["stream", "native"] as const;
/** The levels of the log, the most severe first. */
export const logLevels = ["error", "warn", "info", "debug"] as const;
const logFormats = ["text", "json"] as const;

/** All `[core]` options, in the order of the documentation. */
export const coreOptions: readonly CoreOption[] = [
  ...listenOptions,
  {
    name: "ping",
    short: "k",
    placeholder: "SECONDS",
    default: "30",
    help:
      "seconds without traffic from a client before it is sent a ping; if it then sends and reads nothing for as long, it is disconnected; 0: never",
    details:
      "A client that reads slowly is not disconnected: for each kilobyte that it may not have read yet, it has one second more to answer. Pings find clients that have left without closing, and keep proxies and firewalls from dropping a quiet connection.",
    example: "45",
    parse: (value) => ({ ping: parseSeconds(value) }),
  },
  {
    name: "keep-alive",
    placeholder: "SECONDS",
    default: "60",
    help:
      "seconds of silence after which TCP probes a peer or client (keep-alive); 0: never",
    details:
      "It finds peers that have left without closing: their machine lost power, a firewall dropped the connection, or they never accepted it. The system decides how many probes it sends before it gives up and the WebSocket is closed with 1011: Linux sends nine, every 75 seconds (`net.ipv4.tcp_keepalive_probes` and `tcp_keepalive_intvl`). The option applies to TCP and TLS, to peers with either engine, and to clients with `stream`; on Windows the system sends the first probe after its own two hours.",
    example: "20",
    parse: (value) => ({ keepAlive: parseInteger(value, 0, 32767) }),
  },
  {
    name: "backend",
    short: "b",
    placeholder: "BACKEND",
    value: "backend",
    default: "defaultpeer",
    help:
      "backend that picks the peer: a built-in one, a plugin's name, or the path or URL of a plugin's module",
    details:
      "The backend picks the peer of each connection; see [backends](../backends/README.md). On the command line, the option discards the backend chosen before, with its options: `-c host=a -b file -c path=b` gives `file` only `path`. In a file, it applies to the section `[backend]`, wherever that section is.",
    example: "file",
    parse: (value) => ({ backend: parseName(value) }),
  },
  {
    name: "engine",
    placeholder: "ENGINE",
    value: engines,
    default: "stream",
    help:
      "WebSocket engine: stream (websocksy's own, which reads a client no faster than its peer takes), or native (Deno.upgradeWebSocket)",
    details:
      "`native` cannot pause a client: it closes the WebSocket with 1013 if a client sends faster than its peer takes. [The two engines](engines.md) compares them. A reload cannot change it.",
    example: "stream",
    parse: (value) => ({ engine: parseChoice(value, engines) }),
  },
  {
    name: "origin",
    placeholder: "ORIGIN,...",
    default: "*",
    help: "allowed values of the Origin header; others get 403; *: any",
    details:
      "A browser sends the origin of the page that opens a WebSocket; other clients can send any value. A request without an `Origin` is refused, too, unless all origins are allowed.\n\n" +
      "An origin is a scheme, a host and, unless it is the default of the scheme, a port, spelled as browsers send it: in lower case, without a path or a slash at its end. For another spelling, the error shows the right one. The word `null` stands for pages without an origin, such as those from `file:` URLs.",
    example: "https://app.example.com,https://example.com",
    parse: (value) => ({ origin: parseOrigin(value) }),
  },
  {
    name: "access",
    placeholder: "NAME",
    default: "",
    help:
      "the section [access NAME] that every request has to satisfy: who may come in, for how long, and how much",
    details:
      "It holds for WebSockets and for pages, with either engine; the page that `health` names is left out, for probes have no credentials. [Expose a service safely](expose-safely.md) shows how to use it.",
    example: "staff",
    parse: (value) => ({ access: value === "" ? undefined : value }),
  },
  ...limitOptions,
  ...networkOptions,
  ...pageOptions,
  {
    name: "log",
    placeholder: "LEVEL",
    value: logLevels,
    default: "info",
    help: "least severe level that is logged: error, warn, info or debug",
    details:
      "`info` logs a line for each connection that is opened, closed or refused; no level logs messages. A reload cannot change it.",
    example: "warn",
    parse: (value) => ({ log: parseChoice(value, logLevels) }),
  },
  {
    name: "log-format",
    placeholder: "FORMAT",
    value: logFormats,
    default: "text",
    help: "format of the log: text or json",
    details:
      "`json` writes each event as an object on one line. Both formats escape characters that could control a terminal. A reload cannot change it.",
    example: "json",
    parse: (value) => ({ logFormat: parseChoice(value, logFormats) }),
  },
  {
    name: "log-file",
    placeholder: "FILE",
    value: "file",
    default: "",
    help:
      "file to append the log to, opened again by SIGHUP; if not given, stderr",
    details:
      "If the file does not exist, it is created, readable by its owner and group. SIGHUP opens it again by its name, so that [logrotate](operations.md#log-files) can move it away. A slow file or stderr does not block the server: up to 2 MiB of lines wait in each thread, and further lines are dropped; when there is room again, the log says how many were. With `deno run`, it needs `--allow-write` for the file. A reload cannot change it.",
    example: "/var/log/websocksy/websocksy.log",
    parse: (value) => ({ logFile: value === "" ? undefined : value }),
  },
  ...operatorOptions,
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
