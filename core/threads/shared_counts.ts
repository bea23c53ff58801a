/**
 * Counts of connections that several threads share.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import {
  type CountKey,
  CountTable,
  countTableBytes,
} from "../memory/count_table.ts";
import { clientOf } from "../net/client_key.ts";
import type {
  ConnectionCounts,
  ConnectionLimits,
  TooMany,
} from "../server/connection_counts.ts";

/** Counts in memory that threads share. */
export class SharedCounts implements ConnectionCounts {
  #table: CountTable<SharedArrayBuffer>;

  /**
   * Constructs a new instance.
   *
   * @param memory The memory of another thread's counts; absent: new counts.
   */
  constructor(memory = new SharedArrayBuffer(countTableBytes)) {
    this.#table = new CountTable(memory);
  }

  /** The memory, to pass to other threads. */
  get memory(): SharedArrayBuffer {
    return this.#table.memory;
  }

  get total(): number {
    return this.#table.total;
  }

  /** Number of addresses that have connections. */
  get addresses(): number {
    return this.#table.used;
  }

  add(remote: RemoteAddress, limits: ConnectionLimits): TooMany {
    const limit = this.#table.add(toKey(remote), {
      total: limits.maxConnections,
      each: limits.maxConnectionsPerAddress,
    });
    return limit === undefined
      ? undefined
      : limit === "total"
      ? "too many connections"
      : "too many connections from this address";
  }

  remove(remote: RemoteAddress): void {
    this.#table.remove(toKey(remote));
  }
}

function toKey(remote: RemoteAddress): CountKey | undefined {
  const client = clientOf(remote);
  if (client === undefined) return undefined;
  const { family, value } = client;
  return [Number(value >> 32n) | 0, Number(value & 0xffffffffn) | 0, family];
}
