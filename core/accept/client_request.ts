/**
 * A client that asks for a WebSocket.
 *
 * @module
 */

import type { BackendQuery, RemoteAddress } from "../api.ts";
import type { HandshakeTelemetry } from "../telemetry/telemetry.ts";
import type { RequestHead } from "../websocket/engine.ts";

/** A client that asks for a WebSocket. */
export interface Client {
  /** Number of the connection, from 1. */
  readonly id: number;
  /** What it asks for. */
  readonly request: RequestHead;
  /** Who it is, behind the proxies that are trusted. */
  readonly remote: RemoteAddress;
  /** The subprotocols that it offers, in its order of preference. */
  readonly protocols: readonly string[];
  /** Told what becomes of it. */
  readonly telemetry: HandshakeTelemetry;
}

/**
 * Makes what a backend is asked. Few ask for header fields: they are listed
 * for these alone.
 *
 * @param client The client.
 * @returns The query.
 */
export function toQuery(
  { request, remote, protocols }: Client,
): BackendQuery {
  let headers: BackendQuery["headers"] | undefined;
  return {
    endpoint: request.endpoint,
    query: request.query,
    protocols,
    remote,
    get headers(): BackendQuery["headers"] {
      return headers ??= [...request.headers];
    },
  };
}
