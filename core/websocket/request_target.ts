/**
 * The target of a request, as engines give it.
 *
 * @module
 */

import type { HttpRequest } from "./engine.ts";

/** What the request line says of where a request goes. */
export type RequestTarget = Pick<HttpRequest, "target" | "authority">;

/** A whole URL, RFC 9112 section 3.2.2: `new URL` would normalise it. */
const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)(.*)$/is;

/**
 * Parses the target of a request.
 *
 * @param target A path, a whole URL, `*` or, for CONNECT, a host.
 * @returns The path and perhaps a query string, as sent; and the host, if it is
 * a whole URL.
 */
export function parseTarget(target: string): RequestTarget {
  const match = ABSOLUTE.exec(target);
  if (match === null) return { target };
  const [, authority = "", path = ""] = match;
  return { authority, target: path.startsWith("/") ? path : `/${path}` };
}

/**
 * Parses the URL that `Deno.serve` has made of the target of a request. For a
 * path it puts a scheme and the `Host` field in front, whatever that is: the
 * path begins only behind it.
 *
 * @param request The request.
 * @returns As of {@linkcode parseTarget}.
 */
export function parseServedUrl(
  { method, url, headers }: Pick<Request, "method" | "url" | "headers">,
): RequestTarget {
  const rest = url.slice(url.indexOf("://") + "://".length);
  if (method === "CONNECT") return { target: rest };
  const host = headers.get("host") ?? "";
  if (host === "" || !rest.startsWith(`${host}/`)) return parseTarget(url);
  const target = rest.slice(host.length);
  if (target === "/*" && method === "OPTIONS") return { target: "*" };
  // A URL without a host is made a path.
  return EMPTY_AUTHORITY.test(target)
    ? parseTarget(target.slice(1))
    : { target };
}

const EMPTY_AUTHORITY = /^\/[a-z][a-z0-9+.-]*:\/\/(?:[/?#]|$)/i;
