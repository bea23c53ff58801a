/**
 * The connections that are open in a thread, as operators ask for them.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { formatRemote } from "../net/address.ts";
import type { Traffic } from "../telemetry/telemetry.ts";
import type { RosterEntry } from "./roster_entry.ts";
import type { Capture, CaptureLimits } from "./capture.ts";
import type { Answers, ConnectionFilter, ConnectionRow } from "./questions.ts";

/** Connections that are looked at before others have a turn of the event loop. */
const sliceLength = 100;

/** Bytes that all captures of a thread may take together. */
const mostCaptured = 512 * 1024 ** 2;

/** Milliseconds: a rate is that of at least so long. */
const rateSpan = 1000;

/** The connections of a thread. */
export class Roster {
  #connections = new Map<number, Listed>();
  /** By their own numbers: one may end late, when the next has begun. */
  #captures = new Map<number, Capture>();
  /** Numbers of those that are asked for and have not begun. */
  #asked = new Set<number>();
  /** Bytes that they may still take. */
  #room = mostCaptured;

  /**
   * Adds a connection until its end.
   *
   * @param entry What is known of it.
   */
  add(entry: RosterEntry): void {
    const { id, bridge } = entry;
    this.#connections.set(id, new Listed(entry));
    bridge.finished.then(() => this.#connections.delete(id));
  }

  /**
   * Finds connections.
   *
   * @param filter Which ones.
   * @returns Their numbers.
   */
  async find(filter: ConnectionFilter): Promise<number[]> {
    const found: number[] = [];
    let looked = 0;
    for (const [id, { entry }] of this.#connections) {
      if (matches(entry, filter)) found.push(id);
      if (++looked % (10 * sliceLength) === 0) await setImmediate();
    }
    return found;
  }

  /**
   * Describes connections.
   *
   * @param ids Their numbers; those that have ended are left out.
   */
  describe(ids: readonly number[]): ConnectionRow[] {
    const rows: ConnectionRow[] = [];
    for (const id of ids) {
      const listed = this.#connections.get(id);
      if (listed !== undefined) rows.push(listed.row());
    }
    return rows;
  }

  /**
   * Closes connections, a few at a time.
   *
   * @param filter Which ones.
   * @returns How many there were, and how many of them were not closing already.
   */
  async close(filter: ConnectionFilter): Promise<Answers["close"]> {
    let [found, closed] = [0, 0];
    for (const id of await this.find(filter)) {
      const listed = this.#connections.get(id);
      if (listed === undefined) continue;
      const { bridge } = listed.entry;
      if (bridge.shutDown(1008, "closed by an operator")) closed++;
      if (++found % sliceLength === 0) await setImmediate();
    }
    return { found, closed };
  }

  /**
   * Begins to copy what goes through a connection.
   *
   * @param number Number of the capture.
   * @param id Number of the connection.
   * @param limits How much.
   * @returns Whether it begins.
   */
  async capture(
    number: number,
    id: number,
    limits: CaptureLimits,
  ): Promise<Answers["capture"]> {
    // The first import takes time, in which the order to end it may come.
    this.#asked.add(number);
    const { Capture } = await import("./capture.ts");
    if (!this.#asked.delete(number)) return "none";
    const entry = this.#connections.get(id)?.entry;
    if (entry === undefined) return "none";
    for (const other of this.#captures.values()) {
      if (other.id === id) return "busy";
    }
    if (limits.bytes > this.#room) return "full";
    this.#room -= limits.bytes;
    this.#captures.set(number, new Capture(entry, limits));
    return "begun";
  }

  /**
   * Takes what was copied since the last time.
   *
   * @param number Number of the capture.
   * @returns A part of the file; `null` after the end.
   */
  async captured(number: number): Promise<Uint8Array | null> {
    const part = await this.#captures.get(number)?.read() ?? null;
    if (part === null) this.uncapture(number);
    return part;
  }

  /**
   * Copies nothing more.
   *
   * @param number Number of the capture.
   */
  uncapture(number: number): void {
    this.#asked.delete(number);
    const capture = this.#captures.get(number);
    if (capture === undefined) return;
    capture.stop();
    this.#room += capture.bytes;
    this.#captures.delete(number);
  }
}

function matches(
  { id, user, peer, remote }: RosterEntry,
  filter: ConnectionFilter,
): boolean {
  return (filter.id === undefined || filter.id === id) &&
    (filter.user === undefined || filter.user === user) &&
    (filter.peer === undefined || filter.peer === peer) &&
    (filter.remote === undefined || filter.remote === remote.address ||
      filter.remote === formatRemote(remote));
}

/** A connection, and its traffic when it was last asked for. */
class Listed {
  readonly entry: RosterEntry;
  #opened = performance.now();
  #since = new Date();
  #toPeer = new Rates();
  #toClient = new Rates();
  #measured = this.#opened;

  constructor(entry: RosterEntry) {
    this.entry = entry;
  }

  row(): ConnectionRow {
    const { bridge, remote, ...known } = this.entry;
    const now = performance.now();
    const span = now - this.#measured;
    if (span >= rateSpan) {
      this.#measured = now;
      this.#toPeer.measure(bridge.toPeer, span);
      this.#toClient.measure(bridge.toClient, span);
    }
    return {
      ...known,
      remote: formatRemote(remote),
      since: this.#since.toISOString(),
      seconds: Math.round(now - this.#opened) / 1000,
      toPeer: { ...bridge.toPeer, ...this.#toPeer.rates },
      toClient: { ...bridge.toClient, ...this.#toClient.rates },
      waiting: bridge.waiting,
    };
  }
}

/** The rates of one direction since they were asked for before, or since the opening. */
class Rates {
  rates = { messagesPerSecond: 0, bytesPerSecond: 0 };
  #last: Readonly<Traffic> = { messages: 0, bytes: 0 };

  measure({ messages, bytes }: Readonly<Traffic>, milliseconds: number): void {
    const seconds = milliseconds / 1000;
    this.rates = {
      messagesPerSecond: round((messages - this.#last.messages) / seconds),
      bytesPerSecond: round((bytes - this.#last.bytes) / seconds),
    };
    this.#last = { messages, bytes };
  }
}

function round(rate: number): number {
  return Math.round(rate * 10) / 10;
}
