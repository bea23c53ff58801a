/**
 * The table of the `[core]` options: names, defaults, meanings and parsers. Some
 * are in a file for their theme.
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
import { parseOrigin } from "./origin.ts";
import { type PageConfig, pageOptions } from "./page_options.ts";

export type { LogLevel } from "../log/log.ts";
export type { ListenAddress } from "../net/address.ts";

/** The `[core]` options, parsed. */
export interface CoreConfig
  extends ListenConfig, LimitConfig, NetworkConfig, PageConfig {
  /** Seconds without traffic from a client before it is sent a ping; 0: never. */
  readonly ping: number;
  /** Seconds of silence before TCP asks a peer or client whether it is there; 0: never. */
  readonly keepAlive: number;
  /** Name of a built-in backend or a plugin, or path or URL of a plugin. */
  readonly backend: string;
  /** The WebSocket engine. */
  readonly engine: "stream" | "native";
  /** Allowed values of `Origin`, or `*`. */
  readonly origin: "*" | readonly string[];
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
const logLevels = ["error", "warn", "info", "debug"] as const;
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
      "seconds without traffic from a client before it is sent a ping; one that is silent for as long again, and takes nothing, is dropped; 0: never",
    details:
      "A client that takes what it is sent is alive, however slowly it does: for each kilobyte that it may not have taken yet, it has a second more to answer. The ping finds clients that are gone without a word, and keeps proxies and firewalls from taking a quiet connection for a dead one.",
    example: "45",
    parse: (value) => ({ ping: parseSeconds(value) }),
  },
  {
    name: "keep-alive",
    placeholder: "SECONDS",
    default: "60",
    help:
      "seconds of silence after which TCP asks whether a peer or client is still there; 0: never",
    details:
      "It finds peers that are gone without a word: their machine lost power, a firewall forgot the connection, or they never accepted it. How often the system asks again before it gives the connection up, and the WebSocket is closed with 1011, is up to the system: Linux asks nine times, every 75 seconds (`net.ipv4.tcp_keepalive_probes` and `tcp_keepalive_intvl`). It holds for TCP and TLS, to peers with either engine, and to clients with `stream`; on Windows the first question comes after the system's own two hours.",
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
      "peer discovery backend: a built-in one, a plugin's name, or the path or URL of a plugin's module",
    details:
      "It picks the peer of each connection; the [backends](../backends/README.md) have a page of their own. On the command line it unloads the one that is loaded, with all of its configuration: `-c host=a -b file -c path=b` configures `file` with `path` alone. In a file it holds for the section `[backend]`, wherever that stands.",
    example: "file",
    parse: (value) => ({ backend: parseName(value) }),
  },
  {
    name: "engine",
    placeholder: "ENGINE",
    value: engines,
    default: "stream",
    help:
      "WebSocket engine: stream (our own, which reads a client no faster than its peer takes), or native (Deno.upgradeWebSocket)",
    details:
      "`native` cannot pause a client: one that sends faster than its peer takes is cut off, with 1013. [The two engines](engines.md) compares them. A reload cannot change it.",
    example: "stream",
    parse: (value) => ({ engine: parseChoice(value, engines) }),
  },
  {
    name: "origin",
    placeholder: "ORIGIN,...",
    default: "*",
    help: "allowed values of the Origin header, others get 403; *: any",
    details:
      "A browser tells honestly which site's page opens a WebSocket; other clients can claim what they like. A request without an `Origin` is refused, too, unless any is allowed.\n\n" +
      "An origin is a scheme, a host and, unless it is the scheme's own, a port, spelled as browsers send it: in lower case, without a path or a slash at its end. Another spelling is an error that says the right one. The word `null` stands for pages without an origin of their own, such as those of files.",
    example: "https://app.example.com,https://example.com",
    parse: (value) => ({ origin: parseOrigin(value) }),
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
      "`info` has a line for each connection that is opened, closed or refused; no level has one for each message. A reload cannot change it.",
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
      "`json` is an object on a line for each event. Either format escapes what could command a terminal. A reload cannot change it.",
    example: "json",
    parse: (value) => ({ logFormat: parseChoice(value, logFormats) }),
  },
  {
    name: "log-file",
    placeholder: "FILE",
    value: "file",
    default: "",
    help: "file that the log is added to, opened again by SIGHUP; else stderr",
    details:
      "It is made, readable by its owner and group, if there is none. SIGHUP opens it again by its name, so that [logrotate](operations.md#log-files) can move it away. Neither a file nor stderr holds the server up: lines that come faster than they can be written wait, 256 KiB of them in each thread, and are dropped then; once there is room again, the log says how many were. With `deno run`, it needs `--allow-write` for the file. A reload cannot change it.",
    example: "/var/log/websocksy/websocksy.log",
    parse: (value) => ({ logFile: value === "" ? undefined : value }),
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
