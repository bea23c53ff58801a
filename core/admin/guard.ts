/**
 * Who may ask the admin listener: the operator's programs and its own page, and
 * no page of another site that the operator's browser happens to show.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import { parseIp } from "../net/ip_address.ts";
import type { RequestHead } from "../websocket/engine.ts";
import { hostOf } from "../websocket/request.ts";

/**
 * The media types that a form can send: a page can have a browser send these to
 * any server, without asking that server first.
 */
const formTypes: readonly string[] = [
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "text/plain",
];

/**
 * Refuses requests that a page of another site has made.
 *
 * @param request The request.
 * @param hostname The name or address that the listener was given; absent: a
 * Unix socket.
 * @throws {RequestError} 403 or 415.
 */
export function checkSender(
  { method, endpoint, headers }: Pick<
    RequestHead,
    "method" | "endpoint" | "headers"
  >,
  hostname: string | undefined,
): void {
  const host = hostOf(headers);
  // A name that its owner makes point here (DNS rebinding) is that of a site;
  // an address always means this machine.
  const isOurs = host === "localhost" || host === hostname?.toLowerCase() ||
    parseIp(host) !== undefined;
  if (!isOurs) {
    throw new RequestError(
      403,
      "not the name of this server: use its address, or localhost",
    );
  }
  const origin = headers.get("origin")?.toLowerCase();
  const own = headers.get("host")!.toLowerCase();
  if (
    origin !== undefined && origin !== `http://${own}` &&
    origin !== `https://${own}`
  ) throw new RequestError(403, "asked for by a page of another origin");
  const site = headers.get("sec-fetch-site") ?? "none";
  // A link on another page may lead to ours, which by itself changes nothing.
  const isLink = endpoint === "/" && method === "GET" &&
    headers.get("sec-fetch-mode") === "navigate" &&
    headers.get("sec-fetch-dest") === "document";
  if (site !== "none" && site !== "same-origin" && !isLink) {
    throw new RequestError(403, "asked for by a page of another site");
  }
  const [type = ""] = headers.get("content-type")?.split(";") ?? [];
  if (method !== "GET" && formTypes.includes(type.trim().toLowerCase())) {
    throw new RequestError(
      415,
      "what a form sends is not accepted: send no body, or JSON",
    );
  }
}
