/**
 * Decides which peers may be opened, whatever a backend answers.
 *
 * @module
 */

import {
  type InternetAddress,
  isAbstract,
  type PeerAddress,
  type UnixAddress,
} from "./address.ts";
import {
  type IpAddress,
  isInNetwork,
  type Network,
  parseNetwork,
} from "./ip_address.ts";

/** The peers that may be opened: any, or those that match one of the patterns. */
export type AllowedPeers = "*" | readonly PeerPattern[];

/** Some peers. */
export type PeerPattern = InternetPattern | UnixPattern;

/** Peers that have a host and a port. */
export interface InternetPattern {
  /** Their transport; `*`: any. */
  readonly transport: "tcp" | "tls" | "udp" | "*";
  /** Their addresses, or their name, in lower case; `*`: any. */
  readonly host: Network | string;
  /** Their ports, the last one included. */
  readonly ports: readonly [first: number, last: number];
}

/** Peers on Unix sockets. */
export interface UnixPattern {
  /** Their transport; `*`: any. */
  readonly transport: "unix" | "unix-dgram" | "*";
  /** Matches their paths. */
  readonly path: RegExp;
}

const INTERNET =
  /^(\[[0-9a-f:.]+(?:\/\d+)?\]|[^\s:/?#@[\]]+(?:\/\d+)?)(?::(?:(\d+)(?:-(\d+))?|\*))?$/i;

/**
 * Parses a pattern for the peers that may be opened.
 *
 * @param value One pattern: `*` for any peer, or a scheme or `*`, `://`, and
 * either a host (name, IP address or network, IPv6 in brackets, or `*`) with
 * perhaps `:` and a port, `FIRST-LAST` or `*`; or a path from the root, or the
 * `@NAME` of an abstract socket, in which `*` stands for any characters but `/`, and `**` for any characters.
 * @returns The peers.
 * @throws {SyntaxError | RangeError} If the pattern is not valid.
 *
 * @example Usage
 * ```ts
 * import { isAllowedHost, parseAllowedPeers } from "./allowed_peers.ts";
 * import { parseIp } from "./ip_address.ts";
 * import { assert } from "@std/assert";
 *
 * const allowed = parseAllowedPeers("tcp://10.0.0.0/8:5900-5999");
 * const address = { transport: "tcp", hostname: "vnc.test", port: 5901 } as const;
 *
 * assert(isAllowedHost(allowed, address, parseIp("10.1.2.3")));
 * assert(!isAllowedHost(allowed, address, parseIp("127.0.0.1")));
 * ```
 */
export function parseAllowedPeers(value: string): AllowedPeers {
  if (value === "*") return "*";
  const match = /^(\*|tcp|tls|udp|unix|unix-dgram):\/\/(.+)$/i.exec(value);
  if (match === null) {
    throw new SyntaxError(
      `it is *, or a scheme (tcp, tls, udp, unix, unix-dgram or *), "://" and a host or path, not "${value}"`,
    );
  }
  const transport = match[1]!.toLowerCase() as PeerAddress["transport"] | "*";
  const rest = match[2]!;
  if (transport === "unix" || transport === "unix-dgram") {
    return [{ transport, path: parsePath(rest, value) }];
  }
  return transport === "*" && /^[/@]/.test(rest)
    ? [{ transport, path: parsePath(rest, value) }]
    : [{ transport, ...parseInternet(rest, value) }];
}

/**
 * Adds peers to those that may be opened.
 *
 * @param some Some of them.
 * @param others The others.
 * @returns All of them.
 */
export function joinAllowedPeers(
  some: AllowedPeers,
  others: AllowedPeers,
): AllowedPeers {
  return some === "*" || others === "*" ? "*" : [...some, ...others];
}

function parseInternet(
  rest: string,
  value: string,
): Pick<InternetPattern, "host" | "ports"> {
  const match = INTERNET.exec(rest);
  if (match === null) {
    throw new SyntaxError(
      `its host is a name, an address, a network or *, and its port a number, a range or *, in "${value}"`,
    );
  }
  const [, host, first = "1", last = match[2] ?? "65535"] = match;
  const ports = [Number(first), Number(last)] as const;
  if (ports[0] < 1 || ports[1] > 65535 || ports[0] > ports[1]) {
    throw new RangeError(`its ports are not in 1 to 65535, in "${value}"`);
  }
  return { host: parseHost(host!, value), ports };
}

function parseHost(text: string, value: string): Network | string {
  if (/^[[\d.]*\d$|[/[]/.test(text)) return parseNetwork(text);
  if (text !== "*" && text.includes("*")) {
    throw new SyntaxError(`* stands for a whole host alone, in "${value}"`);
  }
  return toName(text);
}

/** Names are compared without case, and without the root's dot at their end. */
function toName(hostname: string): string {
  return hostname.toLowerCase().replace(/\.$/, "");
}

function parsePath(path: string, value: string): RegExp {
  if (!/^[/@]/.test(path) || path.includes("\0")) {
    throw new SyntaxError(
      `its path does not start with "/" or "@", in "${value}"`,
    );
  }
  // The name of an abstract socket is not a path: dots and slashes are literal.
  if (!isAbstract(path) && /\/\.\.?(\/|$)|\/\//.test(path)) {
    throw new SyntaxError(
      `its path has "." or ".." or "//" in it, which no real path has, in "${value}"`,
    );
  }
  const source = path.split(/(\*+)/).map((part) =>
    part === "*"
      ? "[^/]*"
      : part.startsWith("*")
      ? ".*"
      : part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&")
  ).join("");
  return new RegExp(`^${source}$`, "s");
}

/**
 * Reports whether a peer with a host may be opened.
 *
 * @param allowed The peers that may be.
 * @param address The peer, as the backend named it.
 * @param ip The IP address to connect to; absent: checks whether the name
 * allows the peer at any address.
 * @returns Whether it may.
 */
export function isAllowedHost(
  allowed: AllowedPeers,
  address: InternetAddress,
  ip: IpAddress | undefined,
): boolean {
  if (allowed === "*") return true;
  const { transport, hostname, port = 0 } = address;
  const name = toName(hostname);
  return allowed.some((pattern) => {
    if ("path" in pattern) return false;
    const { host, ports } = pattern;
    const isHost = typeof host === "string"
      ? host === "*" || host === name
      : ip !== undefined && isInNetwork(host, ip);
    return isHost && isOneOf(pattern.transport, transport) &&
      port >= ports[0] && port <= ports[1];
  });
}

/**
 * Reports whether a peer on a Unix socket may be opened.
 *
 * @param allowed The peers that may be.
 * @param address The peer; its path is a real one, without links and `..`.
 * @returns Whether it may.
 */
export function isAllowedPath(
  allowed: AllowedPeers,
  { transport, path }: UnixAddress,
): boolean {
  return allowed === "*" ||
    allowed.some((pattern) =>
      "path" in pattern && isOneOf(pattern.transport, transport) &&
      pattern.path.test(path)
    );
}

function isOneOf(pattern: string, transport: string): boolean {
  return pattern === "*" || pattern === transport;
}
