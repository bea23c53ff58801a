/**
 * What is known of an open connection.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { Bridge } from "../bridge/bridge.ts";

/** What is kept of a connection. */
export interface RosterEntry {
  /** Number of the connection. */
  readonly id: number;
  /** Who the client is, behind the proxies that are trusted. */
  readonly remote: RemoteAddress;
  /** Name of the user, if it is known. */
  readonly user?: string | undefined;
  /** The path of its request. */
  readonly endpoint: string;
  /** The route that it took. */
  readonly route?: string | undefined;
  /** The subprotocol. */
  readonly protocol?: string | undefined;
  /** The peer's address. */
  readonly peer: string;
  /** The framing function. */
  readonly framing: string;
  /** Connects it. */
  readonly bridge: Bridge;
}
