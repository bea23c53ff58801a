/**
 * Where a server can listen: whether a port is free for several threads, and
 * what takes the place of `::` where the system has no IPv6.
 *
 * @module
 */

import { lacksIpv6 } from "../errors.ts";
import {
  type CoreConfig,
  defaultCoreConfig,
  type ListenAddress,
} from "../config/options.ts";

/**
 * Finds where to listen instead when the system has no IPv6: on all of IPv4, if
 * nobody has chosen an address.
 *
 * @param core Where the server was to listen.
 * @param error What listening threw.
 * @returns The address; undefined if it was chosen, or failed for another reason.
 */
export function findIpv4Instead(
  { listen }: CoreConfig,
  error: unknown,
): ListenAddress | undefined {
  // The default is always the same object: `-l ::` is another one.
  return listen === defaultCoreConfig.listen && lacksIpv6(error)
    ? { transport: "tcp", hostname: "0.0.0.0" }
    : undefined;
}

/**
 * Checks that no other process listens where threads are to listen: they would
 * share the port with it without an error.
 *
 * @param core Where.
 * @throws {Deno.errors.AddrInUse} If somebody does.
 */
export function checkPort({ listen, port }: CoreConfig): void {
  if (listen.transport !== "tcp" || port === 0) return;
  Deno.listen({ hostname: listen.hostname, port }).close();
}
