/**
 * The interfaces between a WebSocket engine and the rest: what an accepted
 * WebSocket can do, and what it reports.
 *
 * Messages are passed in batches, each of which is one buffer with the places
 * of its messages, so that a small message costs little more than its bytes.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { RequestError } from "../errors.ts";
import type { ListenAddress } from "../net/address.ts";

/** Messages from a client, in order. */
export interface IncomingMessages {
  /**
   * The payloads of all messages, one after another, without anything between
   * them.
   */
  readonly data: Uint8Array;
  /** For each message, the offset in `data` at which it ends and the next one starts. */
  readonly ends: readonly number[];
  /**
   * Indexes of the messages whose type differs from that of the message before;
   * the first one is compared with a binary message. Most batches have one type
   * only.
   *
   * @default {[]}
   */
  readonly turns?: readonly number[];
  /**
   * Whether the engine has seen to it that each message ends with the bytes of
   * {@linkcode WebSocketHandler.append}, and is no larger than it may be.
   *
   * @default {false}
   */
  readonly ended?: boolean;
}

/** Messages for a client, in order. */
export interface OutgoingMessages {
  /** The bytes in which the messages lie. */
  readonly data: Uint8Array;
  /** Where they lie, in order; bytes between them are not sent. */
  readonly messages: readonly OutgoingMessage[];
  /**
   * Bytes before the first message that are free: the engine may write the
   * header of its frame there.
   *
   * @default {0}
   */
  readonly headroom?: number;
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
  /** The reason, in words; may be empty. */
  readonly reason: string;
  /** Who ended it. */
  readonly by: "client" | "server";
}

/** A WebSocket that was accepted, for sending. */
export interface ServerWebSocket {
  /**
   * Starts to call the handler. It must be called once, before anything else,
   * and soon: until then, messages from the client wait.
   *
   * @param handler Receives what happens.
   */
  start(handler: WebSocketHandler): void;
  /**
   * Sends messages. It must not be called again, and the bytes of `messages`
   * must not be changed, until the promise that it returned has resolved. After
   * the WebSocket has ended, it does nothing.
   *
   * @returns Nothing if there is room for more; otherwise a promise that
   * resolves when there is, or when the WebSocket has ended.
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
  /**
   * Bytes that wait to be sent, which show whether a slow client makes
   * progress.
   */
  readonly pending: number;
  /**
   * What was sent while the connection was open; it does not count what was
   * given to `send` later.
   */
  readonly sent: Readonly<SentMessages>;
}

/** How much was sent to a client. */
export interface SentMessages {
  /** Messages. */
  messages: number;
  /** Bytes of their payloads. */
  bytes: number;
}

/** Receives what happens on a WebSocket. */
export interface WebSocketHandler {
  /**
   * Bytes that the handler will add to each message that does not end with
   * them. An engine may add them before to some or all messages, where that
   * costs less.
   */
  readonly append?: Uint8Array | undefined;
  /**
   * Takes messages from the client. The engine passes the next ones, and reuses
   * `messages`, only when the returned promise has resolved. The promise never
   * rejects.
   */
  receive(messages: IncomingMessages): void | Promise<void>;
  /**
   * Called when the client will send nothing beyond what waits for {@linkcode
   * receive} now. It may be called more than once, before {@linkcode end}.
   */
  ending(): void;
  /**
   * Called once when the WebSocket has ended, after {@linkcode receive} has
   * taken all messages; if the engine itself ended the WebSocket, messages that
   * still waited are lost.
   */
  end(end: WebSocketEnd): void;
}

/** The header fields of a request; `Headers` is one of these. */
export interface RequestHeaders
  extends Iterable<[name: string, value: string]> {
  /**
   * Looks fields up.
   *
   * @param name Their name, in lower case.
   * @returns Their values, joined by `, `, those of `cookie` by `; ` (RFC 9113
   * section 8.2.3); `null` if there are none.
   */
  get(name: string): string | null;
}

/** A request, parsed once where it arrives; nothing in it is normalised. */
export interface RequestHead {
  /** Its method. */
  readonly method: string;
  /** Its target as sent: a path, and perhaps a query string. */
  readonly target: string;
  /** The path of its target. */
  readonly endpoint: string;
  /** The query string of its target, without the `?`. */
  readonly query: string;
  /** Its header fields. */
  readonly headers: RequestHeaders;
  /** Whether it asks for a WebSocket, even if the handshake is not valid. */
  readonly asksForWebSocket: boolean;
  /** The client's address. */
  readonly remote: RemoteAddress;
  /** The address that the client has connected to; absent if it is not known. */
  readonly local?: RemoteAddress;
  /** The certificate that the client has shown; absent: none, or it was not asked for one. */
  readonly certificate?: ClientCertificate;
  /**
   * The refusal of a request that is malformed. The other fields of such a
   * request may be incomplete.
   */
  readonly fault?: RequestError;
}

/** The certificate that a client has shown, and has the key of. */
export interface ClientCertificate {
  /** Its common names, and after them its other names. */
  readonly names: readonly string[];
  /** When it expires, in milliseconds since 1970. */
  readonly expires: number;
  /** The authorities that vouch for it, by their fingerprints. */
  readonly authorities: readonly string[];
  /** Whether each of these vouches for it; else one of them does. */
  readonly isCertain: boolean;
  /** Why it is not to be trusted, in words; absent: it is. */
  readonly fault?: string;
}

/** A request that waits for its answer. */
export interface HttpRequest extends RequestHead {
  /** Aborted when the client is gone before it has an answer. */
  readonly signal: AbortSignal;
  /**
   * Accepts it as a WebSocket, once its handshake is checked.
   *
   * @param protocol The subprotocol, as the client wrote it; absent: none.
   * @param compression How hard messages are compressed; absent: as the engine's
   * limits say.
   * @returns The WebSocket, which is open; `undefined` if the client is gone.
   */
  accept(
    protocol?: string,
    compression?: number,
  ): ServerWebSocket | undefined | Promise<ServerWebSocket | undefined>;
}

/**
 * Answers a request. Its promise gives the HTTP response; `undefined` if there
 * is none, as the request was accepted as a WebSocket, or its client is gone.
 * It never rejects.
 */
export type RequestHandler = (
  request: HttpRequest,
) => Promise<Response | undefined>;

/** Options for {@linkcode WebSocketEngine.listen}. */
export interface EngineOptions {
  /** Where to listen. */
  readonly listen: ListenAddress;
  /** Listen port; 0: any free port. */
  readonly port: number;
  /** Whether other threads, or processes, listen on the same port, and share its connections. */
  readonly isShared?: boolean;
  /** Permissions of a Unix socket; absent: what the umask leaves. */
  readonly listenMode?: number | undefined;
  /** The certificate for clients, which then use TLS. */
  readonly certificate?: ServerCertificate | undefined;
  /** Seconds for a request's head and for the TLS handshake, each, where the engine can limit them. */
  readonly headTimeout: number;
  /** Returns the limits of a WebSocket; called for each one that is opened. */
  readonly limits: () => EngineLimits;
  /**
   * Counts an accepted connection, before anything is read from it; an engine
   * that does not accept connections itself cannot call it.
   *
   * @param remote Who has connected.
   * @returns A function to call when it is closed, or the refusal.
   */
  readonly admit?: (remote: RemoteAddress) => (() => void) | RequestError;
  /** Answers the requests. */
  readonly handle: RequestHandler;
  /**
   * Called with errors that belong to no request: connections that cannot be
   * accepted.
   */
  readonly onError: (error: Error) => void;
}

/** A certificate of a server, and its key. */
export interface CertifiedKey {
  /** The certificate, and those that lead to its authority, PEM. */
  readonly cert: string;
  /** Its private key, PEM. */
  readonly key: string;
}

/** What a server shows to clients that use TLS. */
export interface ServerCertificate extends CertifiedKey {
  /**
   * Further certificates, where the engine can choose: the first one that is
   * valid for the name that a client asks for is used, of this and of these.
   */
  readonly others?: readonly CertifiedKey[];
  /**
   * The certificates of authorities, PEM: clients are asked for certificates of
   * theirs. Absent: they are asked for none.
   */
  readonly clientAuthorities?: string;
}

/** The limits of a WebSocket. */
export interface EngineLimits {
  /** Seconds without traffic from the client before it is sent a ping; 0: never. */
  readonly ping: number;
  /** Seconds of silence before TCP asks the client whether it is there, where the engine can; 0: never. */
  readonly keepAlive: number;
  /** Bytes: largest message from the client. */
  readonly maxMessage: number;
  /**
   * How hard messages are compressed, 1 to 9, where the engine can; 0: not at all.
   *
   * @default {0}
   */
  readonly compression?: number;
  /**
   * Bytes that compressing may take for one WebSocket.
   *
   * @default {0}
   */
  readonly compressionMemory?: number;
  /** Bytes from the client that may wait for {@linkcode WebSocketHandler.receive}. */
  readonly maxBuffer: number;
}

/** A server that listens. */
export interface EngineServer {
  /** The port that it listens on; 0 on a Unix socket. */
  readonly port: number;
  /**
   * Uses another certificate for clients that connect from now on.
   *
   * @param certificate The certificate.
   * @returns Whether the engine can; otherwise it keeps the old one.
   */
  useCertificate(certificate: ServerCertificate): boolean;
  /**
   * Stops listening: connections that are open go on, and those that the system
   * has completed already are accepted.
   *
   * @returns A promise that resolves when nothing listens any more.
   */
  stopListening(): Promise<void>;
  /**
   * Stops listening and ends all open connections.
   *
   * @returns A promise that resolves when nothing is left.
   */
  close(): Promise<void>;
}

/** An implementation of WebSocket on top of HTTP. */
export interface WebSocketEngine {
  /**
   * Starts a server.
   *
   * @param options Where, and what for.
   * @returns The server.
   * @throws {Error} If it cannot listen there.
   */
  listen(options: EngineOptions): EngineServer | Promise<EngineServer>;
}
