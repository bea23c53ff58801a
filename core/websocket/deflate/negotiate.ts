/**
 * Whether and how the messages of a WebSocket are compressed.
 *
 * @module
 */

import type { RequestHeaders } from "../engine.ts";
import { DeflateCodec } from "./codec.ts";
import { acceptOffer } from "./offer.ts";

/** The compression that a client and the server agree upon. */
export interface Negotiated {
  /** Value of the response's `Sec-WebSocket-Extensions`. */
  readonly response: string;
  /** What compresses and decompresses. */
  readonly codec: DeflateCodec;
}

/**
 * Negotiates the compression of a WebSocket.
 *
 * @param headers The request's header fields.
 * @param level 1, the fastest, to 9, the smallest; 0: messages are not compressed.
 * @param memory Bytes that it may take for the WebSocket.
 * @returns What is agreed upon; `undefined`: messages are not compressed.
 * @throws {RequestError} 400 if the client's offer is malformed.
 */
export function negotiateCompression(
  headers: RequestHeaders,
  level: number,
  memory: number,
): Negotiated | undefined {
  if (level === 0) return undefined;
  const offers = headers.get("sec-websocket-extensions");
  const offer = acceptOffer(offers, memory);
  return offer && {
    response: offer.response,
    codec: new DeflateCodec(offer.parameters, level),
  };
}
