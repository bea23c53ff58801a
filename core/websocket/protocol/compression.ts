/**
 * What compresses the messages of one WebSocket (RFC 7692), as the protocol uses
 * it: `core/websocket/deflate/` implements it.
 *
 * @module
 */

import type { OutgoingMessage } from "../engine.ts";
import type { ProtocolFailure } from "./close.ts";
import type { InflatedMessages } from "./inflated_messages.ts";

/** Compresses what is sent, and decompresses what comes, for one WebSocket. */
export interface MessageCompression {
  /**
   * Compresses a message to be sent.
   *
   * @param data The bytes in which the message lies.
   * @param message Where it lies.
   * @param target Where its payload is written; it has room there for as many
   * bytes as the message has, and four.
   * @param at Offset of the payload in `target`.
   * @returns Length of the payload, which is less than that of the message; -1:
   * the message is to be sent as it is.
   */
  compress(
    data: Uint8Array,
    message: OutgoingMessage,
    target: Uint8Array,
    at: number,
  ): number;
  /**
   * Decompresses a message.
   *
   * @param payload The payloads of all of its frames.
   * @param into What the message is appended to.
   * @param maxMessage Bytes: the largest message that is taken.
   * @returns What is wrong with it, if anything: how much of it was appended is
   * not defined then.
   */
  decompress(
    payload: Uint8Array,
    into: InflatedMessages,
    maxMessage: number,
  ): ProtocolFailure | undefined;
  /** Gives memory back: for a connection that has gone quiet. */
  trim(): void;
  /** Gives all memory back. Nothing may be called after it. */
  close(): void;
}
