/**
 * One WebSocket of the engine `native`: adapts the WebSocket of
 * `Deno.upgradeWebSocket` to the bridge.
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
  WebSocketEnd,
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
 * While more than this many bytes wait to be sent, there is no room for more:
 * one large message waits, and not two. With several of them, the allocator
 * requests memory from the system again and again, which can cost as much as
 * sending them.
 */
const highWaterMark = 256 * 1024;

/**
 * After this many messages, all of them must be sent before there is room for
 * more: Deno needs a kilobyte for each message that waits, but counts only its
 * bytes.
 */
const mostUnsent = 4096;

/** How often to look at the client's progress during the time of a ping. */
const looks = 4;

/**
 * Milliseconds that a WebSocket has to open once its request is answered. Deno
 * says nothing about a client that was gone by then: the WebSocket never opens.
 */
const openTimeout = 5000;

/**
 * Where a WebSocket is between its request and its end:
 *
 * ```
 * connecting ── Deno opens it ──► opened ── start() ──► open ── close() ──► closing
 *     │                                                  │                     │
 *     └─ the client is gone, ──► abandoned               └─────────┬───────────┘
 *        or the time is over                                       ▼
 *                              the client closes, Deno loses it, it is given up
 *                                                                  │
 *                                                                  ▼
 *                                                                ended
 * ```
 */
type State =
  /** Its request is answered, or about to be. */
  | { readonly name: "connecting"; readonly timer: SharedTimer }
  /** It is no longer needed; if Deno opens it after all, it is closed. */
  | { readonly name: "abandoned" }
  /** It has no handler yet: events wait. */
  | { readonly name: "opened"; readonly events: (() => void)[] }
  | Open
  | Closing
  /** The handler knows of the end, or will when it has taken all messages before it. */
  | { readonly name: "ended" };

/** Messages go both ways. */
interface Open {
  readonly name: "open";
  readonly handler: WebSocketHandler;
  readonly queue: MessageQueue;
}

/** We have closed it: the client reads what was sent before, and answers. */
interface Closing extends Omit<Open, "name"> {
  readonly name: "closing";
  readonly code: number;
  readonly reason: string;
}

const abandoned: State = Object.freeze({ name: "abandoned" });
const ended: State = Object.freeze({ name: "ended" });

/** Gives a WebSocket of Deno flow control, and an orderly end. */
export class NativeWebSocket implements ServerWebSocket {
  readonly sent: SentMessages = { messages: 0, bytes: 0 };
  #socket: WebSocket;
  #limits: EngineLimits;
  #state: State;
  #opened = Promise.withResolvers<NativeWebSocket | undefined>();
  #ended = Promise.withResolvers<void>();
  /** Messages that were given to Deno since nothing waited. */
  #unsent = 0;
  /** Resolves when all that was given to `send` has been given to Deno. */
  #sending: Promise<void> | undefined;
  #error = "";
  #progress: ClientProgress;
  #ping: DenoPing;
  /** Until the next look at how much the client takes. */
  #progressTimer: ReturnType<typeof setTimeout> | undefined;
  /** Until Deno has told how it ended, or is no longer waited for. */
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
    const timer = startSharedTimer(() => this.abandon(), openTimeout);
    this.#state = { name: "connecting", timer };
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#onOpen();
    socket.onmessage = ({ data }) => this.#when(() => this.#receive(data));
    socket.onerror = (event) => {
      if (event instanceof ErrorEvent) this.#error = event.message;
      // It will not open: it would be open by now.
      if (!this.#isOpen) this.abandon();
    };
    socket.onclose = (event) => {
      this.abandon();
      this.#when(() => this.#onClose(event));
    };
  }

  /** Resolves when it is open; with `undefined` if the client is gone before. */
  get opened(): Promise<NativeWebSocket | undefined> {
    return this.#opened.promise;
  }

  /** Gives the WebSocket up unless it has opened. */
  abandon(): void {
    if (this.#state.name !== "connecting") return;
    cancelSharedTimer(this.#state.timer);
    this.#state = abandoned;
    this.#opened.resolve(undefined);
  }

  #onOpen(): void {
    if (this.#state.name !== "connecting") return this.#socket.close();
    cancelSharedTimer(this.#state.timer);
    this.#state = { name: "opened", events: [] };
    this.#opened.resolve(this);
  }

  /** Handles an event, once there is a handler. */
  #when(happen: () => void): void {
    if (this.#state.name === "opened") this.#state.events.push(happen);
    else happen();
  }

  start(handler: WebSocketHandler): void {
    const events = this.#state.name === "opened" ? this.#state.events : [];
    const queue = new MessageQueue((messages) => handler.receive(messages));
    this.#state = { name: "open", handler, queue };
    for (const happen of events) happen();
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

  get #hasEnded(): boolean {
    return this.#state.name === "ended";
  }

  /** Whether Deno still sends. */
  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /**
   * Waits for the end of a WebSocket that Deno has begun to close: Deno then
   * sends nothing, reports that nothing waits, and has not emitted `close` yet.
   * That event may never come if the close frame waits for a client that reads
   * nothing.
   */
  async #lost(): Promise<void> {
    if (this.#state.name !== "closing") {
      this.#lostTimer ??= setTimeout(
        () => this.#giveUp(1001, this.#error || "no response to a ping"),
        closeTimeout,
      );
    }
    await this.#ended.promise;
  }

  /** Gives messages to Deno as long as there is room. */
  #sendSome({ data, messages }: OutgoingMessages, first: number): number {
    const last = Math.min(messages.length, first + mostUnsent - this.#unsent);
    for (let index = first; index < last; index++) {
      // Deno may have closed it since the last check.
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
    const state = this.#state;
    if (state.name === "closing" && this.#socket.bufferedAmount > level) {
      this.#giveUp(state.code, state.reason);
    }
  }

  /** Checks periodically whether the client reads what it is sent. */
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
    if (this.#state.name !== "open") return;
    const closing: Closing = { ...this.#state, name: "closing", code, reason };
    this.#state = closing;
    this.#close(closing);
  }

  async #close(closing: Closing): Promise<void> {
    // A message that arrives after the close frame was queued would make Deno
    // drop the connection, and lose what the client has not read yet.
    await this.#sending;
    await this.#drained(0);
    if (this.#hasEnded) return;
    this.#socket.close(closing.code, cutReason(closing.reason));
    const timer = setTimeout(() => this.#endInOrder(closing), closeTimeout);
    await this.#ended.promise;
    clearTimeout(timer);
  }

  /** Ends a WebSocket that we have closed, after what the client sent before. */
  #endInOrder({ handler, queue, code, reason }: Closing): Promise<void> {
    return this.#endAfter({ handler, queue }, { code, reason, by: "server" });
  }

  /** Ends it after what the client sent before. */
  async #endAfter(
    { handler, queue }: Omit<Open, "name">,
    end: WebSocketEnd,
  ): Promise<void> {
    this.#setEnded();
    handler.ending();
    await queue.empty;
    handler.end(end);
  }

  /**
   * Waits until no more than `level` bytes wait to be sent, the WebSocket has
   * ended or is no longer open, or the client has taken nothing for too long
   * after our close.
   *
   * Deno has no event for it. A turn of the event loop costs least and suits a
   * fast client; for a slow one, the checks become less and less frequent.
   */
  async #drained(level: number): Promise<void> {
    let amount = this.#socket.bufferedAmount;
    let turns = 0;
    let waited = 0;
    let isClosing = this.#isClosing;
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
      isClosing = this.#isClosing;
      turns = now < amount ? 0 : turns + 1;
      // Its close starts the wait again.
      if (now < amount || isClosing !== wasClosing) waited = 0;
      amount = now;
    }
  }

  get #isClosing(): boolean {
    return this.#state.name === "closing";
  }

  /** Milliseconds without progress after which our close no longer waits for the client. */
  get #closePatience(): number {
    if (this.#state.name !== "closing") return Infinity;
    return isPatient(this.#state.code)
      ? closeTimeout + this.#progress.timeToTake
      : closeTimeout;
  }

  #receive(data: string | ArrayBuffer): void {
    const { maxMessage, maxBuffer } = this.#limits;
    const state = this.#state;
    if (state.name !== "open" && state.name !== "closing") return;
    const message = typeof data === "string" ? data : new Uint8Array(data);
    if (exceeds(message, maxMessage)) {
      this.#giveUp(1009, `message exceeds ${maxMessage} bytes`);
    } else {
      state.queue.push(message);
      if (state.queue.waiting > maxBuffer) {
        this.#giveUp(1013, `more than ${maxBuffer} bytes wait for the peer`);
      }
    }
  }

  /** Ends the WebSocket without waiting for anything. */
  #giveUp(code: number, reason: string): void {
    const state = this.#state;
    if (state.name !== "open" && state.name !== "closing") return;
    this.#setEnded();
    state.queue.clear();
    state.handler.end({ code, reason, by: "server" });
    // Within this event, the next message would come before the close frame,
    // and make Deno drop the connection without it.
    setImmediate(() => this.#socket.close(code, cutReason(reason)));
  }

  #setEnded(): void {
    this.#state = ended;
    this.#ended.resolve();
    clearTimeout(this.#progressTimer);
    clearTimeout(this.#lostTimer);
  }

  /** Deno emits `close` twice after a ping without an answer. */
  #onClose({ code, reason }: CloseEvent): void {
    const state = this.#state;
    if (state.name === "closing") this.#endInOrder(state);
    else if (state.name === "open") {
      const error = this.#error;
      this.#endAfter(
        state,
        code === 1001 && error !== ""
          ? { code, reason: error, by: "server" }
          : code === 0
          ? { code: 1006, reason: error, by: "client" }
          : { code, reason, by: "client" },
      );
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
