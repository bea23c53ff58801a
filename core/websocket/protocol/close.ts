/**
 * The two ways in which a client ends a WebSocket: a close frame, or a
 * violation of the protocol.
 *
 * @module
 */

import { isValidUtf8 } from "../utf8.ts";

/** A client's close frame, RFC 6455 section 5.5.1. */
export interface ReceivedClose {
  /** Its code; 1005 if it has none (section 7.1.5). */
  readonly code: number;
  /** Its reason; may be empty. */
  readonly reason: string;
}

/** Why a connection has to be failed, RFC 6455 section 7.1.7. */
export interface ProtocolFailure {
  /**
   * The close code, section 7.4.1: 1002 protocol error, 1007 text that is not
   * UTF-8, 1009 message too big.
   */
  readonly code: 1002 | 1007 | 1009;
  /** Why, in words. */
  readonly reason: string;
}

/**
 * Decodes the payload of a close frame, RFC 6455 section 5.5.1.
 *
 * @param payload The payload, unmasked; 0 to 125 bytes.
 * @returns Code and reason, or what is wrong with them.
 *
 * @example Usage
 * ```ts
 * import { decodeClose } from "./close.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decodeClose(new Uint8Array([0x03, 0xe8])), { code: 1000, reason: "" });
 * assertEquals(decodeClose(new Uint8Array([0x03, 0xe7])), {
 *   failure: { code: 1002, reason: "Close code 999 is not valid" },
 * });
 * ```
 */
export function decodeClose(
  payload: Uint8Array,
): ReceivedClose | { readonly failure: ProtocolFailure } {
  if (payload.length === 0) return { code: 1005, reason: "" };
  if (payload.length === 1) {
    const reason = "Close frame has only half a code";
    return { failure: { code: 1002, reason } };
  }
  const code = payload[0]! << 8 | payload[1]!;
  if (!isReceivable(code)) {
    const reason = `Close code ${code} is not valid`;
    return { failure: { code: 1002, reason } };
  }
  if (!isValidUtf8(payload, 2)) {
    const reason = "Close reason is not valid UTF-8";
    return { failure: { code: 1007, reason } };
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return { code, reason: decoder.decode(payload.subarray(2)) };
}

/**
 * Tells whether a close frame may have a code: RFC 6455 section 7.4, and the
 * registry of section 11.7, which has 1012 to 1014 since. 1004 to 1006 and
 * 1015 never go over the wire; the rest below 3000 has no meaning yet.
 */
function isReceivable(code: number): boolean {
  if (code >= 1000 && code <= 1014) return code < 1004 || code > 1006;
  return code >= 3000 && code <= 4999;
}
