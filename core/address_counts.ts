/**
 * How many connections each address has.
 *
 * @module
 */

import type { RemoteAddress } from "./api.ts";
import { formatIp, formatNetwork, networkOf } from "./peers/network.ts";
import { ipOf } from "./remote.ts";

/** Bits of an IPv6 address that are one client's network: the rest it may choose at will. */
const ipv6Bits = 64;

/** What can be nothing else than an IPv4 address, as `formatIp` has it. */
const ipv4 = /^(?:\d+\.){3}\d+$/;

/** Counts the connections of each address. */
export class AddressCounts {
  #counts = new Map<string, number>();

  /** Number of addresses that have connections. */
  get size(): number {
    return this.#counts.size;
  }

  /**
   * Tells how many connections a client has.
   *
   * @param remote The client; those of an IPv6 network of 64 bits are one.
   * @returns The number; 0 for a client on a Unix socket, which has no address.
   */
  count(remote: RemoteAddress): number {
    return this.#counts.get(keyOf(remote) ?? "") ?? 0;
  }

  /** Takes note of one more connection of a client. */
  add(remote: RemoteAddress): void {
    const key = keyOf(remote);
    if (key !== undefined) this.#counts.set(key, this.count(remote) + 1);
  }

  /** Takes note that a connection, which was added, is over. */
  remove(remote: RemoteAddress): void {
    const key = keyOf(remote);
    if (key === undefined) return;
    const count = this.count(remote) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}

function keyOf(remote: RemoteAddress): string | undefined {
  // An IPv4 address has one text alone.
  if (ipv4.test(remote.address)) return remote.address;
  const ip = ipOf(remote);
  if (ip === undefined) return undefined;
  return ip.family === 4
    ? formatIp(ip)
    : formatNetwork(networkOf(ip, ipv6Bits));
}
