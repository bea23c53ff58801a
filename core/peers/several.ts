/**
 * Opens one of several peers.
 *
 * @module
 */

import { describeError, RequestError } from "../errors.ts";
import { formatAddress, type PeerAddress } from "../net/address.ts";
import { NoneReached, reachFirst } from "./first.ts";
import { type OpenPeerOptions, type ReachedPeer, reachPeer } from "./open.ts";
import type { Peer } from "./peer.ts";
import type { ArrangeOptions, PeerStates } from "./states.ts";

/** Options for {@linkcode openOneOf}. */
export interface OpenOneOfOptions extends OpenPeerOptions, ArrangeOptions {
  /** What is known of the peers. */
  readonly states: PeerStates;
  /** Milliseconds until `signal` is aborted. */
  readonly timeout: number;
}

/** One of several peers, which is open. */
export interface OpenedPeer {
  /** The peer. */
  readonly peer: Peer;
  /** Its place in the list. */
  readonly index: number;
  /** Counts its connection no longer. */
  readonly release: () => void;
}

/** How peers are reached, in tests: without sockets. */
export type ReachPeer = typeof reachPeer;

/**
 * Opens the first peer that can be opened. Each has a head start before the next
 * one is tried; the others are given up as soon as one is connected to. Nothing
 * is sent to any but that one: not the PROXY header, and no TLS handshake.
 *
 * @param addresses Their addresses, in the order of the backend's answer.
 * @param options How to connect, and what is known of them.
 * @param reach Reaches a peer.
 * @returns The peer; the caller closes and releases it.
 * @throws {Error} If none of them can be opened; the message says why, for each.
 * `signal`'s reason if that was aborted.
 */
export async function openOneOf(
  addresses: readonly PeerAddress[],
  options: OpenOneOfOptions,
  reach: ReachPeer = reachPeer,
): Promise<OpenedPeer> {
  const { states, signal, timeout, balance } = options;
  const deadline = performance.now() + timeout;
  const names = addresses.map(formatAddress);
  const failures: string[] = [];
  function fail(index: number, error: unknown): void {
    // A client that leaves says nothing of the peers.
    if (signal.aborted && !isTimeout(signal.reason)) return;
    const why = describeError(error);
    failures.push(why);
    states.fail(names[index]!, why, options.retry);
  }

  let left = states.arrange(names, options);
  // Clients that come at the same time are not all sent to the same peer.
  let release = balance === "least"
    ? states.count(names[left[0]!]!)
    : undefined;
  try {
    while (true) {
      const { index, reached, overtaken, failed } = await reachFirst(left, {
        signal,
        reach: (index, signal) =>
          reach(addresses[index]!, { ...options, signal }),
        close: (late) => late.close(),
        fail,
      });
      left = left.filter((each) => !failed.has(each) && each !== index);
      try {
        // The others keep a part of the time, should this one not answer.
        const limit = left.length === 0
          ? Infinity
          : (deadline - performance.now()) / (left.length + 1);
        const peer = await open(reached, signal, limit);
        states.succeed(names[index]!);
        for (const each of overtaken) {
          fail(each, `${names[each]} had not answered when another peer did`);
        }
        if (release !== undefined) {
          const first = release;
          release = states.count(names[index]!);
          first();
        }
        const opened = { peer, index, release: release ?? ((): void => {}) };
        release = undefined;
        return opened;
      } catch (error) {
        fail(index, error);
        signal.throwIfAborted();
        if (left.length === 0) break;
      }
    }
  } catch (error) {
    if (!(error instanceof NoneReached)) throw error;
  } finally {
    release?.();
  }
  throw new Error(
    `Cannot open any of ${addresses.length} peers: ${failures.join("; ")}`,
  );
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof RequestError && reason.status === 504;
}

/** Opens a peer that was reached, within a time. */
async function open(
  reached: ReachedPeer,
  signal: AbortSignal,
  limit: number,
): Promise<Peer> {
  if (limit === Infinity) return await reached.open(signal);
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error("it took too long to begin")),
    limit,
  );
  try {
    return await reached.open(AbortSignal.any([signal, controller.signal]));
  } finally {
    clearTimeout(timer);
  }
}
