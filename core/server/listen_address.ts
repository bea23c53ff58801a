/**
 * Checks that a port is free for several threads, and replaces `::` where the
 * system has no IPv6.
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
 * Finds where to listen instead when the system has no IPv6: on all IPv4
 * addresses, if the configuration names no address.
 *
 * @param core Where the server was to listen.
 * @param error What listening threw.
 * @returns The address; undefined if it was chosen, or failed for another reason.
 */
export function findIpv4Instead(
  { listen }: CoreConfig,
  error: unknown,
): ListenAddress | undefined {
  // The default is always the same object; `-l ::` gives another one.
  return listen === defaultCoreConfig.listen && lacksIpv6(error)
    ? { transport: "tcp", hostname: "0.0.0.0" }
    : undefined;
}

/**
 * Checks that no other process listens where threads are to listen: they would
 * share the port with it without an error.
 *
 * @param core Where.
 * @throws {Deno.errors.AddrInUse} If one does.
 */
export function checkPort({ listen, port, reusePort }: CoreConfig): void {
  if (listen.transport !== "tcp" || port === 0 || reusePort) return;
  Deno.listen({ hostname: listen.hostname, port }).close();
}
