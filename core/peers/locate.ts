/**
 * Finds out where a peer really is, and whether it may be opened.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { untilAborted } from "../time/abortable.ts";
import {
  type InternetAddress,
  isAbstract,
  type PeerAddress,
  type UnixAddress,
} from "../net/address.ts";
import {
  type AllowedPeers,
  ipOfHost,
  isAllowedHost,
  isAllowedPath,
} from "../net/allowed_peers.ts";

/** Where a peer really is. */
export type PeerPlace<Address extends PeerAddress = PeerAddress> =
  & Address
  & {
    /**
     * For one with a host: the IP addresses to connect to, one after another
     * until one answers. Absent: whatever its host is resolved to.
     */
    readonly resolved?: readonly string[];
  };

/**
 * Finds out where a peer is, if not all peers may be opened.
 *
 * @param address The peer.
 * @param allowed The peers that may be opened.
 * @param signal Gives up when it is aborted.
 * @returns The same peer, as what was checked: with the IP addresses that are
 * allowed, or its real path, so that nothing can change on the way to it.
 * @throws {TypeError} If it may not be opened.
 * @throws {Error} If its name or path is unknown, or `signal`'s reason.
 */
export async function locatePeer(
  address: PeerAddress,
  allowed: AllowedPeers,
  signal: AbortSignal,
): Promise<PeerPlace> {
  if (allowed === "*") return address;
  return "path" in address
    ? await locatePath(address, allowed, signal)
    : await locateHost(address, allowed, signal);
}

async function locateHost(
  address: InternetAddress,
  allowed: AllowedPeers,
  signal: AbortSignal,
): Promise<PeerPlace> {
  const { hostname } = address;
  const names = ipOfHost(hostname) === undefined
    ? await untilAborted(resolveAll(hostname), signal)
    : [hostname];
  const resolved = names.filter((name) =>
    isAllowedHost(allowed, address, ipOfHost(name))
  );
  if (resolved.length === 0) {
    const list = names.map((name) => `"${name}"`).join(", ");
    throw new TypeError(
      `allow-peer does not allow it: no pattern matches ${list}`,
    );
  }
  return { ...address, resolved };
}

async function resolveAll(hostname: string): Promise<string[]> {
  const found = await lookup(hostname, { all: true });
  return found.map(({ address }) => address);
}

async function locatePath(
  address: UnixAddress,
  allowed: AllowedPeers,
  signal: AbortSignal,
): Promise<PeerPlace> {
  const path = isAbstract(address.path)
    ? address.path
    : await untilAborted(Deno.realPath(address.path), signal);
  const place = { ...address, path };
  if (isAllowedPath(allowed, place)) return place;
  throw new TypeError(
    `allow-peer does not allow it: no pattern matches "${path}"`,
  );
}
