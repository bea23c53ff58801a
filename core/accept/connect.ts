/**
 * Makes what a bridge needs for a request: asks the backend, chooses the
 * subprotocol, makes the framer, and opens the peer.
 *
 * @module
 */

import { untilAborted } from "../time/deadline.ts";
import {
  formatAddress,
  hasScheme,
  parseAddress,
  type PeerAddress,
} from "../net/address.ts";
import type { AllowedPeers } from "../net/allowed_peers.ts";
import type { Backend, BackendQuery, PeerInfo, RemoteAddress } from "../api.ts";
import { queryBackend } from "./backend.ts";
import type { RouteMatch } from "./route.ts";
import { RequestError } from "../errors.ts";
import {
  defaultFraming,
  type FramingTable,
  openFramer,
  type StreamFramer,
} from "../bridge/message_framer.ts";
import type { RequestHead } from "../websocket/engine.ts";
import { chooseProtocol, listProtocols } from "../websocket/handshake.ts";
import { hostOf } from "../websocket/request.ts";
import { openPeer, type OpenPeerOptions } from "../peers/open.ts";
import type { Peer } from "../peers/peer.ts";
import { openOneOf, type OpenOneOfOptions } from "../peers/several.ts";
import {
  encodeProxyHeader,
  type ProxiedClient,
} from "../peers/proxy_protocol.ts";
import {
  type HandshakeTelemetry,
  unwatchedHandshake,
} from "../telemetry/telemetry.ts";

/** A client that asks for a WebSocket. */
export interface Client {
  /** Number of the connection, from 1. */
  readonly id: number;
  /** What it asks for. */
  readonly request: RequestHead;
  /** Who it is, behind the proxies that are trusted. */
  readonly remote: RemoteAddress;
  /** The subprotocols that it offers, in its order of preference. */
  readonly protocols: readonly string[];
  /** The route that it matches, if there is one. */
  readonly match: RouteMatch | undefined;
  /** Records what happens to the request. */
  readonly telemetry: HandshakeTelemetry;
  /** Who it has shown to be; absent: no credentials were demanded. */
  readonly user?: string | undefined;
}

/**
 * Makes the query for a backend. Few backends use header fields, so they are
 * only listed when they are read.
 *
 * @param client The client.
 * @param signal Aborted when the answer is no longer needed.
 * @returns The query.
 */
export function toQuery(
  { request, remote, protocols, match, user }: Client,
  signal: AbortSignal,
): BackendQuery {
  let headers: BackendQuery["headers"] | undefined;
  return {
    endpoint: request.endpoint,
    query: request.query,
    rest: match?.rest ?? "",
    protocols,
    remote,
    signal,
    ...user !== undefined && { user },
    get host(): string {
      return hostOf(request.headers);
    },
    get headers(): BackendQuery["headers"] {
      return headers ??= [...request.headers];
    },
  };
}

/** What a connection is made with. */
export interface ConnectOptions {
  /** Answers which peer; absent: no backend is configured. */
  readonly backend: Backend | undefined;
  /** The framing functions. */
  readonly framings: FramingTable;
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** Gives up when it is aborted. */
  readonly signal: AbortSignal;
  /**
   * The peers that may be opened.
   *
   * @default {"*"}
   */
  readonly allowed?: AllowedPeers;
  /**
   * Seconds of silence before TCP asks whether the peer is there; 0: never.
   *
   * @default {0}
   */
  readonly keepAlive?: number;
  /** The address that the client has connected to, if it is known. */
  readonly local?: RemoteAddress | undefined;
  /** Tells more of the client, to a peer that is to know it. */
  readonly describeClient?: () => ProxiedClient;
  /** Name of the backend, for the telemetry. */
  readonly backendName?: string;
  /** Pattern of the route that it is of, for the telemetry. */
  readonly route?: string | undefined;
  /**
   * How one of several peers is chosen; absent: the first one is taken.
   */
  readonly several?: SeveralPeers;
  /** Measures each step. */
  readonly telemetry?: HandshakeTelemetry;
  /** Called with a warning of the backend. */
  readonly onWarning?: (warning: string) => void;
}

/** A peer that is open, and how to talk to it. */
export interface Connection {
  /** The peer. */
  readonly peer: Peer;
  /** Its address, with a scheme. */
  readonly address: string;
  /** Makes messages of its bytes. */
  readonly framer: StreamFramer;
  /** Name of the framing function. */
  readonly framing: string;
  /** The subprotocol, as the client wrote it. */
  readonly protocol: string | undefined;
  /** Who the client is, as the backend says. */
  readonly user?: string | undefined;
  /** When the WebSocket is to end, as the backend says, in seconds since 1970. */
  readonly expires?: number | undefined;
  /** A note for the log. */
  readonly note: string | undefined;
  /** Called when the peer is closed, if it was one of several. */
  readonly release: (() => void) | undefined;
}

/** How one of several peers is chosen. */
export type SeveralPeers = Pick<
  OpenOneOfOptions,
  "states" | "balance" | "retry" | "timeout"
>;

/**
 * Finds and opens the peer of a WebSocket that a client wants to open.
 *
 * @param query What the client asks for.
 * @param options Where to look it up.
 * @returns The connection; the caller closes it.
 * @throws {RequestError} If there is none: 404, 400, 500 or 502, or what the
 * backend says; `signal`'s
 * reason if that was aborted.
 */
export async function connect(
  query: BackendQuery,
  options: ConnectOptions,
): Promise<Connection> {
  const { signal, allowed = "*", telemetry = unwatchedHandshake } = options;
  const { keepAlive = 0 } = options;
  const info = await telemetry.queryBackend(
    options.backendName ?? "",
    () => askBackend(query, options),
    options.route,
  );
  if (info.warning !== undefined) options.onWarning?.(info.warning);
  const protocol = chooseProtocol(query.protocols, info.protocol);
  const addresses = [info.address].flat();
  const parsed = addresses.map(parsePeerAddress);
  const preface = info.proxyProtocol === undefined
    ? undefined
    : encodeProxyHeader(info.proxyProtocol, {
      source: query.remote,
      destination: options.local,
      client: options.describeClient?.(),
    });
  const framer = await makeFramer(info, options);
  const { peer, index = 0, release } = await telemetry.connectPeer(
    parsed[0]!.transport,
    () =>
      openPeerFor(framer, parsed, {
        signal,
        allowed,
        ...preface !== undefined && { preface },
        keepAlive,
        trust: info,
      }, options.several),
  );
  return {
    peer,
    address: formatAddress(parsed[index]!),
    framer,
    framing: info.framing ?? defaultFraming,
    protocol,
    user: info.user,
    expires: info.expires,
    note: hasScheme(addresses[index]!)
      ? undefined
      : `peer address "${addresses[index]}" names no scheme, tcp is assumed`,
    release,
  };
}

async function askBackend(
  query: BackendQuery,
  { backend, signal }: ConnectOptions,
): Promise<PeerInfo> {
  if (backend === undefined) {
    throw new RequestError(404, "no peer for this request", {
      cause: "no route matches, and there is no other backend",
    });
  }
  let info: PeerInfo | undefined;
  try {
    info = await queryBackend(backend, query, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RequestError) throw error;
    throw new RequestError(500, "backend failed", { cause: error });
  }
  if (info === undefined) {
    throw new RequestError(404, "no peer for this request", {
      cause: query.protocols.length === 0
        ? undefined
        : `the client offers ${listProtocols(query.protocols)}`,
    });
  }
  return info;
}

async function openPeerFor(
  framer: StreamFramer,
  addresses: readonly PeerAddress[],
  options: OpenPeerOptions,
  several: SeveralPeers | undefined,
): Promise<Pick<Connection, "peer" | "release"> & { readonly index?: number }> {
  try {
    const [first] = addresses;
    if (addresses.length === 1 || several === undefined) {
      return { peer: await openPeer(first!, options), release: undefined };
    }
    return await openOneOf(addresses, { ...options, ...several });
  } catch (error) {
    framer.close();
    options.signal.throwIfAborted();
    throw new RequestError(502, "peer connection failed", { cause: error });
  }
}

function parsePeerAddress(text: string): PeerAddress {
  try {
    const address = parseAddress(text);
    if ("hostname" in address && address.port === undefined) {
      throw new TypeError(
        `Cannot use peer address "${text}": it names no port`,
      );
    }
    return address;
  } catch (error) {
    throw new RequestError(500, "backend failed", { cause: error });
  }
}

async function makeFramer(
  info: PeerInfo,
  { framings, maxMessage, signal }: ConnectOptions,
): Promise<StreamFramer> {
  try {
    const framer = openFramer(info, framings, { maxMessage });
    return framer instanceof Promise
      ? await untilAborted(framer, signal, (late) => late.close())
      : framer;
  } catch (error) {
    signal.throwIfAborted();
    throw new RequestError(500, "framing failed", { cause: error });
  }
}
