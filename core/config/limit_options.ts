/**
 * The `[core]` options about how long, how large and how many.
 *
 * @module
 */

import { parseRedisUrl, type RedisLocation } from "../redis/location.ts";
import type { AccessConfig } from "./access_options.ts";
import type { CoreOption } from "./option.ts";
import { parseChoice, parseInteger, parseSeconds } from "./option_values.ts";

/** These options, parsed. */
export interface LimitConfig {
  /** Seconds for a request's head (`stream` only). */
  readonly headTimeout: number;
  /** Seconds for the backend's answer and the peer's connection, together. */
  readonly connectTimeout: number;
  /**
   * Most bytes of a message from a client, and of what a framing function may
   * hold back.
   */
  readonly maxMessage: number;
  /** Bytes from a client that may wait for its peer. */
  readonly maxBuffer: number;
  /** How hard messages are compressed, 1 to 9; 0: not at all. */
  readonly compression: number;
  /** Bytes that compressing may take for one connection. */
  readonly compressionMemory: number;
  /** Most connections at once; 0: no limit. */
  readonly maxConnections: number;
  /** Most connections of one client's address at once; 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** Where instances count connections together; absent: each counts its own. */
  readonly limits: RedisLocation | undefined;
  /** File of the authorities that may sign the certificate there; absent: the public ones. */
  readonly limitsCa: string | undefined;
  /** Whether clients come in that cannot be counted there. */
  readonly limitsOpen: boolean;
  /** Seconds without traffic, either way, before a WebSocket is closed; 0: never. */
  readonly idleTimeout: number;
  /** Seconds that a shutdown waits for open connections. */
  readonly drainTimeout: number;
  /** Seconds that a plugin may be busy without an answer. */
  readonly pluginTimeout: number;
}

/** These options. */
export const limitOptions: readonly CoreOption<LimitConfig>[] = [
  {
    name: "head-timeout",
    placeholder: "SECONDS",
    default: "10",
    help:
      "seconds for a client to send the head of its request (engine stream; Deno has no such limit)",
    details:
      "The TLS handshake before the head has the same limit. A client that takes longer gets 408; during the TLS handshake, it is disconnected. `engine = native` has neither limit, so a client can hold a connection without sending anything: where you do not trust the clients, use `stream`, or put a proxy in front. A client that reads nothing of an answer for six times as long is disconnected, too, and the file of the page is closed; with `native`, the file is closed after a minute, and the connection stays open. With either engine, a head may have 64 KiB. A reload cannot change it.",
    example: "5",
    parse: (value) => ({ headTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "connect-timeout",
    placeholder: "SECONDS",
    default: "10",
    help:
      "seconds for the backend's answer and the peer's connection, together",
    details:
      "The server accepts the WebSocket only when it has connected to the peer. If that takes longer, the client gets 504.",
    example: "3",
    parse: (value) => ({ connectTimeout: parseSeconds(value, 0.001) }),
  },
  {
    name: "max-message",
    placeholder: "BYTES",
    default: "16777216",
    help:
      "most bytes of a message from a client, and of what a framing function may hold back",
    details:
      "A larger message closes the WebSocket with 1009. `engine = native` ends a connection at 64 MiB, even if this option allows more.",
    example: "1048576",
    parse: (value) => ({ maxMessage: parseInteger(value, 1, 2 ** 30) }),
  },
  {
    name: "max-buffer",
    placeholder: "BYTES",
    default: "67108864",
    help: "bytes from a client that may wait for its peer",
    details:
      "Each message counts as 64 bytes more than its length. If more is waiting, the WebSocket is closed with 1013. Only `engine = native` needs it; `stream` reads a client no faster than its peer takes.",
    example: "8388608",
    parse: (value) => ({ maxBuffer: parseInteger(value, 1, 2 ** 40) }),
  },
  {
    name: "compression",
    placeholder: "off|on|LEVEL",
    value: ["off", "on"],
    default: "off",
    help:
      "compress messages (permessage-deflate) for clients that offer it: off, on, or a level from 1, the fastest, to 9, the smallest (engine stream)",
    details:
      "`on` is level 6. At each level from 2 on, text becomes about as small as with zlib at that level; level 1 is several times as fast as level 2, and what it sends up to a half larger. Browsers offer compression with each WebSocket. Text such as JSON or log lines becomes three to ten times smaller, and costs the server some processor time for each megabyte: see [performance](performance.md#compression). Messages shorter than 32 bytes or longer than 2 MiB, and those that would not become smaller, are sent as they are. From a client, a message that would become larger than `max-message` is refused with 1009 before it is decompressed.\n\n" +
      "Where a message has both a secret and text that an attacker chooses, its length tells something about the secret: keep it off there. `engine = native` does not have it.",
    example: "on",
    parse: (value) => ({ compression: parseCompression(value) }),
  },
  {
    name: "compression-memory",
    placeholder: "BYTES",
    default: "393216",
    help: "bytes that compressing may take for one connection",
    details:
      "The default is enough for the best compression in both directions. With less, the windows are smaller. Below some 150000, each message of the server is compressed for itself, which makes short messages hardly smaller, and below some 12000, or with 0, each of the client, too: then a connection takes no memory for it. The server frees its own part, seven eighths, for other connections when a client has been quiet for the time of a `ping`.",
    example: "200000",
    parse: (value) => ({
      compressionMemory: parseInteger(value, 0, 2 ** 30),
    }),
  },
  {
    name: "max-connections",
    placeholder: "NUMBER",
    default: "0",
    help: "further connections get 503; 0: no limit",
    details:
      "Each connection uses two file descriptors, one for the client and one for the peer: set it to less than half of the system's limit on open files.",
    example: "400",
    parse: (value) => ({ maxConnections: parseInteger(value, 0, 2 ** 31) }),
  },
  {
    name: "max-connections-per-address",
    placeholder: "NUMBER",
    default: "0",
    help: "further ones of a client (IPv6: of a /64) get 503; 0: no limit",
    details:
      "With `engine = stream`, every TCP connection counts from the moment it is accepted, whether it carries a WebSocket, requests for pages, or nothing. One too many gets 503; with TLS, or where there are many of them, it is closed without an answer. Browsers open up to six connections for pages beside their WebSockets. `engine = native` counts only WebSockets: Deno accepts the other connections by itself.\n\n" +
      "Connections from a proxy in `trusted-proxy` do not count for the proxy's address. With either engine, WebSockets count for the client's address that the proxy names; the proxy has to limit connections without a request. Clients on a Unix socket have no address, and are not counted.",
    example: "20",
    parse: (value) => ({
      maxConnectionsPerAddress: parseInteger(value, 0, 2 ** 31),
    }),
  },
  {
    name: "limits",
    placeholder: "URL",
    default: "",
    help:
      "Redis in which several instances count connections together: redis://HOST, rediss://HOST with TLS, or unix:PATH",
    details:
      "`max-connections-per-address` and, in sections `[access]`, `max-connections-per-user` then hold for all instances that name the same database: see [limits of the whole fleet](scaling.md#limits-of-the-whole-fleet). Each WebSocket that has such a limit costs one exchange with Redis when it is opened, and one when it is closed. `max-connections`, and connections without a WebSocket, are counted by each instance. The whole form is `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`; a Unix socket takes `?db=DATABASE`, `user=USER` and `password=PASSWORD`, with `&` between them. Passwords do not appear in the log; on the command line other users of the machine see them, so put them into a file. A reload cannot change it.",
    example: "redis://10.0.0.5",
    parse: (value) => ({ limits: value === "" ? undefined : parseUrl(value) }),
  },
  {
    name: "limits-ca",
    placeholder: "FILE",
    value: "file",
    default: "",
    help:
      "authorities, PEM, that may sign the certificate of limits = rediss://, beside the public ones",
    details: "A reload cannot change it.",
    example: "/etc/websocksy/redis-ca.pem",
    parse: (value) => ({ limitsCa: value === "" ? undefined : value }),
  },
  {
    name: "limits-open",
    placeholder: "BOOLEAN",
    value: ["true", "false"],
    default: "false",
    help:
      "whether clients may come in while Redis cannot count them: true (each instance then counts its own), or false (they get 503)",
    details:
      "It is only about clients that have a limit which `limits` counts; others never depend on Redis. Those that come in uncounted are counted as soon as Redis is back.",
    example: "true",
    parse: (value) => ({
      limitsOpen: parseChoice(value, ["true", "false"]) === "true",
    }),
  },
  {
    name: "idle-timeout",
    placeholder: "SECONDS",
    default: "0",
    help:
      "seconds without traffic, either way, before a WebSocket is closed; 0: never",
    details:
      "Traffic is a message from the client or a read from the peer; pings do not count. The WebSocket is closed with 1001, up to a quarter of the time later.",
    example: "600",
    parse: (value) => ({ idleTimeout: parseSeconds(value) }),
  },
  {
    name: "drain-timeout",
    placeholder: "SECONDS",
    default: "5",
    help: "seconds that a shutdown waits for open connections",
    details:
      "A shutdown begins with SIGINT or SIGTERM: the server sends what is buffered, and closes every WebSocket with 1001. After this time, it cuts off the connections that are still open. Half a second later, the program exits even if something hangs: a plugin, or a log whose reader has stopped. Where even that is not possible, it is killed, and the exit status is 137: within a second after `drain-timeout` if its thread is stuck, as in a plugin with `trust = full` that loops, and within three on a machine that has little time for it. With telemetry exported, the program may wait longer, for a receiver that does not answer.",
    example: "20",
    parse: (value) => ({ drainTimeout: parseSeconds(value) }),
  },
  {
    name: "plugin-timeout",
    placeholder: "SECONDS",
    default: "5",
    help:
      "seconds that a plugin may be busy without an answer; then it is started again",
    details:
      "The connections that waited for the plugin fail with 500 or 504, or with close code 1011. A plugin with `trust = full` runs in the program's own thread, and has no such limit.",
    example: "1",
    parse: (value) => ({ pluginTimeout: parseSeconds(value, 0.001) }),
  },
];

/** The level of `on`, which is zlib's default. */
const defaultLevel = 6;

function parseCompression(value: string): number {
  if (value === "off") return 0;
  if (value === "on") return defaultLevel;
  if (!/^[1-9]$/.test(value)) {
    throw new SyntaxError(
      `it is off, on or a level from 1 to 9, not "${value}"`,
    );
  }
  return Number(value);
}

function parseUrl(value: string): RedisLocation {
  const location = parseRedisUrl(value);
  if (location.user === undefined || location.password !== undefined) {
    return location;
  }
  throw new SyntaxError("its user has no password");
}

/**
 * Finds one of the options about limits of several instances that cannot be
 * used.
 *
 * @param config The options.
 * @param sections The access sections.
 * @returns Its name, and why.
 */
export function findLimitsConflict(
  { limits, limitsCa, limitsOpen, maxConnectionsPerAddress }: LimitConfig,
  sections: Iterable<Pick<AccessConfig, "maxConnectionsPerUser">>,
): readonly [name: string, why: string] | undefined {
  if (limitsCa !== undefined && limits?.connect.transport !== "tls") {
    return ["limits-ca", "it needs limits = rediss://, too"];
  }
  if (limits === undefined) {
    return limitsOpen ? ["limits-open", "it needs limits, too"] : undefined;
  }
  const isLimited = maxConnectionsPerAddress > 0 ||
    Array.from(sections).some((section) =>
      section.maxConnectionsPerUser !== undefined
    );
  return isLimited ? undefined : [
    "limits",
    "it needs max-connections-per-address, or max-connections-per-user in a section [access], too",
  ];
}
