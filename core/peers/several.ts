/**
 * Opens one of several peers.
 *
 * @module
 */

import { describeError, RequestError } from "../errors.ts";
import { formatAddress, type PeerAddress } from "../net/address.ts";
import { type OpenPeerOptions, type ReachedPeer, reachPeer } from "./open.ts";
import type { Peer } from "./peer.ts";
import type { ArrangeOptions, PeerStates } from "./states.ts";

/**
 * Milliseconds until the next peer is tried while the one before has not
 * answered, as RFC 8305 section 5 advises.
 */
const headStart = 250;

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

/** None of the peers could be reached; why was told for each. */
class NoneReached extends Error {}

interface ReachFirstOptions {
  readonly signal: AbortSignal;
  /** Reaches one of them. */
  readonly reach: (index: number, signal: AbortSignal) => Promise<ReachedPeer>;
  /** Told why one cannot be reached. */
  readonly fail: (index: number, error: unknown) => void;
}

/** The first peer that was reached. */
interface First {
  readonly index: number;
  readonly reached: ReachedPeer;
  /** Those that could not be reached. */
  readonly failed: ReadonlySet<number>;
  /** Those that were tried before it and had not answered. */
  readonly overtaken: readonly number[];
}

/** Reaches the first one that can be, and gives up the others. */
function reachFirst(
  indexes: readonly number[],
  { signal, reach, fail }: ReachFirstOptions,
): Promise<First> {
  return new Promise((resolve, reject) => {
    /** In the order in which they were started. */
    const running = new Map<number, AbortController>();
    const failed = new Set<number>();
    let next = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;

    function end(): void {
      isOver = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      for (const controller of running.values()) controller.abort();
    }

    function abort(): void {
      end();
      for (const index of running.keys()) fail(index, signal.reason);
      reject(signal.reason);
    }

    function startNext(): void {
      clearTimeout(timer);
      const index = indexes[next++]!;
      const controller = new AbortController();
      running.set(index, controller);
      if (next < indexes.length) timer = setTimeout(startNext, headStart);
      reach(index, controller.signal).then((reached) => {
        if (isOver) return reached.close();
        const started = [...running.keys()];
        running.delete(index);
        end();
        const overtaken = started.slice(0, started.indexOf(index));
        resolve({ index, reached, failed, overtaken });
      }, (error) => {
        if (isOver) return;
        running.delete(index);
        failed.add(index);
        fail(index, error);
        if (next < indexes.length) return startNext();
        if (running.size > 0) return;
        end();
        reject(new NoneReached());
      });
    }

    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort);
    startNext();
  });
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
