/**
 * The events that metrics and traces record, independent of how they are
 * exported.
 *
 * @module
 */

import type { RequestHeaders, WebSocketEnd } from "../websocket/engine.ts";

/** The traffic in one direction. */
export interface Traffic {
  /** Number of messages. */
  messages: number;
  /** Payload bytes. */
  bytes: number;
}

/**
 * The traffic of a connection so far; it changes while the connection is open.
 */
export interface ConnectionTraffic {
  /** Messages and bytes from the client to the peer. */
  readonly toPeer: Readonly<Traffic>;
  /** Messages and bytes from the peer to the client. */
  readonly toClient: Readonly<Traffic>;
}

/**
 * Records events. Its methods do not wait or throw, and are not called per
 * message.
 */
export interface Telemetry {
  /**
   * Records that a client asks for a WebSocket.
   *
   * @param headers The request's header fields, which may name a trace.
   * @returns Records the outcome.
   */
  handshake(headers: RequestHeaders): HandshakeTelemetry;
  /**
   * Records that a failed plugin was started again.
   *
   * @param name Name of the plugin.
   * @param outcome Whether it runs.
   */
  pluginRestart(name: string, outcome: "running" | "failed"): void;
  /**
   * Records when a certificate for clients expires.
   *
   * @param file The file that it is in.
   * @param time When: seconds since 1970.
   */
  certificateExpiry(file: string, time: number): void;
  /**
   * Records that one of several peers has failed, or is back.
   *
   * @param change 1 or -1.
   */
  peersDown(change: number): void;
  /**
   * Records that connections cannot be counted in Redis, or can again.
   *
   * @param change 1 or -1.
   */
  limitsDown(change: number): void;
}

/** Records the steps of a handshake, and its end, which is one of three. */
export interface HandshakeTelemetry {
  /**
   * Measures the time of a backend's answer.
   *
   * @param backend Name of the backend.
   * @param query Asks it.
   * @param route Pattern of the route that it is of, if it is one's.
   * @returns What `query` returns.
   * @throws {Error} What `query` throws.
   */
  queryBackend<T>(
    backend: string,
    query: () => Promise<T>,
    route?: string,
  ): Promise<T>;
  /**
   * Measures the time of connecting to a peer.
   *
   * @param transport The peer's transport, as addresses name it.
   * @param connect Connects to it.
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
   * @param traffic The counts of its traffic, read when metrics are collected.
   * @returns Records its end.
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
export const unwatchedHandshake = {
  queryBackend: <T>(_backend: string, query: () => Promise<T>) => query(),
  connectPeer: <T>(_transport: string, connect: () => Promise<T>) => connect(),
  refuse(): void {},
  abandon(): void {},
  open: () => unwatchedConnection,
} as const satisfies HandshakeTelemetry;

/** Records nothing. */
export const noTelemetry: Telemetry = {
  handshake: () => unwatchedHandshake,
  pluginRestart(): void {},
  peersDown(): void {},
  limitsDown(): void {},
  certificateExpiry(): void {},
};
