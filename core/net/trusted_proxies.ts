/**
 * The proxies whose header fields name the client.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import {
  type IpAddress,
  isInNetwork,
  type Network,
  parseNetwork,
  parseZonedIp,
} from "./ip_address.ts";

/** The proxies whose header fields name the client. */
export interface TrustedProxies {
  /** Their networks. */
  readonly networks: readonly Network[];
  /** Whether clients of a Unix socket are among them. */
  readonly unix: boolean;
}

/**
 * Parses the proxies that are trusted.
 *
 * @param value IP addresses, networks and the word `unix`, separated by commas;
 * or `none`.
 * @returns The proxies.
 * @throws {SyntaxError | RangeError} If one of them is not valid.
 */
export function parseTrustedProxies(value: string): TrustedProxies {
  const names = value.split(",").map((name) => name.trim())
    .filter((name) => name !== "");
  if (names.length === 0) throw new SyntaxError("it names no proxy");
  if (names.length === 1 && names[0] === "none") {
    return { networks: [], unix: false };
  }
  return {
    networks: names.filter((name) => name !== "unix").map(parseNetwork),
    unix: names.includes("unix"),
  };
}

/**
 * Parses the IP address of a client.
 *
 * @param remote The client.
 * @returns Its address; `undefined` for a client on a Unix socket.
 */
export function ipOf({ address }: RemoteAddress): IpAddress | undefined {
  return parseZonedIp(address);
}

/** Whether an address is that of a trusted proxy. */
export function isTrusted(
  ip: IpAddress,
  { networks }: TrustedProxies,
): boolean {
  return networks.some((network) => isInNetwork(network, ip));
}
