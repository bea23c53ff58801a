/**
 * The seam between the bridge and a WebSocket engine: what a WebSocket that
 * was accepted can do, and what it tells the one who uses it.
 *
 * Messages cross it in batches, each one buffer with the places of its
 * messages: small ones then cost what their bytes cost.
 *
 * @module
 */

/** Messages from a client, in order. */
export interface IncomingMessages {
  /** The payloads of all messages, one after another and nothing else. */
  readonly data: Uint8Array;
  /** For each message, the offset in `data` at which it ends and the next one starts. */
  readonly ends: readonly number[];
}

/** Messages for a client, in order. */
export interface OutgoingMessages {
  /** The bytes in which the messages lie. */
  readonly data: Uint8Array;
  /** Where they lie, in order; bytes between them are not sent. */
  readonly messages: readonly OutgoingMessage[];
}

/** One message for a client, as a place in {@linkcode OutgoingMessages.data}. */
export interface OutgoingMessage {
  /** Offset of its first byte. */
  readonly start: number;
  /** Offset after its last byte. */
  readonly end: number;
  /** Whether it is a text message; its bytes are valid UTF-8 then. */
  readonly text: boolean;
}

/** How a WebSocket ended. */
export interface WebSocketEnd {
  /**
   * The close code: the client's, or the one that was sent to it; 1005 for a
   * close frame without one, 1006 for a connection that ended without a close frame.
   */
  readonly code: number;
  /** Why, in words; empty if nobody said. */
  readonly reason: string;
  /** Who ended it. */
  readonly by: "client" | "server";
}

/** A WebSocket that was accepted, for sending. */
export interface ServerWebSocket {
  /**
   * Sends messages. It must not be called again before what it returned is
   * resolved; the bytes of `messages` may be changed only then. After the
   * WebSocket has ended, it does nothing.
   *
   * @returns Nothing if there is room for more, else a promise that resolves
   * when there is, or when the WebSocket has ended.
   */
  send(messages: OutgoingMessages): void | Promise<void>;
  /**
   * Sends what was given to `send`, then a close frame, and ends the
   * connection when the client has answered, or after a time-out. A second
   * call does nothing.
   *
   * @param code Close code, RFC 6455 section 7.4.
   * @param reason Why; at most 123 bytes of UTF-8 are sent.
   */
  close(code: number, reason: string): void;
}

/** The one who uses a WebSocket: what happens on it is told here. */
export interface WebSocketHandler {
  /**
   * Takes messages from the client. The next ones are given only when the
   * promise that it returned has resolved, and `messages` may be reused then.
   */
  receive(messages: IncomingMessages): void | Promise<void>;
  /**
   * Learns that the WebSocket has ended. It is called once, after all messages
   * that came before were taken.
   */
  end(end: WebSocketEnd): void;
}
