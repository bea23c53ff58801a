/**
 * Copies what goes through a connection for an operator, within bounds.
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import { type CaptureEnd, Conversation } from "../log/pcapng.ts";
import { joinBytes } from "../memory/join_bytes.ts";
import { parseAddress } from "../net/address.ts";
import type {
  IncomingMessages,
  OutgoingMessages,
} from "../websocket/engine.ts";
import type { RosterEntry } from "./roster_entry.ts";

/**
 * Milliseconds that a read waits, at the most, for something. Then the reader is
 * told that there was nothing: only a write shows that it has left.
 */
const patience = 1000;

/** Bytes after which no further chunk is added to those that are read at once. */
const mostTaken = 64 * 1024;

/** How much is copied. */
export interface CaptureLimits {
  /** Bytes of the file. */
  readonly bytes: number;
  /** Seconds. */
  readonly seconds: number;
}

/** A copy of what goes through a connection, from now on. */
export class Capture {
  /** Number of the connection. */
  readonly id: number;
  /** Bytes of the file, at the most. */
  readonly bytes: number;
  /** Resolves when nothing more is copied. */
  readonly ended: Promise<void>;
  #conversation: Conversation;
  #chunks: Uint8Array[] = [];
  #room: number;
  #timer: ReturnType<typeof setTimeout>;
  #isOver = false;
  #isDatagram: boolean;
  #onChange: () => void = () => {};
  #resolveEnd: () => void;

  /**
   * Begins to copy.
   *
   * @param entry The connection.
   * @param limits How much.
   */
  constructor(
    { id, remote, peer, bridge }: RosterEntry,
    { bytes, seconds }: CaptureLimits,
  ) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolveEnd = resolve;
    this.id = id;
    this.bytes = this.#room = bytes;
    this.#isDatagram = /^(?:udp|unix-dgram):/.test(peer);
    this.#conversation = new Conversation(
      clientEnd(remote, id),
      peerEnd(peer),
      this.#isDatagram,
    );
    this.#add(
      this.#conversation.begin(`websocksy: connection ${id} to ${peer}`),
    );
    this.#timer = setTimeout(() => this.stop(), seconds * 1000);
    bridge.tap = this;
    promise.then(() => {
      if (bridge.tap === this) bridge.tap = undefined;
    });
    bridge.finished.then(() => this.stop());
  }

  /**
   * Copies what the peer was given.
   *
   * @param messages The messages.
   */
  toPeer({ data, ends }: Pick<IncomingMessages, "data" | "ends">): void {
    if (!this.#isDatagram) return this.#copy(0, data);
    let start = 0;
    for (const end of ends) {
      this.#copy(0, data.subarray(start, end));
      start = end;
    }
  }

  /**
   * Copies what the client is sent.
   *
   * @param messages The messages.
   */
  toClient({ data, messages }: OutgoingMessages): void {
    for (const { start, end } of messages) {
      this.#copy(1, data.subarray(start, end));
    }
  }

  /**
   * Takes what was copied since the last time, or waits a little for it.
   *
   * @returns A part of the file; `null` after the end.
   */
  async read(): Promise<Uint8Array | null> {
    if (this.#chunks.length === 0 && !this.#isOver) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onChange = resolve;
      const timer = setTimeout(resolve, patience);
      await promise;
      clearTimeout(timer);
    }
    if (this.#chunks.length === 0 && !this.#isOver) {
      this.#add(this.#conversation.pause(now()));
      if (this.#room <= 0) this.stop();
    }
    return this.#take();
  }

  /** Takes several chunks at once, as most are small. */
  #take(): Uint8Array | null {
    let count = 0;
    let length = 0;
    while (count < this.#chunks.length && length < mostTaken) {
      length += this.#chunks[count++]!.length;
    }
    return count === 0 ? null : joinBytes(this.#chunks.splice(0, count));
  }

  /** Copies nothing more. */
  stop(): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    const end = this.#conversation.end(now());
    if (end.length > 0) this.#chunks.push(end);
    this.#isOver = true;
    this.#resolveEnd();
    this.#onChange();
  }

  #copy(from: 0 | 1, data: Uint8Array): void {
    if (this.#isOver || data.length === 0 && !this.#isDatagram) return;
    // What would be cut is not copied, however large it is.
    if (data.length > this.#room) return this.stop();
    this.#add(this.#conversation.send(from, data, now()));
    if (this.#room <= 0) this.stop();
  }

  #add(chunk: Uint8Array): void {
    this.#room -= chunk.length;
    this.#chunks.push(chunk);
    this.#onChange();
  }
}

/** Microseconds since 1970. */
function now(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

function clientEnd({ address, port }: RemoteAddress, id: number): CaptureEnd {
  // Behind a proxy or on a Unix socket there is none: each has one of its own.
  return { address, port: port ?? 1024 + id % 60_000 };
}

function peerEnd(peer: string): CaptureEnd {
  const address = parseAddress(peer);
  return "hostname" in address
    ? { address: address.hostname, port: address.port ?? 0 }
    : { address: "", port: 1 };
}
