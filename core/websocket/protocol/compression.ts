/**
 * What compresses the messages of one WebSocket (RFC 7692), as the protocol uses
 * it: `core/websocket/deflate/` implements it.
 *
 * @module
 */

import type { OutgoingMessage } from "../engine.ts";
import type { ProtocolFailure } from "./close.ts";
import type { InflatedMessages } from "./inflated_messages.ts";

/** What has become of a message that is decompressed. */
export type Decompressed =
  /** It is whole. */
  | "whole"
  /** There may be more of it: {@linkcode MessageCompression.proceed} goes on. */
  | "partial"
  /** It is not valid: how much of it was appended is not defined. */
  | ProtocolFailure;

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
   * Decompresses a message, or the beginning of a long one.
   *
   * @param payload The payloads of all of its frames; they must not be changed
   * until the message is whole.
   * @param into What the message is appended to.
   * @param maxMessage Bytes: the largest message that is taken.
   */
  decompress(
    payload: Uint8Array,
    into: InflatedMessages,
    maxMessage: number,
  ): Decompressed;
  /**
   * Decompresses some more of the message that is partial.
   *
   * @param into What it is appended to.
   * @param maxMessage Bytes: the largest message that is taken.
   */
  proceed(into: InflatedMessages, maxMessage: number): Decompressed;
  /** Gives memory back: for a connection that has gone quiet. */
  trim(): void;
  /** Gives all memory back. Nothing may be called after it. */
  close(): void;
}
