/**
 * Counts connections, in total and for each address.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import { clientOf } from "../net/client_key.ts";
import { formatIp } from "../net/ip_address.ts";

/** How many connections there may be. */
export interface ConnectionLimits {
  /** Most connections at once; 0: no limit. */
  readonly maxConnections: number;
  /** Most connections of one client's address at once; 0: no limit. */
  readonly maxConnectionsPerAddress: number;
}

/** Why a connection exceeds a limit, in words; `undefined`: it does not. */
export type TooMany =
  | "too many connections"
  | "too many connections from this address"
  | undefined;

/**
 * Says which option makes a connection one too many, for the log.
 *
 * @param why Why it is.
 * @param limits How many there may be.
 */
export function describeLimit(
  why: NonNullable<TooMany>,
  limits: ConnectionLimits,
): string {
  return why === "too many connections"
    ? `the option max-connections allows ${limits.maxConnections}`
    : `the option max-connections-per-address allows ${limits.maxConnectionsPerAddress}`;
}

/** Counts connections. */
export interface ConnectionCounts {
  /** Number of connections. */
  readonly total: number;
  /**
   * Counts one more connection, unless it is one too many.
   *
   * @param remote The client; clients of one IPv6 network of 64 bits count as
   * one, and clients on a Unix socket, which have no address, are not counted
   * by address.
   * @param limits How many there may be.
   * @returns Why it is not counted.
   */
  add(remote: RemoteAddress, limits: ConnectionLimits): TooMany;
  /** Stops counting a connection that has ended. */
  remove(remote: RemoteAddress): void;
}

/** Counts the connections of one server. */
export class LocalCounts implements ConnectionCounts {
  total = 0;
  #addresses = new Map<string, number>();

  /** Number of addresses that have connections. */
  get addresses(): number {
    return this.#addresses.size;
  }

  add(remote: RemoteAddress, limits: ConnectionLimits): TooMany {
    const { maxConnections: most, maxConnectionsPerAddress: each } = limits;
    if (most > 0 && this.total >= most) return "too many connections";
    const key = keyOf(remote);
    if (key !== undefined) {
      const count = this.#addresses.get(key) ?? 0;
      if (each > 0 && count >= each) {
        return "too many connections from this address";
      }
      this.#addresses.set(key, count + 1);
    }
    this.total++;
    return undefined;
  }

  remove(remote: RemoteAddress): void {
    this.total--;
    const key = keyOf(remote);
    if (key === undefined) return;
    const count = this.#addresses.get(key)! - 1;
    if (count > 0) this.#addresses.set(key, count);
    else this.#addresses.delete(key);
  }
}

/** Matches only IPv4 addresses, each of which has exactly one text. */
const ipv4 = /^(?:\d+\.){3}\d+$/;

function keyOf(remote: RemoteAddress): string | undefined {
  if (ipv4.test(remote.address)) return remote.address;
  const client = clientOf(remote);
  return client?.family === 4 ? formatIp(client) : client?.value.toString(16);
}
