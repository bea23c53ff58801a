/**
 * A queue of messages that are taken in batches.
 *
 * @module
 */

import type { IncomingMessages } from "../engine.ts";

/**
 * Messages are copied together while they come to no more than this many bytes.
 * Each batch waits for a turn of the event loop, in which a fast client fills it.
 */
const batchSize = 256 * 1024;

/**
 * What a waiting message costs beside its bytes, so that a flood of empty ones
 * is limited, too.
 */
const overhead = 64;

/** A message as Deno passes it. */
type Message = string | Uint8Array;

/**
 * Passes messages on in order: at once while the receiver has room, and all
 * that came meanwhile together when it has room again.
 */
export class MessageQueue {
  #receive: (messages: IncomingMessages) => void | Promise<void>;
  /**
   * Messages in order: first those that are being taken, then those that
   * arrive.
   */
  #taking: readonly Message[] = [];
  #next = 0;
  #coming: Message[] = [];
  #waiting = 0;
  #passing: Promise<void> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param receive Takes messages; the next ones are given when its promise
   * has resolved.
   */
  constructor(receive: (messages: IncomingMessages) => void | Promise<void>) {
    this.#receive = receive;
  }

  /**
   * Bytes that the messages that wait take: 64 for each, and its length; a
   * string counts one for each UTF-16 unit.
   */
  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when nothing waits and the receiver has taken what it was given. */
  get empty(): Promise<void> {
    return this.#passing ?? Promise.resolve();
  }

  /**
   * Adds a message.
   *
   * @param message The message; its bytes must not be changed any more.
   */
  push(message: Message): void {
    if (this.#passing !== undefined) {
      this.#coming.push(message);
      this.#waiting += message.length + overhead;
      return;
    }
    const busy = this.#receive(toBatch(message));
    if (busy !== undefined) this.#passing = this.#pass(busy);
  }

  /** Drops the messages that wait. */
  clear(): void {
    this.#taking = [];
    this.#coming = [];
    this.#next = this.#waiting = 0;
  }

  async #pass(busy: Promise<void>): Promise<void> {
    await busy;
    for (;;) {
      if (this.#next === this.#taking.length) {
        if (this.#coming.length === 0) break;
        this.#taking = this.#coming;
        this.#next = 0;
        this.#coming = [];
      }
      await this.#receive(this.#take());
    }
    this.#passing = undefined;
  }

  /** The next messages, together if they are small. */
  #take(): IncomingMessages {
    const first = this.#next;
    let size = 0;
    do {
      size += this.#taking[this.#next++]!.length;
    } while (
      this.#next < this.#taking.length &&
      size + this.#taking[this.#next]!.length <= batchSize
    );
    this.#waiting -= size + (this.#next - first) * overhead;
    return this.#next === first + 1
      ? toBatch(this.#taking[first]!)
      : join(this.#taking.slice(first, this.#next));
  }
}

function toBatch(message: Message): IncomingMessages {
  if (typeof message !== "string") {
    return { data: message, ends: [message.length] };
  }
  const data = encoder.encode(message);
  return { data, ends: [data.length], turns: ALL_TEXT };
}

/** The turns of a batch of texts. */
const ALL_TEXT: readonly number[] = Object.freeze([0]);

function join(messages: readonly Message[]): IncomingMessages {
  let room = 0;
  for (const message of messages) {
    // A UTF-16 unit is one to three bytes of UTF-8.
    room += typeof message === "string" ? message.length * 3 : message.length;
  }
  const data = new Uint8Array(room);
  const ends: number[] = [];
  const turns: number[] = [];
  let end = 0;
  let wasText = false;
  for (const message of messages) {
    const isText = typeof message === "string";
    if (isText !== wasText) turns.push(ends.length);
    wasText = isText;
    if (isText) {
      end += encoder.encodeInto(message, data.subarray(end)).written;
    } else {
      data.set(message, end);
      end += message.length;
    }
    ends.push(end);
  }
  return { data: data.subarray(0, end), ends, turns };
}

const encoder = new TextEncoder();
