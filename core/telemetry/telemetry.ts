/**
 * What the bridge tells those who watch it with metrics and traces. It knows
 * nothing of how they are exported.
 *
 * @module
 */

import type { RequestHeaders, WebSocketEnd } from "../websocket/engine.ts";

/** What went one way. */
export interface Traffic {
  /** Number of messages. */
  messages: number;
  /** Payload bytes. */
  bytes: number;
}

/** What has gone through a connection so far; it goes on changing while it is open. */
export interface ConnectionTraffic {
  /** Messages and bytes from the client to the peer. */
  readonly toPeer: Readonly<Traffic>;
  /** Messages and bytes from the peer to the client. */
  readonly toClient: Readonly<Traffic>;
}

/** Records what happens. Nothing in it waits, throws, or is called for each message. */
export interface Telemetry {
  /**
   * Records that a client asks for a WebSocket.
   *
   * @param headers The request's header fields, which may name a trace.
   * @returns Who is told what becomes of it.
   */
  handshake(headers: RequestHeaders): HandshakeTelemetry;
  /**
   * Records that a plugin which had failed was started again.
   *
   * @param name Name of the plugin.
   * @param outcome Whether it runs.
   */
  pluginRestart(name: string, outcome: "running" | "failed"): void;
}

/** Records the steps of a handshake, and its end, which is one of three. */
export interface HandshakeTelemetry {
  /**
   * Takes the time of a backend's answer.
   *
   * @param backend Name of the backend.
   * @param query Asks it.
   * @returns What `query` returns.
   * @throws {Error} What `query` throws.
   */
  queryBackend<T>(backend: string, query: () => Promise<T>): Promise<T>;
  /**
   * Takes the time of opening a peer.
   *
   * @param transport The peer's transport, as addresses name it.
   * @param connect Opens it.
   * @returns What `connect` returns.
   * @throws {Error} What `connect` throws.
   */
  connectPeer<T>(transport: string, connect: () => Promise<T>): Promise<T>;
  /**
   * Records that the request was refused.
   *
   * @param status HTTP status.
   */
  refuse(status: number): void;
  /** Records that the client left before its WebSocket was open. */
  abandon(): void;
  /**
   * Records that the WebSocket is open.
   *
   * @param traffic What goes through it; looked at when metrics are collected.
   * @returns Who is told when it has ended.
   */
  open(traffic: ConnectionTraffic): ConnectionTelemetry;
}

/** Records the end of a connection. */
export interface ConnectionTelemetry {
  /**
   * Records that the connection has ended.
   *
   * @param end How the WebSocket ended.
   */
  close(end: WebSocketEnd): void;
}

const unwatchedConnection: ConnectionTelemetry = { close(): void {} };

/** Steps of a handshake that are not recorded. */
export const unwatchedHandshake: HandshakeTelemetry = {
  queryBackend: (_backend, query) => query(),
  connectPeer: (_transport, connect) => connect(),
  refuse(): void {},
  abandon(): void {},
  open: () => unwatchedConnection,
};

/** Records nothing. */
export const noTelemetry: Telemetry = {
  handshake: () => unwatchedHandshake,
  pluginRestart(): void {},
};
