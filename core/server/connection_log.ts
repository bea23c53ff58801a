/**
 * Logs what happens to connections.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import type { RouteMatch } from "../accept/route.ts";
import { formatRemote } from "../net/address.ts";
import type { BridgeSummary } from "../bridge/bridge.ts";
import type { Client, Connection } from "../accept/connect.ts";
import { describeError, type RequestError } from "../errors.ts";
import type { PeerChange } from "../peers/states.ts";
import type { Log } from "../log/log.ts";

/** Logs that a request was not accepted. */
export function logRefusal(
  log: Log,
  { id, remote, target, match }: {
    readonly id: number;
    readonly remote: RemoteAddress;
    readonly target: string;
    readonly match: RouteMatch | undefined;
  },
  refusal: RequestError,
): void {
  log(refusal.status < 500 ? "info" : "warn", "refuse", {
    id,
    remote: formatRemote(remote),
    target: target === "" ? undefined : target,
    route: match?.route.pattern.text,
    status: refusal.status,
    why: describeError(refusal),
  });
}

/** Logs what a backend warns of when it answers a request. */
export function logWarning(log: Log, { id }: Client, why: string): void {
  log("warn", "backend", { id, why });
}

/** Logs that one of several peers has failed, or is back. */
export function logPeer(log: Log, peer: string, change: PeerChange): void {
  const { state } = change;
  if (state !== "down") return log("info", "peer", { peer, state });
  const { why, seconds } = change;
  log("warn", "peer", { peer, state, why, "retry-seconds": seconds });
}

/** Logs that a client was gone before its WebSocket was open. */
export function logAbandon(log: Log, { id, remote }: Client): void {
  log("info", "abandon", { id, remote: formatRemote(remote) });
}

/** Logs that a WebSocket is open, and what it is connected to. */
export function logOpen(
  log: Log,
  { id, remote, request, match, user }: Client,
  { address, framing, protocol, note, user: named }: Connection,
): void {
  log("info", "open", {
    id,
    remote: formatRemote(remote),
    user: named ?? user,
    endpoint: request.endpoint,
    route: match?.route.pattern.text,
    peer: address,
    framing,
    protocol,
    note,
  });
}

/** Logs that a bridge has ended, what went through it, and why it ended. */
export function logClose(
  log: Log,
  id: number,
  milliseconds: number,
  summary: BridgeSummary,
): void {
  log(summary.error === undefined ? "info" : "warn", "close", {
    id,
    seconds: Math.round(milliseconds) / 1000,
    ...closeFields(summary),
  });
}

/** What went through a bridge, and how it ended. */
interface CloseFields {
  readonly "to-peer-messages": number;
  readonly "to-peer-bytes": number;
  readonly "to-client-messages": number;
  readonly "to-client-bytes": number;
  readonly code: number;
  readonly by: string;
  readonly reason: string | undefined;
  readonly error: string | undefined;
}

/**
 * Makes the fields of a bridge that has ended, for a line of a log.
 *
 * @param summary What went through it, and how it ended.
 */
export function closeFields(
  { toPeer, toClient, end, error }: BridgeSummary,
): CloseFields {
  return {
    "to-peer-messages": toPeer.messages,
    "to-peer-bytes": toPeer.bytes,
    "to-client-messages": toClient.messages,
    "to-client-bytes": toClient.bytes,
    code: end.code,
    by: end.by,
    reason: end.reason === "" ? undefined : end.reason,
    error: error === undefined ? undefined : describeError(error),
  };
}

/**
 * Makes a function that logs connections that cannot be accepted.
 *
 * @param log The log.
 * @returns Logs an error, once a minute at the most.
 */
export function createAcceptReport(log: Log): (error: Error) => void {
  let last = -Infinity;
  return function report(error): void {
    const now = performance.now();
    if (now - last < 60_000) return;
    last = now;
    log("error", "accept", { error: describeError(error) });
  };
}
