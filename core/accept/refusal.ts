/**
 * The answer to a request that is not accepted.
 *
 * @module
 */

import type { Refusal } from "../api.ts";
import { RequestError } from "../errors.ts";
import type { HttpRequest } from "../websocket/engine.ts";

/**
 * Converts an error to a refusal.
 *
 * @param error What was thrown.
 * @param request The request.
 * @returns The refusal.
 */
export function toRefusal(
  error: unknown,
  request: Pick<HttpRequest, "signal">,
): RequestError {
  if (error instanceof RequestError) return error;
  return request.signal.aborted
    ? new RequestError(400, "client is gone")
    : new RequestError(500, "internal error", { cause: error });
}

/**
 * Makes the refusal of a server that accepts no more connections at the moment.
 *
 * @param why Why, for the client.
 * @param cause What else the log tells.
 * @returns The refusal.
 */
export function unavailable(why: string, cause?: string): RequestError {
  return new RequestError(503, why, { headers: { "retry-after": "5" }, cause });
}

const refusalBodies: Readonly<Record<number, string>> = {
  401: "credentials are needed",
  403: "not allowed",
  404: "no peer for this request",
  429: "too many requests",
  502: "peer lookup failed",
  503: "no peer at the moment",
  504: "peer lookup took too long",
};

/**
 * Makes the refusal of a backend, whose answer is checked.
 *
 * @param answer The answer.
 * @returns The refusal.
 * @throws {TypeError} If the answer is malformed.
 */
export function refusedByBackend(answer: Refusal): RequestError {
  // A plugin may answer other values than the type allows.
  const { refuse, authenticate = "Bearer", retryAfter = 5, why }: {
    [Field in keyof Refusal]: unknown;
  } = answer;
  const body = typeof refuse === "number" ? refusalBodies[refuse] : undefined;
  if (typeof refuse !== "number" || body === undefined) {
    throw unusable(
      `its refuse is 401, 403, 404, 429, 502, 503 or 504, not ${refuse}`,
    );
  }
  if (typeof authenticate !== "string" || !/^[!-~][ -~]*$/.test(authenticate)) {
    throw unusable("its authenticate is not a value of a header field");
  }
  if (
    typeof retryAfter !== "number" || !Number.isSafeInteger(retryAfter) ||
    retryAfter < 0
  ) throw unusable(`its retryAfter is not a number of seconds`);
  if (why !== undefined && typeof why !== "string") {
    throw unusable("its why is not a string");
  }
  const headers: Record<string, string> = {};
  if (refuse === 401) headers["www-authenticate"] = authenticate;
  if (refuse === 429 || refuse === 503) {
    headers["retry-after"] = `${retryAfter}`;
  }
  return new RequestError(refuse, body, { headers, cause: why });
}

function unusable(why: string): TypeError {
  return new TypeError(`Cannot use the backend's answer: ${why}`);
}
