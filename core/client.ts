/**
 * A client that asks for a WebSocket.
 *
 * @module
 */

import type { BackendQuery } from "./api.ts";
import type { Handshake } from "./handshake.ts";
import type { HttpRequest } from "./websocket.ts";

/** A client that asks for a WebSocket. */
export interface Client {
  /** Number of the connection, from 1. */
  readonly id: number;
  /** What it asks for. */
  readonly handshake: Handshake;
  /** How it asks. */
  readonly request: HttpRequest;
}

/**
 * Makes the question that a backend is asked. Few backends look at header
 * fields: they are listed only for one that does.
 *
 * @param client The client.
 * @returns The question.
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
