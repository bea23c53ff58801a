/**
 * The server's side of the opening handshake, RFC 6455 section 4.2: it checks a
 * request, chooses the subprotocol, and formats the response.
 *
 * @module
 */

import { RequestError } from "../errors.ts";
import type { RequestHead, RequestHeaders } from "./engine.ts";
import { isToken, listOf, names } from "./request.ts";

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
 * bytes as text, which this program does not support. One that carries a token
 * is not for messages.
 *
 * @param protocol Name of the subprotocol.
 */
export function isSpoken(protocol: string): boolean {
  return !/^base64(?:\.|$)/i.test(protocol) && !isTokenProtocol(protocol);
}

/**
 * How an element of the list of subprotocols begins that carries a token.
 * Kubernetes has chosen it, as there is no standard.
 */
export const tokenProtocol = "base64url.bearer.authorization.k8s.io.";

/**
 * Tells whether an element of the list of subprotocols carries a token: it is
 * not for messages, and is never sent back.
 *
 * @param protocol The element.
 */
export function isTokenProtocol(protocol: string): boolean {
  return protocol.startsWith(tokenProtocol);
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

/**
 * Formats the response that accepts a WebSocket, RFC 6455 section 4.2.2.
 *
 * @param headers The header fields of the request, which was checked.
 * @param protocol The subprotocol, if one is chosen.
 * @param extensions The value of `Sec-WebSocket-Extensions`, if there is one.
 * @returns The whole response.
 */
export function formatUpgrade(
  headers: RequestHeaders,
  protocol: string | undefined,
  extensions: string | undefined,
): string {
  const accept = acceptKey(headers.get("sec-websocket-key")!);
  const chosen = protocol === undefined
    ? ""
    : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  const agreed = extensions === undefined
    ? ""
    : `Sec-WebSocket-Extensions: ${extensions}\r\n`;
  return "HTTP/1.1 101 Switching Protocols\r\n" +
    "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n${chosen}${agreed}\r\n`;
}

/** From RFC 6455 section 1.3. */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The text that is hashed has 60 bytes: its end mark fits into the first block, its length does not. */
const keyLength = 24;
const hashedBits = (keyLength + guid.length) * 8;

const base64 =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Memory for one hash: the words of a block and those made of them, and the state. */
const hashWords = new Int32Array(80);
const hashState = new Int32Array(5);
/** The hash, and a byte to fill up the last digits in base64. */
const digest = new Uint8Array(21);

/**
 * Computes `Sec-WebSocket-Accept`: the SHA-1 (RFC 3174) of the client's key and a
 * constant, in base64. It guards no secret; for so few bytes, a call into
 * the runtime costs more than the hash.
 *
 * @param key The client's `Sec-WebSocket-Key`.
 * @returns The value.
 * @throws {RangeError} If the key has not the 24 characters of 16 bytes in
 * base64.
 *
 * @example Usage
 * ```ts
 * import { acceptKey } from "./handshake.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   acceptKey("dGhlIHNhbXBsZSBub25jZQ=="),
 *   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
 * );
 * ```
 */
export function acceptKey(key: string): string {
  if (key.length !== keyLength) {
    throw new RangeError(
      `Cannot accept a key of ${key.length} characters: it has ${keyLength}`,
    );
  }
  hashState[0] = 0x67452301;
  hashState[1] = 0xefcdab89;
  hashState[2] = 0x98badcfe;
  hashState[3] = 0x10325476;
  hashState[4] = 0xc3d2e1f0;
  const text = key + guid;
  for (let word = 0; word < text.length / 4; word++) {
    hashWords[word] = text.charCodeAt(word * 4) << 24 |
      text.charCodeAt(word * 4 + 1) << 16 |
      text.charCodeAt(word * 4 + 2) << 8 | text.charCodeAt(word * 4 + 3);
  }
  hashWords[15] = 0x80000000;
  hashBlock();
  hashWords.fill(0, 0, 15);
  hashWords[15] = hashedBits;
  hashBlock();
  for (let index = 0; index < 20; index++) {
    digest[index] = hashState[index >> 2]! >> (24 - (index & 3) * 8);
  }
  let encoded = "";
  for (let index = 0; index < digest.length; index += 3) {
    const group = digest[index]! << 16 | digest[index + 1]! << 8 |
      digest[index + 2]!;
    encoded += base64[group >> 18]! + base64[group >> 12 & 63]! +
      base64[group >> 6 & 63]! + base64[group & 63]!;
  }
  // The last digit is that of the byte that fills up.
  return `${encoded.slice(0, -1)}=`;
}

/** Takes a block into the state, RFC 3174 section 6.1. */
function hashBlock(): void {
  for (let round = 16; round < 80; round++) {
    hashWords[round] = rotate(
      hashWords[round - 3]! ^ hashWords[round - 8]! ^ hashWords[round - 14]! ^
        hashWords[round - 16]!,
      1,
    );
  }
  let a = hashState[0]!;
  let b = hashState[1]!;
  let c = hashState[2]!;
  let d = hashState[3]!;
  let e = hashState[4]!;
  for (let round = 0; round < 80; round++) {
    const mixed = round < 20
      ? (b & c | ~b & d) + 0x5a827999
      : round < 40
      ? (b ^ c ^ d) + 0x6ed9eba1
      : round < 60
      ? (b & c | b & d | c & d) + 0x8f1bbcdc
      : (b ^ c ^ d) + 0xca62c1d6;
    const next = rotate(a, 5) + mixed + e + hashWords[round]! | 0;
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  hashState[0]! += a;
  hashState[1]! += b;
  hashState[2]! += c;
  hashState[3]! += d;
  hashState[4]! += e;
}

function rotate(word: number, count: number): number {
  return word << count | word >>> (32 - count);
}
