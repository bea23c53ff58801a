/**
 * The server's side of the opening handshake, RFC 6455 section 4.2: from a
 * request to what a backend is asked, or a refusal.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import type { HttpRequest, RequestHeaders } from "./engine.ts";

/** What a client that may open a WebSocket asks for. */
export interface Handshake {
  /** The path as sent. */
  readonly endpoint: string;
  /** The query string, without the `?`. */
  readonly query: string;
  /** The subprotocols that the client offers, in its order of preference. */
  readonly protocols: readonly string[];
}

/** Options for {@linkcode checkHandshake}. */
export interface HandshakeOptions {
  /** Allowed values of `Origin`, or `*`. */
  readonly origin: "*" | readonly string[];
}

/** Base64 of 16 bytes. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** A token, RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Tells whether a request asks for a WebSocket, rightly or not.
 *
 * @param headers Its header fields.
 */
export function asksForWebSocket(headers: RequestHeaders): boolean {
  return listOf(headers, "upgrade").some(equals("websocket"));
}

/**
 * Checks that a request asks for a WebSocket, and for one that may be opened.
 *
 * @param request The request.
 * @param options What is allowed.
 * @returns What it asks for.
 * @throws {RequestError} If it is refused: 405, 426, 400 or 403.
 */
export function checkHandshake(
  request: Pick<HttpRequest, "method" | "headers" | "target">,
  options: HandshakeOptions,
): Handshake {
  const { method, headers, target } = request;
  if (method !== "GET") {
    throw new RequestError(405, "method not allowed: use GET", {
      headers: { allow: "GET" },
    });
  }
  if (
    !asksForWebSocket(headers) ||
    !listOf(headers, "connection").some(equals("upgrade"))
  ) {
    throw new RequestError(426, "this is a WebSocket endpoint", {
      headers: { upgrade: "websocket", connection: "upgrade" },
    });
  }
  if (headers.get("host")?.includes(",")) {
    throw new RequestError(400, "Host is named more than once");
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
    throw new RequestError(403, "this origin is not allowed");
  }
  const protocols = listOf(headers, "sec-websocket-protocol");
  if (!protocols.every((protocol) => TOKEN.test(protocol))) {
    throw new RequestError(
      400,
      "Sec-WebSocket-Protocol is not a list of names",
    );
  }
  const question = target.indexOf("?");
  return {
    endpoint: question < 0 ? target : target.slice(0, question),
    query: question < 0 ? "" : target.slice(question + 1),
    protocols,
  };
}

/**
 * Chooses the subprotocol of a WebSocket.
 *
 * @param offered What the client offers, in its order of preference.
 * @param wanted What the backend wants: a name in any case, `*` for the first
 * one offered, nothing for none.
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
    ? offered[0]
    : wanted === undefined
    ? undefined
    : offered.find(equals(wanted));
  if (chosen === undefined) {
    throw new RequestError(
      400,
      "none of the subprotocols offered is spoken here",
    );
  }
  return chosen;
}

/** Whether a body follows, RFC 9112 section 6; its bytes are no frames. */
function hasBody(headers: RequestHeaders): boolean {
  return headers.get("transfer-encoding") !== null ||
    (headers.get("content-length") ?? "0") !== "0";
}

/** The elements of a field that is a comma-separated list, repeated or not. */
function listOf(headers: RequestHeaders, name: string): string[] {
  return (headers.get(name) ?? "").split(",").map((element) => element.trim())
    .filter((element) => element !== "");
}

function equals(text: string): (other: string) => boolean {
  const lower = text.toLowerCase();
  return (other) => other.toLowerCase() === lower;
}
