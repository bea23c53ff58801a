/**
 * Parses and formats the addresses of peers and clients.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import { parseZonedIp } from "./ip_address.ts";

/** The address of a peer. */
export type PeerAddress = StreamAddress | DatagramAddress;

/** The address of a peer that is a stream. */
export type StreamAddress =
  | InternetAddress<"tcp">
  | InternetAddress<"tls">
  | UnixAddress<"unix">;

/** The address of a peer that takes datagrams. */
export type DatagramAddress =
  | InternetAddress<"udp">
  | UnixAddress<"unix-dgram">;

/** The address of a TCP, TLS or UDP peer. */
export interface InternetAddress<
  Transport extends "tcp" | "tls" | "udp" = "tcp" | "tls" | "udp",
> {
  /** Transport and, for `tls`, encryption on top of TCP. */
  readonly transport: Transport;
  /** Host name or IP address; IPv6 literals without brackets. */
  readonly hostname: string;
  /** Port, 1 to 65535; absent if the text named none. */
  readonly port?: number;
}

/** The address of a peer on a Unix socket. */
export interface UnixAddress<
  Transport extends "unix" | "unix-dgram" = "unix" | "unix-dgram",
> {
  /** Stream or datagram mode. */
  readonly transport: Transport;
  /** Path of the socket; `@NAME` is an abstract socket of Linux. */
  readonly path: string;
}

/** Where the server listens. A path may be that of an abstract socket. */
export type ListenAddress =
  | { readonly transport: "tcp"; readonly hostname: string }
  | { readonly transport: "unix"; readonly path: string };

const ADDRESS = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i;
const HOST_AND_PORT =
  /^(\[[0-9a-f:.%a-z]+\]|[^\s\p{Cc}:/?#@[\]]+)(?::(\d+))?\/?$/iu;

/** Options for {@linkcode parseAddress}. */
export interface ParseAddressOptions {
  /**
   * Whether the text may contain a port. If not, a colon in it always belongs
   * to an IPv6 literal.
   *
   * @default {true}
   */
  readonly hasPort?: boolean;
}

/**
 * Parses the address of a peer.
 *
 * @param text `tcp://HOST[:PORT]`, `tls://HOST[:PORT]`, `udp://HOST[:PORT]`,
 * `unix://PATH` or `unix-dgram://PATH`; `@NAME` in place of a path is an
 * abstract socket of Linux. IPv6 literals are in brackets, or without where
 * that is not ambiguous. Without a scheme it is `tcp`.
 * @param options Whether it may contain a port.
 * @returns The address.
 * @throws {SyntaxError} If the text is not such an address.
 *
 * @example Usage
 * ```ts
 * import { parseAddress } from "./address.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseAddress("tcp://[::1]:6379"), {
 *   transport: "tcp",
 *   hostname: "::1",
 *   port: 6379,
 * });
 * ```
 */
export function parseAddress(
  text: string,
  options: ParseAddressOptions = {},
): PeerAddress {
  const match = ADDRESS.exec(text);
  const transport = match === null ? "tcp" : match[1]!.toLowerCase();
  const rest = match === null ? text : match[2]!;
  switch (transport) {
    case "tcp":
    case "tls":
    case "udp":
      return parseInternetAddress(transport, rest, text, options);
    case "unix":
    case "unix-dgram":
      if (rest === "" || rest === "@" || rest.includes("\0")) {
        throw new SyntaxError(
          `Cannot parse peer address "${text}": it needs the path of a socket`,
        );
      }
      return { transport, path: rest };
    default:
      throw new SyntaxError(
        `Cannot parse peer address "${text}": the scheme is none of tcp, tls, udp, unix, unix-dgram`,
      );
  }
}

/** A scheme without exactly two slashes behind it, as `listen` takes `unix:PATH`. */
const FEW_SLASHES =
  /^(?:(tcp|tls|udp):(?:\/|\/{3,})(?=[\w[])|(unix|unix-dgram):(?=[/@]))(.+)$/i;

function parseInternetAddress(
  transport: InternetAddress["transport"],
  rest: string,
  text: string,
  { hasPort = true }: ParseAddressOptions,
): InternetAddress {
  const bare = rest.replace(/\/$/, "");
  if (isBareIpv6(bare)) {
    if (!hasPort || !isAmbiguous(bare)) return { transport, hostname: bare };
    throw new SyntaxError(
      `Cannot parse peer address "${text}": whether its last number is a port is not clear, write ${transport}://${
        bracketLast(bare)
      }, or the whole in brackets`,
    );
  }
  const match = HOST_AND_PORT.exec(rest);
  if (match === null) {
    const meant = FEW_SLASHES.exec(text);
    if (meant !== null) {
      throw new SyntaxError(
        `Cannot parse peer address "${text}": write ${meant[1] ?? meant[2]}://${
          meant[3]
        }`,
      );
    }
    throw new SyntaxError(
      `Cannot parse peer address "${text}": it is not ${transport}://HOST[:PORT], with IPv6 literals in brackets`,
    );
  }
  const hostname = match[1]!.replace(/^\[|\]$/g, "");
  if (match[2] === undefined) return { transport, hostname };
  return { transport, hostname, port: parsePort(match[2], text) };
}

/** An IPv6 literal without brackets, with or without a zone: it has two colons. */
function isBareIpv6(text: string): boolean {
  return /^[^%:]*:[^%:]*:[^%]*(?:%[^%:/?#@[\]\s]+)?$/.test(text) &&
    parseZonedIp(text) !== undefined;
}

/** Whether an IPv6 literal could be a shorter one followed by a port. */
function isAmbiguous(literal: string): boolean {
  const [, host, port] = /^(.*):(\d+)$/.exec(literal) ?? [];
  return host !== undefined && isBareIpv6(host) && Number(port) >= 1 &&
    Number(port) <= 65535;
}

function bracketLast(literal: string): string {
  const colon = literal.lastIndexOf(":");
  return `[${literal.slice(0, colon)}]${literal.slice(colon)}`;
}

function parsePort(digits: string, text: string): number {
  const port = Number(digits);
  if (port < 1 || port > 65535) {
    throw new SyntaxError(
      `Cannot parse peer address "${text}": port ${digits} is not in 1 to 65535`,
    );
  }
  return port;
}

/**
 * Reports whether the path of a Unix socket is the name of an abstract socket,
 * which is not a file.
 *
 * @param path The path.
 * @returns Whether it is; a file with such a name is `./@NAME`.
 */
export function isAbstract(path: string): boolean {
  return path.startsWith("@");
}

/**
 * Returns the path of a Unix socket as system calls expect it.
 *
 * @param path The path; `@NAME` for an abstract socket.
 * @returns The path.
 */
export function toSystemPath(path: string): string {
  return isAbstract(path) ? `\0${path.slice(1)}` : path;
}

/**
 * Returns the path of a Unix socket as a user writes it.
 *
 * @param path The path as system calls return it.
 * @returns The path; `@NAME` for an abstract socket.
 */
export function fromSystemPath(path: string): string {
  return path.replace(/^\0/, "@");
}

/**
 * Formats the address of a peer, as {@linkcode parseAddress} takes it.
 *
 * @param address The address.
 * @returns Its text, with a scheme.
 */
export function formatAddress(address: PeerAddress): string {
  if ("path" in address) return `${address.transport}://${address.path}`;
  const host = formatHost(address.hostname);
  const port = address.port === undefined ? "" : `:${address.port}`;
  return `${address.transport}://${host}${port}`;
}

/**
 * Formats a host as it precedes a port.
 *
 * @param hostname Host name or IP address.
 * @returns The same, IPv6 literals in brackets.
 */
export function formatHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/**
 * Reports whether a peer is a stream peer.
 *
 * @param address Its address.
 * @returns False if it takes datagrams.
 */
export function isStreamAddress(
  address: PeerAddress,
): address is StreamAddress {
  return address.transport !== "udp" && address.transport !== "unix-dgram";
}

/**
 * Reports whether the text of an address names its transport.
 *
 * @param text Address, as for {@linkcode parseAddress}.
 * @returns False if `tcp` is assumed.
 */
export function hasScheme(text: string): boolean {
  return ADDRESS.test(text);
}

/**
 * Makes the address of a client from that of its socket.
 *
 * @param hostname IP address; an IPv4 address may be mapped into IPv6, as with
 * a socket that listens for both (RFC 4291 section 2.5.5.2).
 * @param port Port.
 * @returns The address; a mapped IPv4 address as IPv4.
 */
export function toInternetRemote(
  hostname: string,
  port: number,
): RemoteAddress {
  return { address: hostname.replace(/^::ffff:(?=[\d.]+$)/i, ""), port };
}

/**
 * Formats the address of a client.
 *
 * @param remote The address.
 * @returns `HOST:PORT`, or the path of a Unix socket.
 */
export function formatRemote({ address, port }: RemoteAddress): string {
  return port === undefined ? address : `${formatHost(address)}:${port}`;
}
