/**
 * What the tests ask of a WebSocket client that is a program of its own, and
 * what it answers: a {@linkcode Session} is a line of JSON on its stdin, with a
 * number of the driver's as `id`; a {@linkcode Report} with the same `id` is a
 * line of JSON on its stdout. Each client runs sessions side by side.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** A message, put together of pieces. */
export interface Message {
  /** Whether it is sent as text. */
  readonly type: "text" | "binary";
  /** Its pieces, in order: text, or bytes in base64; and how many times each. */
  readonly pieces: readonly (readonly [piece: string, times: number])[];
}

/** What a client does; one thing of these. */
export type Step =
  /** Sends a message. */
  | { readonly send: Message }
  /** Sends a message, each piece a fragment, and waits for a pong between any two. */
  | { readonly fragments: Message }
  /** Sends bytes, in base64, as a text message, whatever they are. */
  | { readonly rawText: string }
  /** Sends a ping with this payload, and waits for its pong. */
  | { readonly ping: string }
  /** Waits until so many messages have come since the start. */
  | { readonly receive: number }
  /** Closes the WebSocket. */
  | { readonly close: readonly [code: number, reason: string] };

/** What only some clients can do. */
export type Capability = "fragments" | "ping" | "rawText" | "status";

/** The life of one WebSocket, as a client is to lead it. */
export interface Session {
  /** What it opens. */
  readonly url: string;
  /** The subprotocols that it offers. */
  readonly protocols: readonly string[];
  /**
   * What it does, in order. After them it waits for the end of the connection;
   * when that comes before, the rest is left out.
   */
  readonly steps: readonly Step[];
}

/** The life of one WebSocket, as a client saw it. */
export interface Report {
  /** Whether the server accepted. */
  readonly opened: boolean;
  /** The status of a refusal; 0 if there was none, or if the client cannot tell. */
  readonly status: number;
  /** The subprotocol; empty for none. */
  readonly protocol: string;
  /** The messages that came, in order, as {@linkcode digest} writes them. */
  readonly received: readonly string[];
  /** How many pongs it waited for and got. */
  readonly pongs: number;
  /** The code of the server's close frame; 1006 if there was none. */
  readonly code: number;
  /** The reason in it. */
  readonly reason: string;
}

/** Makes a text message. */
export function text(piece: string, times = 1): Message {
  return { type: "text", pieces: [[piece, times]] };
}

/** Makes a binary message. */
export function binary(piece: Uint8Array, times = 1): Message {
  return { type: "binary", pieces: [[piece.toBase64(), times]] };
}

/** Puts messages of one type together. */
export function concat(first: Message, ...others: Message[]): Message {
  return {
    type: first.type,
    pieces: [first, ...others].flatMap(({ pieces }) => pieces),
  };
}

/**
 * Writes what is in a message on one line.
 *
 * @param message The message.
 * @returns Its type, and its text or hexadecimal bytes; of one over 64 bytes,
 * their number and SHA-256 instead.
 */
export function digest({ type, pieces }: Message): string {
  const content = Buffer.concat(pieces.map(([piece, times]) => {
    const bytes = Buffer.from(piece, type === "text" ? "utf8" : "base64");
    return bytes.length === 0
      ? bytes
      : Buffer.alloc(bytes.length * times, bytes);
  }));
  if (content.length > 64) {
    const hash = createHash("sha256").update(content).digest("hex");
    return `${type} of ${content.length} ${hash}`;
  }
  return `${type} ${content.toString(type === "text" ? "utf8" : "hex")}`;
}
