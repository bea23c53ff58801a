/**
 * The health check for load balancers and probes.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };
import type { HttpRequest } from "../websocket/engine.ts";
import type { ServerState } from "./page.ts";
import { formatText } from "./text.ts";

/**
 * Answers with the state of the server, as JSON.
 *
 * @param _request The request.
 * @param state The state of the server.
 * @returns 200, or 503 while the server shuts down.
 */
export function formatHealth(
  _request: HttpRequest,
  { connections, isDraining, uptime }: ServerState,
): Response {
  const health = {
    status: isDraining ? "draining" : "ok",
    version: manifest.version,
    uptime,
    connections,
  };
  return formatText(`${JSON.stringify(health)}\n`, {
    "content-type": "application/json",
    "cache-control": "no-store",
  }, isDraining ? 503 : 200);
}
