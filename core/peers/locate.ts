/**
 * Resolves a peer's name or path, and checks whether it may be opened.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { untilAborted } from "../time/deadline.ts";
import {
  type InternetAddress,
  isAbstract,
  type PeerAddress,
  type UnixAddress,
} from "../net/address.ts";
import {
  type AllowedPeers,
  isAllowedHost,
  isAllowedPath,
} from "../net/allowed_peers.ts";
import { parseZonedIp } from "../net/ip_address.ts";

/** A peer whose name or path is resolved. */
export type PeerPlace<Address extends PeerAddress = PeerAddress> =
  & Address
  & {
    /**
     * For a peer with a host: the IP addresses to try, one after another.
     * Absent: any address of the host.
     */
    readonly resolved?: readonly string[];
  };

/**
 * Resolves a peer, unless all peers may be opened.
 *
 * @param address The peer.
 * @param allowed The peers that may be opened.
 * @param signal Aborts the attempt.
 * @returns The same peer, with the IP addresses that are allowed, or its real
 * path, so that the connection goes where the check looked.
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
  const names = parseZonedIp(hostname) === undefined
    ? await untilAborted(resolveAll(hostname), signal)
    : [hostname];
  const resolved = names.filter((name) =>
    isAllowedHost(allowed, address, parseZonedIp(name))
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
