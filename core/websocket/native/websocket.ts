/**
 * One WebSocket of the `native` engine: what `Deno.upgradeWebSocket` gives, as
 * the bridge wants it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { MessageQueue } from "./message_queue.ts";
import type {
  EngineLimits,
  OutgoingMessages,
  SentMessages,
  ServerWebSocket,
  WebSocketHandler,
} from "../engine.ts";
import { cutReason } from "../protocol/frames.ts";
import { closeTimeout, isPatient } from "../liveness.ts";
import { ClientProgress, type ClientState } from "./client_progress.ts";
import { DenoPing } from "./deno_ping.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "../../time/shared_timers.ts";

/**
 * While more than this many bytes wait to be sent, there is no room for more: one
 * large message waits, and not two. For several of them, the allocator asks the
 * system for memory again and again, which can cost as much as to send them.
 */
const highWaterMark = 256 * 1024;

/**
 * After so many messages, what waits has to be sent before there is room for
 * more: Deno needs a kilobyte for each that waits, and counts its bytes alone.
 */
const mostUnsent = 4096;

/** How often, in the time of a ping, it is looked at how much the client takes. */
const looks = 4;

/**
 * Milliseconds that a WebSocket has to open once its request is answered. Deno
 * says nothing about a client that was gone by then: the WebSocket never opens.
 */
const openTimeout = 5000;

/** Turns a WebSocket of Deno into one that waits, and that ends in order. */
export class NativeWebSocket implements ServerWebSocket {
  readonly sent: SentMessages = { messages: 0, bytes: 0 };
  #socket: WebSocket;
  #limits: EngineLimits;
  #opened = Promise.withResolvers<NativeWebSocket | undefined>();
  /** The client was gone before it was open. */
  #isAbandoned = false;
  /** Until it is given up because it has not opened. */
  #openTimer: SharedTimer | undefined;
  #handler: WebSocketHandler | undefined;
  /** What has happened since it is open and before there was a handler. */
  #early: (() => void)[] = [];
  #queue: MessageQueue | undefined;
  #ended = Promise.withResolvers<void>();
  #hasEnded = false;
  /** Messages that were given to Deno since nothing waited. */
  #unsent = 0;
  /** Resolves when all that was given to `send` has been given to Deno. */
  #sending: Promise<void> | undefined;
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #error = "";
  #progress: ClientProgress;
  #ping: DenoPing;
  /** Until it is looked at again how much the client takes. */
  #progressTimer: ReturnType<typeof setTimeout> | undefined;
  /** Until it is no longer waited for Deno to tell how it ended. */
  #lostTimer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param socket The WebSocket, before it is open.
   * @param limits What holds for it.
   */
  constructor(socket: WebSocket, limits: EngineLimits) {
    this.#socket = socket;
    this.#limits = limits;
    this.#progress = new ClientProgress(limits.ping * 2000, performance.now());
    this.#ping = new DenoPing(socket);
    this.#openTimer = startSharedTimer(() => this.abandon(), openTimeout);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#onOpen();
    socket.onmessage = ({ data }) => {
      if (this.#handler !== undefined) this.#receive(data);
      else this.#early.push(() => this.#receive(data));
    };
    socket.onerror = (event) => {
      if (event instanceof ErrorEvent) this.#error = event.message;
      // It will not open: it would be open by now.
      if (!this.#isOpen) this.abandon();
    };
    socket.onclose = (event) => {
      this.abandon();
      if (this.#handler !== undefined) this.#onClose(event);
      else this.#early.push(() => this.#onClose(event));
    };
  }

  /** Resolves when it is open; with `undefined` if the client is gone before. */
  get opened(): Promise<NativeWebSocket | undefined> {
    return this.#opened.promise;
  }

  /** Learns that the client is gone, which matters unless it has opened. */
  abandon(): void {
    cancelSharedTimer(this.#openTimer);
    this.#isAbandoned = true;
    this.#opened.resolve(undefined);
  }

  #onOpen(): void {
    cancelSharedTimer(this.#openTimer);
    if (this.#isAbandoned) this.#socket.close();
    else this.#opened.resolve(this);
  }

  start(handler: WebSocketHandler): void {
    this.#handler = handler;
    this.#queue = new MessageQueue((messages) => handler.receive(messages));
    for (const happen of this.#early.splice(0)) happen();
  }

  send(messages: OutgoingMessages): void | Promise<void> {
    if (this.#hasEnded) return;
    if (!this.#isOpen) return this.#lost();
    if (this.#socket.bufferedAmount === 0) this.#unsent = 0;
    const sent = this.#sendSome(messages, 0);
    this.#watchProgress();
    if (sent < messages.messages.length || this.#isFull) {
      return this.#sending = this.#sendRest(messages, sent);
    }
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /**
   * Waits for the end of a WebSocket that Deno has begun to close: from then on
   * it sends nothing, says that nothing waits, and has not yet told of it. That
   * may never come, if its close frame waits for a client that takes nothing.
   */
  async #lost(): Promise<void> {
    if (this.#closing === undefined) {
      this.#lostTimer ??= setTimeout(
        () => this.#giveUp(1001, this.#error || "no response to a ping"),
        closeTimeout,
      );
    }
    await this.#ended.promise;
  }

  /** Gives messages to Deno, up to those for which there is no room. */
  #sendSome({ data, messages }: OutgoingMessages, first: number): number {
    const last = Math.min(messages.length, first + mostUnsent - this.#unsent);
    for (let index = first; index < last; index++) {
      // Deno may have closed it since it was looked at.
      if (!this.#isOpen) return index;
      const { start, end, text } = messages[index]!;
      const bytes = data.subarray(start, end);
      // Deno copies what it is given.
      this.#socket.send(
        text ? decoder.decode(bytes) : bytes as Uint8Array<ArrayBuffer>,
      );
      this.#unsent++;
      this.sent.messages++;
      this.sent.bytes += bytes.length;
    }
    return last;
  }

  async #sendRest(messages: OutgoingMessages, next: number): Promise<void> {
    for (;;) {
      await this.#makeRoom();
      if (this.#hasEnded || next === messages.messages.length) return;
      if (!this.#isOpen) return await this.#lost();
      next = this.#sendSome(messages, next);
    }
  }

  get #isFull(): boolean {
    return this.#unsent >= mostUnsent ||
      this.#socket.bufferedAmount > highWaterMark;
  }

  async #makeRoom(): Promise<void> {
    const level = this.#unsent >= mostUnsent ? 0 : highWaterMark;
    await this.#drained(level);
    if (level === 0) this.#unsent = 0;
    if (this.#socket.bufferedAmount > level && !this.#hasEnded) {
      const { code, reason } = this.#closing!;
      this.#giveUp(code, reason);
    }
  }

  /** Looks, now and then, whether the client takes what it was sent. */
  #watchProgress(): void {
    if (this.#progressTimer !== undefined || this.#limits.ping === 0) return;
    this.#progressTimer = setTimeout(() => {
      this.#progressTimer = undefined;
      if (this.#hasEnded || !this.#isOpen) return;
      const state = this.#look();
      if (state === "idle") return;
      if (state === "gone") {
        const why = "nothing was taken, and no ping answered";
        return this.#giveUp(1001, why);
      }
      if (state === "sent") this.#ping.postpone();
      else this.#ping.hold();
      this.#watchProgress();
    }, this.#limits.ping * 1000 / looks);
  }

  #look(): ClientState {
    const waiting = this.#socket.bufferedAmount;
    return this.#progress.look(performance.now(), {
      sent: this.sent.bytes - waiting,
      pending: waiting,
    });
  }

  get pending(): number {
    return this.#socket.bufferedAmount;
  }

  close(code: number, reason: string): void {
    if (this.#closing !== undefined || this.#hasEnded) return;
    this.#closing = { code, reason };
    this.#close(code, reason);
  }

  async #close(code: number, reason: string): Promise<void> {
    // A message that comes after the close frame was queued would make Deno
    // drop the connection, and with it what the client has not yet taken.
    await this.#sending;
    await this.#drained(0);
    if (this.#hasEnded) return;
    this.#socket.close(code, cutReason(reason));
    const timer = setTimeout(() => this.#endInOrder(), closeTimeout);
    await this.#ended.promise;
    clearTimeout(timer);
  }

  /** Ends a WebSocket that we have closed, after what the client sent before. */
  async #endInOrder(): Promise<void> {
    this.#noteEnd();
    this.#handler!.ending();
    await this.#queue!.empty;
    this.#handler!.end({ ...this.#closing!, by: "server" });
  }

  /**
   * Waits until no more than `level` bytes wait to be sent, the WebSocket has
   * ended or is no longer open, or the client has taken nothing for too long
   * after our close.
   *
   * There is no event for it. A turn of the event loop costs least and is what
   * a fast client needs; a slow one is looked at less and less often.
   */
  async #drained(level: number): Promise<void> {
    let amount = this.#socket.bufferedAmount;
    let turns = 0;
    let waited = 0;
    let isClosing = this.#closing !== undefined;
    while (amount > level && !this.#hasEnded) {
      if (waited >= this.#closePatience) return;
      if (turns < 8) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      } else {
        const milliseconds = Math.min(turns - 7, 100);
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        waited += milliseconds;
      }
      const now = this.#socket.bufferedAmount;
      const wasClosing = isClosing;
      isClosing = this.#closing !== undefined;
      turns = now < amount ? 0 : turns + 1;
      // From the moment of its close, it is waited for anew.
      if (now < amount || isClosing !== wasClosing) waited = 0;
      amount = now;
    }
  }

  /** Milliseconds without progress after which our close no longer waits for the client. */
  get #closePatience(): number {
    if (this.#closing === undefined) return Infinity;
    return isPatient(this.#closing.code)
      ? closeTimeout + this.#progress.timeToTake
      : closeTimeout;
  }

  #receive(data: string | ArrayBuffer): void {
    const { maxMessage, maxBuffer } = this.#limits;
    const queue = this.#queue;
    if (queue === undefined || this.#hasEnded) return;
    const message = typeof data === "string" ? data : new Uint8Array(data);
    if (exceeds(message, maxMessage)) {
      this.#giveUp(1009, `message exceeds ${maxMessage} bytes`);
    } else {
      queue.push(message);
      if (queue.waiting > maxBuffer) {
        this.#giveUp(1013, `more than ${maxBuffer} bytes wait for the peer`);
      }
    }
  }

  /** Ends the WebSocket without waiting for anything. */
  #giveUp(code: number, reason: string): void {
    if (this.#hasEnded) return;
    this.#noteEnd();
    this.#queue!.clear();
    this.#handler!.end({ code, reason, by: "server" });
    // Within this event, the next message would come before the close frame,
    // and make Deno drop the connection without it.
    setImmediate(() => this.#socket.close(code, cutReason(reason)));
  }

  #noteEnd(): void {
    this.#hasEnded = true;
    this.#ended.resolve();
    clearTimeout(this.#progressTimer);
    clearTimeout(this.#lostTimer);
  }

  /** It comes twice after a ping was not answered. */
  async #onClose({ code, reason }: CloseEvent): Promise<void> {
    if (this.#hasEnded || this.#handler === undefined) return;
    if (this.#closing !== undefined) return this.#endInOrder();
    this.#noteEnd();
    this.#handler.ending();
    await this.#queue!.empty;
    if (code === 1001 && this.#error !== "") {
      this.#handler.end({ code, reason: this.#error, by: "server" });
    } else if (code === 0) {
      this.#handler.end({ code: 1006, reason: this.#error, by: "client" });
    } else {
      this.#handler.end({ code, reason, by: "client" });
    }
  }
}

/** Whether a message has more than so many bytes. */
function exceeds(message: string | Uint8Array, most: number): boolean {
  // A UTF-16 unit is one to three bytes of UTF-8.
  if (typeof message === "string" && message.length * 3 > most) {
    return Buffer.byteLength(message) > most;
  }
  return message.length > most;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
