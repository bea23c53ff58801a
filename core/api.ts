/**
 * The interfaces for authors of plugins: a {@linkcode Backend} names the peer
 * of a WebSocket, and a {@linkcode Framer} makes messages from a peer's bytes.
 * The built-in backends and framing functions use these interfaces and no
 * others.
 *
 * A plugin is a module that exports {@linkcode apiVersion} as it is here, and
 * `createBackend`, a function that makes a {@linkcode Backend} or a promise of
 * one, or `framings`, a record of {@linkcode CreateFraming} by name, or both.
 *
 * It runs in a process or a thread of its own, with only the permissions that
 * the configuration grants it. A call that throws fails for its own client. The
 * server restarts a plugin that does not answer for `plugin-timeout` seconds,
 * that leaves an error uncaught, or that ends itself: it imports the module
 * again, calls `createBackend`, and configures and starts the backend as
 * before. What the plugin held is lost, and its framers end their connections.
 *
 * @module
 */

/** The version of this interface; a plugin exports the one it was written for. */
export const apiVersion = 1;

/**
 * A peer discovery backend: for each WebSocket that a client wants to open, it
 * answers which peer the client gets connected to.
 *
 * @example A backend that knows one peer
 * ```ts
 * import type { Backend } from "@websocksy/websocksy/api";
 *
 * export const apiVersion = 1;
 *
 * export function createBackend(): Backend {
 *   return {
 *     query({ endpoint }) {
 *       return endpoint === "/chat" ? { address: "tcp://127.0.0.1:6667" } : undefined;
 *     },
 *   };
 * }
 * ```
 */
export interface Backend {
  /**
   * Whether clients choose their peers, so that the option `allow-peer` has to
   * limit them: without it, the backend is a configuration error.
   *
   * @default {false}
   */
  readonly needsAllowPeer?: boolean;
  /**
   * Takes one configuration option. It is called once for each, in the order
   * given, before the first query.
   *
   * @param option Name of the option, as written.
   * @param value Its value, verbatim.
   * @throws {Error} If the option is unknown or its value is not valid. The
   * user sees the message after the place where the option is written.
   */
  configure?(option: string, value: string): void | Promise<void>;
  /**
   * Called once when all options are set, before the first query.
   *
   * @returns The peer, if every query will name the same: the server then
   * checks at the start that its framing function exists and accepts its
   * configuration.
   * @throws {Error} If an option is missing.
   */
  start?(): PeerInfo | undefined | Promise<PeerInfo | undefined>;
  /**
   * Names the peer of a WebSocket that a client wants to open.
   *
   * @returns The peer, or `undefined` if there is none (HTTP status 404), or why
   * the client gets none.
   * @throws {Error} If the answer cannot be found (HTTP status 500).
   */
  query(
    request: BackendQuery,
  ):
    | PeerInfo
    | Refusal
    | undefined
    | Promise<PeerInfo | Refusal | undefined>;
  /**
   * Releases what the backend holds. It is called once, after the last query,
   * and has a second for it.
   */
  cleanup?(): void | Promise<void>;
}

/** What a client asked for: the request that wants to open a WebSocket. */
export interface BackendQuery {
  /** The request's path as sent: escapes and `..` untouched, no query string. */
  readonly endpoint: string;
  /** The request's query string, without the `?`; empty if there is none. */
  readonly query: string;
  /**
   * What the `*` at the end of the route's pattern stands for: the endpoint's
   * rest, as sent, without a slash before it. Empty where there is no such
   * route. The server always gives it; a test may leave it out.
   */
  readonly rest?: string;
  /**
   * The host that the client asks for: that of the field `Host`, in lower case,
   * without the port, the brackets of IPv6 and a dot at its end. Empty if there
   * is no such field. The server always gives it; a test may leave it out.
   */
  readonly host?: string;
  /** Who the client is, if that is known. */
  readonly user?: string;
  /** The subprotocols that the client offers, in its order of preference. */
  readonly protocols: readonly string[];
  /** The request's header fields, names in lower case, repeated fields joined with `, `. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The client's address; `port` is absent for a client on a Unix socket. */
  readonly remote: RemoteAddress;
  /**
   * Aborted when the answer is no longer needed: the client has left, or its
   * time is over. The server always gives it; a test may leave it out.
   */
  readonly signal?: AbortSignal;
}

/** The address of a client. */
export interface RemoteAddress {
  /** IP address, or the path of a Unix socket. */
  readonly address: string;
  /** Port, 1 to 65535; absent for a Unix socket. */
  readonly port?: number;
}

/** The peer that a backend chose, and how to talk to it. */
export interface PeerInfo {
  /**
   * `tcp://HOST[:PORT]`, `tls://…`, `udp://…`, `unix://PATH` or
   * `unix-dgram://PATH`; `@NAME` is an abstract socket. Of several peers, the
   * client gets the first that can be connected to, in the order that the option
   * `balance` sets.
   */
  readonly address: string | readonly string[];
  /**
   * Name of the framing function.
   *
   * @default {"auto"}
   */
  readonly framing?: string;
  /**
   * Configuration of the framing function.
   *
   * @default {""}
   */
  readonly framingConfig?: string;
  /**
   * The subprotocol to negotiate: a name (in any case), which must be among
   * those that the client offers, if it offers any; `*`: the first one that it
   * offers, but `base64`, whose messages are bytes written as text. Absent: clients that offer any are refused.
   */
  readonly protocol?: string;
  /**
   * The version of the PROXY protocol in which a `tcp`, `tls` or `unix` peer
   * is told the client's address, before anything else. Absent: it is not told.
   */
  readonly proxyProtocol?: "v1" | "v2";
  /**
   * For a `tls` peer: certificates, PEM, of authorities that are trusted beside
   * the public ones; or the peer's own one. It is the text itself: no file is
   * opened for a plugin.
   */
  readonly tlsCa?: string;
  /**
   * For a `tls` peer: `sha256/` and the SHA-256 of the only certificate that it
   * may have, in base64 or hexadecimal; several are separated by commas. Its
   * name, dates and issuer do not count then. It goes without `tlsCa`.
   */
  readonly tlsFingerprint?: string;
  /**
   * For a `tls` peer: the name that it is asked for (SNI) and that its
   * certificate has to have. Absent: the host of its address.
   */
  readonly tlsName?: string;
  /**
   * Seconds since 1970 at which the WebSocket is closed with 1008: what let the
   * client in has expired. Absent: it goes on.
   */
  readonly expires?: number;
  /**
   * Who the client is, if the backend knows better: for the log. It has 1 to 256
   * characters, none of them for control.
   */
  readonly user?: string;
  /** What the administrator should know about the answer: a warning for the log. */
  readonly warning?: string;
}

/** Why a client gets no peer. */
export interface Refusal {
  /**
   * The HTTP status: 401, it has to say who it is; 403, it may not; 404, there
   * is no such peer; 429, it asks too often; 502, what knows the peers cannot be
   * asked; 503, there is none at the moment; 504, what knows the peers does not
   * answer in time.
   */
  readonly refuse: 401 | 403 | 404 | 429 | 502 | 503 | 504;
  /**
   * How a client says who it is: the field `WWW-Authenticate` with 401.
   *
   * @default {"Bearer"}
   */
  readonly authenticate?: string;
  /**
   * Seconds after which to ask again: the field `Retry-After` with 429 and 503.
   *
   * @default {5}
   */
  readonly retryAfter?: number;
  /** Why, for the log; the client is not told. */
  readonly why?: string;
}

/**
 * Makes the {@linkcode Framer} of one connection.
 *
 * @param config Configuration of the framing function, verbatim; may be empty.
 * @throws {Error} If the configuration is not valid (HTTP status 500).
 *
 * @example A framing function that cuts the peer's bytes into pieces of four
 * ```ts
 * import type { CreateFraming } from "@websocksy/websocksy/api";
 *
 * export const apiVersion = 1;
 *
 * export const framings: Record<string, CreateFraming> = {
 *   four: () => ({
 *     frame: (data) => data.length < 4 ? null : { length: 4, type: "binary" },
 *   }),
 * };
 * ```
 */
export type CreateFraming = (config: string) => Framer;

/**
 * Cuts the bytes of one connection's peer into messages, and may change the
 * client's messages on their way to that peer.
 */
export interface Framer {
  /**
   * Says how many bytes, from the start of `data`, make the next message. It
   * is called after each read, and again while it finds a message and bytes
   * remain.
   *
   * @param data All bytes read and not yet sent; at least one. They are valid
   * during the call only, and must not be changed.
   * @param fresh How many bytes at the end of `data` came with the last read.
   * @returns The next message, or `null` if more bytes are needed.
   * @throws {Error} If the bytes cannot be framed: the connection is closed
   * with 1011.
   */
  frame(data: Uint8Array, fresh: number): Frame | null;
  /**
   * Says what happens to the bytes that make no whole message when the peer
   * ends its side of the connection. It is called again while it answers a
   * message and bytes remain.
   *
   * @param data The bytes held; at least one. They are valid during the call
   * only, and must not be changed.
   * @returns The next message, or `null`: all of them are the last message, of
   * the type that {@linkcode remainder} says.
   * @throws {Error} If the bytes are malformed: the connection is closed with
   * 1011.
   */
  end?(data: Uint8Array): Frame | null;
  /**
   * The type of the last message, of the bytes that make no whole message when
   * the peer ends its side: text (if they are valid UTF-8), or binary. An empty
   * datagram has this type, too; `frame` is not called for it.
   *
   * @default {"binary"}
   */
  readonly remainder?: "text" | "binary";
  /**
   * Encodes a message of the client for the peer: a stream peer gets the bytes,
   * a datagram peer gets them as one datagram. It is called for each message,
   * in order, empty ones included. Absent: the peer gets messages as they are,
   * except for {@linkcode append}.
   *
   * @param message The message. It is valid during the call only, and must not
   * be changed.
   * @param type The type that the client gave it.
   * @returns What the peer gets, up to `max-message` bytes: `message` itself,
   * or bytes that do not change until the next call.
   * @throws {Error} If the peer's protocol has no such message: the connection
   * is closed with 1011.
   */
  encode?(message: Uint8Array, type: "text" | "binary"): Uint8Array;
  /**
   * Bytes that are added to each message of the client that does not end with
   * them. It is ignored beside {@linkcode encode}, and costs far less.
   */
  readonly append?: Uint8Array;
  /** Releases what the framer holds. It is called once, when the connection ends. */
  close?(): void;
}

/** A message at the start of what a {@linkcode Framer} was given. */
export interface Frame {
  /** How many bytes it consumes, 1 to the number of bytes given. */
  readonly length: number;
  /**
   * How it is sent to the client: as a text message (as a binary one if it is
   * not valid UTF-8), as a binary message, or not at all.
   */
  readonly type: "text" | "binary" | "discard";
  /**
   * Offset in these bytes at which the message for the client begins: bytes
   * before it are dropped.
   *
   * @default {0}
   */
  readonly start?: number;
  /**
   * Offset in these bytes at which the message for the client ends: bytes from
   * there on are dropped.
   *
   * @default {length}
   */
  readonly end?: number;
  /**
   * The message for the client in place of these bytes; it is copied at once.
   */
  readonly message?: Uint8Array;
}
