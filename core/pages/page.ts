/**
 * A page, and the state of the server that it may use.
 *
 * @module
 */

import type { MetricsSnapshot } from "../telemetry/snapshot.ts";
import type { HttpRequest } from "../websocket/engine.ts";

/** The state of the server that pages may use. */
export interface ServerState {
  /** Number of open connections. */
  readonly connections: number;
  /** Whether it shuts down. */
  readonly isDraining: boolean;
  /** Seconds since it has listened. */
  readonly uptime: number;
  /** Aborted when the server no longer waits for pending answers. */
  readonly over: AbortSignal;
  /** Gives the metrics of each thread. */
  readonly gatherMetrics: () => Promise<readonly MetricsSnapshot[]>;
}

/** A page: answers GET; the body is left out for HEAD. */
export type Page = (
  request: HttpRequest,
  state: ServerState,
) => Response | Promise<Response>;
