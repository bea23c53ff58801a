/**
 * What every request has to fulfil, whether it asks for a WebSocket or a page.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import { parseIp } from "../net/ip_address.ts";
import type { HttpRequest } from "./engine.ts";

/** A name or an address, IPv6 in brackets, and perhaps a port (RFC 9110 section 7.2). */
const HOST =
  /^(?:\[([0-9a-f:.]+)\]|[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*\.?)(?::(\d{0,5}))?$/i;

/** A path and perhaps a query string (RFC 9112 section 3.2.1): a fragment is never sent. */
const TARGET = /^\/[!"$-~]*$/;

/**
 * Tells whether a value is a host, as `Host` has it.
 *
 * @param value The value.
 */
export function isHost(value: string): boolean {
  const match = HOST.exec(value);
  if (match === null || Number(match[2] ?? 0) > 65535) return false;
  return match[1] === undefined ||
    match[1].includes(":") && parseIp(match[1]) !== undefined;
}

/**
 * Finds what makes a request one that nobody can answer: who stands in front
 * may have understood something else by it.
 *
 * @param request The request.
 * @returns The refusal; `undefined` if nothing is wrong.
 */
export function findFault(
  request: Pick<
    HttpRequest,
    "method" | "target" | "authority" | "headers" | "fault"
  >,
): RequestError | undefined {
  const { method, target, authority, headers, fault } = request;
  if (fault !== undefined) return fault;
  const host = headers.get("host");
  if (host !== null && !isHost(host)) {
    return new RequestError(
      400,
      host.includes(",") ? "Host is named more than once" : "Host is no host",
    );
  }
  // These have no path, and are refused for their method.
  if (method === "CONNECT" || method === "OPTIONS" && target === "*") {
    return undefined;
  }
  if (!TARGET.test(target)) {
    return new RequestError(400, "the target of the request is no path");
  }
  if (
    authority !== undefined && host !== null &&
    authority.toLowerCase() !== host.toLowerCase()
  ) {
    return new RequestError(
      400,
      "the target of the request and its Host name different hosts",
    );
  }
  return undefined;
}
