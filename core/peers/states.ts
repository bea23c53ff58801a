/**
 * What is known of the peers of which there are several for one request: which
 * have failed, and how many connections each has.
 *
 * @module
 */

import type { Balance } from "../config/network_options.ts";
import {
  bytesOfTable,
  type CountKey,
  CountTable,
  keyOfText,
} from "../memory/count_table.ts";

/** What is known of a peer: when it is tried again, and its connections. */
const kinds = { down: 1, open: 2 } as const;

/** Most peers whose keys are kept. */
const mostKeys = 10_000;

/** Bytes of memory in which threads share what they know. */
export const peerStatesBytes: number = bytesOfTable(2 ** 13);

/** A change of a peer's state. */
export type PeerChange =
  | {
    readonly state: "down";
    /** Why. */
    readonly why: string;
    /** Seconds for which it is tried last. */
    readonly seconds: number;
  }
  | {
    readonly state: "up";
  }
  | {
    /** It is no longer asked for. */
    readonly state: "forgotten";
  };

/** Options for {@linkcode PeerStates}. */
export interface PeerStatesOptions {
  /** Memory that threads share; absent: there is one thread. */
  readonly memory?: SharedArrayBuffer | undefined;
  /** Told when a peer fails that had not failed before, and when it is back. */
  readonly onChange: (peer: string, change: PeerChange) => void;
  /**
   * Milliseconds after which a peer is forgotten that is down and that no
   * request asks for.
   *
   * @default {600_000}
   */
  readonly forgetAfter?: number;
}

/** How peers are arranged. */
export interface ArrangeOptions {
  /** In which order. */
  readonly balance: Balance;
  /** Milliseconds for which one that has failed is tried last. */
  readonly retry: number;
}

/** The states of peers. */
export class PeerStates {
  #memory: SharedArrayBuffer | undefined;
  #keys = {
    down: new Map<string, CountKey>(),
    open: new Map<string, CountKey>(),
  } as const;
  /** Few need it. */
  #table: CountTable | undefined;
  #onChange: PeerStatesOptions["onChange"];
  #forgetAfter: number;
  #forgetting = new Map<string, ReturnType<typeof setTimeout>>();

  /** @param options Where they are kept, and who is told of changes. */
  constructor(options: PeerStatesOptions) {
    this.#memory = options.memory;
    this.#onChange = options.onChange;
    this.#forgetAfter = options.forgetAfter ?? 600_000;
  }

  /**
   * Arranges peers in the order in which they are to be tried. When the time of
   * one that has failed is over, one client tries it, in its place; for all
   * others it stays the last until it has answered.
   *
   * @param peers Their addresses, in the order of the backend's answer.
   * @param options How.
   * @returns The indexes of all of them.
   */
  arrange(peers: readonly string[], options: ArrangeOptions): number[] {
    const indexes = [...peers.keys()];
    if (options.balance === "random") shuffle(indexes);
    if (options.balance === "least") {
      const counts = peers.map((peer) => this.#get("open", peer));
      indexes.sort((one, other) => counts[one]! - counts[other]!);
    }
    const down = new Set(
      indexes.filter((index) => this.#isDown(peers[index]!, options.retry)),
    );
    return [
      ...indexes.filter((index) => !down.has(index)),
      ...indexes.filter((index) => down.has(index)),
    ];
  }

  /**
   * Records that a peer could not be connected to.
   *
   * @param peer Its address.
   * @param why Why.
   * @param retry Milliseconds for which it is tried last.
   */
  fail(peer: string, why: string, retry: number): void {
    const until = ticksIn(retry);
    const before = this.#change("down", peer, () => until);
    // There is no room for more, as a client may name peers: nothing is known of it.
    if (before === 0 && this.#get("down", peer) === 0) return;
    this.#forgetLater(peer, until);
    if (before !== 0) return;
    this.#onChange(peer, { state: "down", why, seconds: retry / 1000 });
  }

  /**
   * Records that a peer was connected to.
   *
   * @param peer Its address.
   */
  succeed(peer: string): void {
    if (this.#change("down", peer, () => 0) === 0) return;
    this.#cancelForgetting(peer);
    this.#onChange(peer, { state: "up" });
  }

  /**
   * Counts a connection to a peer.
   *
   * @param peer Its address.
   * @returns Counts it no longer; further calls do nothing.
   */
  count(peer: string): () => void {
    this.#change("open", peer, (count) => count + 1);
    let isCounted = true;
    return () => {
      if (!isCounted) return;
      isCounted = false;
      this.#change("open", peer, (count) => Math.max(0, count - 1));
    };
  }

  /** Ends what would otherwise happen later. */
  close(): void {
    for (const timer of this.#forgetting.values()) clearTimeout(timer);
    this.#forgetting.clear();
  }

  #get(kind: keyof typeof kinds, peer: string): number {
    return this.#change(kind, peer, (before) => before);
  }

  #change(
    kind: keyof typeof kinds,
    peer: string,
    change: (before: number) => number,
  ): number {
    this.#table ??= new CountTable(
      this.#memory ?? new ArrayBuffer(peerStatesBytes),
    );
    return this.#table.change(this.#keyOf(kind, peer), change);
  }

  /** A key costs more than all else that is done with it. */
  #keyOf(kind: keyof typeof kinds, peer: string): CountKey {
    const keys = this.#keys[kind];
    let key = keys.get(peer);
    if (key === undefined) {
      if (keys.size >= mostKeys) keys.clear();
      key = keyOfText(peer, kinds[kind]);
      keys.set(peer, key);
    }
    return key;
  }

  #isDown(peer: string, retry: number): boolean {
    let isDown = false;
    this.#change("down", peer, (until) => {
      isDown = until !== 0 && !isOver(until);
      // Others leave it to this one to find out.
      return until === 0 || isDown ? until : ticksIn(retry);
    });
    return isDown;
  }

  #forgetLater(peer: string, until: number): void {
    this.#cancelForgetting(peer);
    const timer = setTimeout(() => {
      this.#forgetting.delete(peer);
      let isForgotten = false;
      this.#change("down", peer, (now) => {
        isForgotten = now === until;
        return isForgotten ? 0 : now;
      });
      if (isForgotten) this.#onChange(peer, { state: "forgotten" });
    }, this.#forgetAfter);
    Deno.unrefTimer(timer);
    this.#forgetting.set(peer, timer);
  }

  #cancelForgetting(peer: string): void {
    clearTimeout(this.#forgetting.get(peer));
    this.#forgetting.delete(peer);
  }
}

/** Milliseconds of a clock that all threads have, as 32 bits that are not 0. */
function ticksIn(milliseconds: number): number {
  const now = performance.timeOrigin + performance.now();
  return Math.trunc(now + milliseconds) | 0 || 1;
}

function isOver(ticks: number): boolean {
  return (ticks - ticksIn(0) | 0) <= 0;
}

function shuffle(values: number[]): void {
  for (let last = values.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [values[last], values[other]] = [values[other]!, values[last]!];
  }
}
