/**
 * A client that asks for a WebSocket.
 *
 * @module
 */

import type { BackendQuery } from "../api.ts";
import type { Handshake } from "../websocket/handshake.ts";
import type { HandshakeTelemetry } from "../telemetry/telemetry.ts";
import type { HttpRequest } from "../websocket/engine.ts";

/** A client that asks for a WebSocket. */
export interface Client {
  /** Number of the connection, from 1. */
  readonly id: number;
  /** What it asks for. */
  readonly handshake: Handshake;
  /** How it asks. */
  readonly request: HttpRequest;
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
export function toQuery({ handshake, request }: Client): BackendQuery {
  let headers: BackendQuery["headers"] | undefined;
  return {
    ...handshake,
    remote: request.remote,
    get headers(): BackendQuery["headers"] {
      return headers ??= [...request.headers];
    },
  };
}
