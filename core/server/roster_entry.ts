/**
 * What is known of an open connection.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { Bridge } from "../bridge/bridge.ts";
import type { ConnectionRow } from "./questions.ts";

/** What is kept of a connection. */
export interface RosterEntry extends
  Pick<
    ConnectionRow,
    "id" | "user" | "endpoint" | "route" | "protocol" | "peer" | "framing"
  > {
  /** Who the client is, behind the proxies that are trusted. */
  readonly remote: RemoteAddress;
  /** Connects it. */
  readonly bridge: Bridge;
}
