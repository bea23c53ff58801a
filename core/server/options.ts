/**
 * What a server is given at its start, and when its configuration is replaced.
 *
 * @module
 */

import type { Route } from "../accept/route.ts";
import type { Access } from "../access/access.ts";
import type { Backend } from "../api.ts";
import type { FleetLimits } from "../redis/limits.ts";
import type { Roster } from "./roster.ts";
import type { AccessLog } from "./access_log.ts";
import type { FramingTable } from "../bridge/message_framer.ts";
import type { ConnectionCounts } from "./connection_counts.ts";
import type { Log } from "../log/log.ts";
import type { CoreConfig } from "../config/options.ts";
import type { MetricsSnapshot } from "../telemetry/snapshot.ts";
import type { Pages } from "../pages/pages.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type {
  ServerCertificate,
  WebSocketEngine,
} from "../websocket/engine.ts";

/** A thread among those that listen on the same port. */
export interface ThreadPlace {
  /** Its number, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
}

/** What new connections are made with; it can be replaced while the server runs. */
export interface ServerConfig {
  /** The `[core]` options. */
  readonly core: CoreConfig;
  /** Answers which peer, if a request matches no route; absent: it gets 404. */
  readonly backend: Backend | undefined;
  /**
   * Other backends for some requests.
   *
   * @default {[]}
   */
  readonly routes?: readonly Route[];
  /** The framing functions, by name. */
  readonly framings: FramingTable;
  /** The certificate for clients; absent: they use no TLS. */
  readonly certificate?: ServerCertificate | undefined;
  /** The access sections; absent: there are none. */
  readonly access?: Access | undefined;
  /**
   * The parameters of query strings whose values the log leaves out, beside
   * those that always are.
   *
   * @default {those of access}
   */
  readonly secretParameters?: ReadonlySet<string>;
  /** What is answered beside WebSockets; absent: nothing. */
  readonly pages?: Pages | undefined;
  /**
   * Records connections for metrics and traces.
   *
   * @default {noTelemetry}
   */
  readonly telemetry?: Telemetry;
}

/** Options for `Server.listen`. */
export interface ServerOptions extends ServerConfig {
  /** The WebSocket engine. */
  readonly engine: WebSocketEngine;
  /** The log. */
  readonly log: Log;
  /** Takes a line for each request; absent: there is none. */
  readonly accessLog?: AccessLog | undefined;
  /** Lists the connections for operators; absent: there is no admin listener. */
  readonly roster?: Roster | undefined;
  /**
   * Gives the metrics of each thread, for the page that shows them.
   *
   * @default {none}
   */
  readonly gatherMetrics?: () => Promise<readonly MetricsSnapshot[]>;
  /**
   * Counts connections, for the limits on them.
   *
   * @default {new LocalCounts()}
   */
  readonly counts?: ConnectionCounts;
  /** Counts of the accepted connections, shared in the same way. */
  readonly sockets?: ConnectionCounts;
  /** Counts connections together with other instances; absent: this one counts for itself. */
  readonly limits?: FleetLimits | undefined;
  /** Memory of what is known of peers, which threads share. */
  readonly peerMemory?: SharedArrayBuffer | undefined;
  /**
   * Which of several threads that listen on the same port it is.
   *
   * @default {{ index: 0, count: 1 }}
   */
  readonly thread?: ThreadPlace;
}
