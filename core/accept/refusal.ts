/**
 * The answer to a request that is not accepted.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import type { HttpRequest } from "../websocket/engine.ts";

/**
 * Makes a refusal of whatever went wrong.
 *
 * @param error What was thrown.
 * @param request The request.
 * @returns The refusal.
 */
export function toRefusal(error: unknown, request: HttpRequest): RequestError {
  if (error instanceof RequestError) return error;
  return request.signal.aborted
    ? new RequestError(400, "client is gone")
    : new RequestError(500, "internal error", { cause: error });
}

/**
 * Makes the refusal of a server that can take no more connections now.
 *
 * @param why Why, for the client.
 * @param cause What else the log tells.
 * @returns The refusal.
 */
export function unavailable(why: string, cause?: string): RequestError {
  return new RequestError(503, why, { headers: { "retry-after": "5" }, cause });
}

/**
 * Formats a refusal as what the client sees.
 *
 * @param refusal The refusal.
 * @returns The response.
 */
export function formatRefusal(refusal: RequestError): Response {
  const body = encoder.encode(`${refusal.body}\n`);
  return new Response(body, {
    status: refusal.status,
    headers: {
      ...refusal.headers,
      "content-type": "text/plain; charset=utf-8",
      "content-length": `${body.length}`,
    },
  });
}

const encoder = new TextEncoder();
