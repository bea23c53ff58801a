/**
 * The page that tells how the server is, for load balancers and probes.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };
import type { HttpRequest } from "../websocket/engine.ts";
import type { ServerState } from "./page.ts";
import { formatText } from "./text.ts";

/**
 * Tells how the server is.
 *
 * @param _request The request.
 * @param state What there is to tell.
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
