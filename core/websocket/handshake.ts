/**
 * The server's side of the opening handshake, RFC 6455 section 4.2: it checks a
 * request, and chooses the subprotocol.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import type { RequestHead, RequestHeaders } from "./engine.ts";
import { listOf, names } from "./request.ts";
import { isToken } from "./token.ts";

/** The fields of a request that are checked. */
export type HandshakeRequest = Pick<
  RequestHead,
  "method" | "headers" | "asksForWebSocket"
>;

/** Options for {@linkcode checkHandshake}. */
export interface HandshakeOptions {
  /** Allowed values of `Origin`, or `*`. */
  readonly origin: "*" | readonly string[];
}

/** Base64 of 16 bytes. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/**
 * Tells whether a request comes from a WebSocket client: it asks for a
 * WebSocket, or did so before a proxy without WebSocket support removed
 * `Upgrade`.
 *
 * @param request The request.
 */
export function isFromWebSocketClient(
  { method, headers, asksForWebSocket }: HandshakeRequest,
): boolean {
  return asksForWebSocket ||
    method === "GET" && webSocketFieldOf(headers) !== undefined;
}

/**
 * Checks that a request asks for a WebSocket, and for one that may be opened.
 *
 * @param request The request.
 * @param options What is allowed.
 * @returns The subprotocols that the client offers, in its order of preference.
 * @throws {RequestError} If it is refused: 405, 426, 400 or 403.
 */
export function checkHandshake(
  request: HandshakeRequest,
  options: HandshakeOptions,
): readonly string[] {
  const { method, headers, asksForWebSocket } = request;
  if (method !== "GET") {
    throw new RequestError(405, "method not allowed: use GET", {
      headers: { allow: "GET" },
    });
  }
  if (!asksForWebSocket || !names(headers, "connection", "upgrade")) {
    throw new RequestError(426, "this is a WebSocket endpoint", {
      headers: { upgrade: "websocket", connection: "upgrade" },
      cause: describeMissing(request),
    });
  }
  if (headers.get("host") === null) {
    throw new RequestError(400, "a handshake names a Host");
  }
  if (hasBody(headers)) {
    throw new RequestError(400, "a handshake has no body");
  }
  if (headers.get("sec-websocket-version") !== "13") {
    throw new RequestError(426, "only WebSocket version 13 is spoken here", {
      headers: {
        "sec-websocket-version": "13",
        upgrade: "websocket",
        connection: "upgrade",
      },
    });
  }
  if (!KEY.test(headers.get("sec-websocket-key") ?? "")) {
    throw new RequestError(
      400,
      "Sec-WebSocket-Key is missing, or not 16 bytes in base64",
    );
  }
  const origin = headers.get("origin");
  if (
    options.origin !== "*" &&
    (origin === null || !options.origin.some(equals(origin)))
  ) {
    throw new RequestError(403, "this origin is not allowed", {
      cause: origin === null
        ? "it names none, and the option origin is not *"
        : `the option origin does not name ${quote(origin)}`,
    });
  }
  const protocols = listOf(headers, "sec-websocket-protocol");
  if (!protocols.every(isToken)) {
    throw new RequestError(
      400,
      "Sec-WebSocket-Protocol is not a list of names",
    );
  }
  return protocols;
}

/**
 * Chooses the subprotocol of a WebSocket.
 *
 * @param offered What the client offers, in its order of preference.
 * @param wanted What the backend wants: a name in any case, `*` for the first
 * one offered that is supported, nothing for none.
 * @returns The one chosen, as the client wrote it; `undefined` for none.
 * @throws {RequestError} 400 if the client offers some, and the wanted one is
 * not among them.
 */
export function chooseProtocol(
  offered: readonly string[],
  wanted: string | undefined,
): string | undefined {
  if (offered.length === 0) return undefined;
  const chosen = wanted === "*"
    ? offered.find(isSpoken)
    : wanted === undefined
    ? undefined
    : offered.find(equals(wanted));
  if (chosen === undefined) {
    throw new RequestError(
      400,
      "none of the subprotocols offered is spoken here",
      {
        cause: `the client offers ${listProtocols(offered)}, ${
          describeWanted(wanted)
        }`,
      },
    );
  }
  return chosen;
}

/**
 * Tells whether a subprotocol's messages can be the peer's bytes as they are.
 * `base64`, which clients of old servers still offer, and similar ones write
 * bytes as text, which this program does not support.
 *
 * @param protocol Name of the subprotocol.
 */
export function isSpoken(protocol: string): boolean {
  return !/^base64(?:\.|$)/i.test(protocol);
}

/**
 * Lists subprotocols that a client offers, for the log.
 *
 * @param protocols Their names.
 */
export function listProtocols(protocols: readonly string[]): string {
  return quote(protocols.join(", "));
}

function describeWanted(wanted: string | undefined): string {
  if (wanted === "*") {
    return "whose messages are text of bytes: let it offer binary, or no subprotocol";
  }
  const accepts = "the option protocol = * accepts the first one offered";
  return wanted === undefined
    ? `and the backend names none: ${accepts}`
    : `and the backend wants ${quote(wanted)}: ${accepts}`;
}

/** Says what the request of a WebSocket client lacks. */
function describeMissing(
  { headers, asksForWebSocket }: HandshakeRequest,
): string | undefined {
  if (asksForWebSocket) {
    return "Connection does not name Upgrade: a proxy in front has to pass on both";
  }
  const field = webSocketFieldOf(headers);
  if (field === undefined) return undefined;
  return `${field} came without "Upgrade: websocket": a proxy in front has to pass on Upgrade and Connection`;
}

/** The name of a field that only WebSocket clients send. */
function webSocketFieldOf(headers: RequestHeaders): string | undefined {
  for (const [name] of headers) {
    if (name.startsWith("sec-websocket-")) return name;
  }
  return undefined;
}

/** Quotes what a client sent, for the log; a long text is cut off. */
function quote(text: string): string {
  return text.length > longestQuote
    ? `"${text.slice(0, longestQuote)}" …`
    : `"${text}"`;
}

const longestQuote = 200;

/**
 * Whether a body follows (RFC 9112 section 6), whose bytes would be taken for
 * frames. An empty one counts, too, since Deno's own server refuses it.
 */
function hasBody(headers: RequestHeaders): boolean {
  return headers.get("transfer-encoding") !== null ||
    headers.get("content-length") !== null;
}

function equals(text: string): (other: string) => boolean {
  const lower = text.toLowerCase();
  return (other) => other.toLowerCase() === lower;
}
