/**
 * Who a client is for limits: its address, or the network that is all its own.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { IpAddress } from "./ip_address.ts";
import { ipOf } from "./trusted_proxies.ts";

/**
 * Tells who a client is for the limits.
 *
 * @param remote The client.
 * @returns Its IPv4 address, or the first 64 bits of its IPv6 address, as the
 * other ones it may choose at will; `undefined` on a Unix socket.
 */
export function clientOf(remote: RemoteAddress): IpAddress | undefined {
  const ip = ipOf(remote);
  return ip?.family === 6 ? { family: 6, value: ip.value >> 64n } : ip;
}

/**
 * Names a client for the limits, by what {@linkcode clientOf} tells of it.
 *
 * @param remote The client; those on a Unix socket are one.
 */
export function clientKey(remote: RemoteAddress): string {
  const client = clientOf(remote);
  return client === undefined ? "unix" : `${client.family} ${client.value}`;
}
