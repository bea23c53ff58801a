/**
 * A page, and what it is told of the server.
 *
 * @module
 */

import type { HttpRequest } from "../websocket/engine.ts";

/** What pages tell of the server. */
export interface ServerState {
  /** Number of open connections. */
  readonly connections: number;
  /** Whether it shuts down. */
  readonly isDraining: boolean;
  /** Seconds since it has listened. */
  readonly uptime: number;
  /** Aborted when it waits no longer for what is still being sent. */
  readonly over: AbortSignal;
}

/** A page: answers GET; the body is left out for HEAD. */
export type Page = (
  request: HttpRequest,
  state: ServerState,
) => Response | Promise<Response>;
