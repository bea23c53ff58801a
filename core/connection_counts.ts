/**
 * Counts the connections that are open, against the limits on them.
 *
 * @module
 */

import { AddressCounts } from "./address_counts.ts";
import type { RemoteAddress } from "./api.ts";
import type { LimitConfig } from "./config/limit_options.ts";
import { unavailable } from "./refusal.ts";

/** The connections, from the backend's query to the end of their bridge. */
export class ConnectionCounts {
  #total = 0;
  #addresses = new AddressCounts();
  #onNone: (() => void) | undefined;

  /** How many there are. */
  get total(): number {
    return this.#total;
  }

  /**
   * Checks that there may be one more.
   *
   * @param remote Whose.
   * @param limits The most that there may be.
   * @throws {RequestError} 503 if there may not.
   */
  check(
    remote: RemoteAddress,
    limits: Pick<LimitConfig, "maxConnections" | "maxConnectionsPerAddress">,
  ): void {
    const { maxConnections, maxConnectionsPerAddress: most } = limits;
    if (maxConnections > 0 && this.#total >= maxConnections) {
      throw unavailable("too many connections");
    }
    if (most > 0 && this.#addresses.count(remote) >= most) {
      throw unavailable("too many connections from this address");
    }
  }

  /** Takes note of another one. */
  add(remote: RemoteAddress): void {
    this.#total++;
    this.#addresses.add(remote);
  }

  /** Takes note that one is over. */
  remove(remote: RemoteAddress): void {
    this.#total--;
    this.#addresses.remove(remote);
    if (this.#total === 0) this.#onNone?.();
  }

  /** Resolves when there is none; it is called once. */
  async none(): Promise<void> {
    if (this.#total === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onNone = resolve;
    await promise;
  }
}
