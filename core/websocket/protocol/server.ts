/**
 * A server's side of RFC 6455 after the handshake: bytes and calls in, events
 * and bytes out. It has no socket, no timer and no clock.
 *
 * ```
 *                       close()               close frame, or violation
 *            ┌────────── open ───────────────────────────────┐
 *            │ sends      │ lose()                           │ sends nothing yet
 *            ▼            ▼                                  ▼
 *         closing ─────► lost                     answering, or failing
 *            │   lose()   │                                  │ answer() or close(): sends
 *            │            │ close frame, or violation        │ lose(): sends nothing
 *            └────────────┴───────────► closed, or failed ◄──┘
 * ```
 *
 * | state       | `close()`  | close frame | violation | `answer()` | `lose()` |
 * | ----------- | ---------- | ----------- | --------- | ---------- | -------- |
 * | `open`      | `closing`* | `answering` | `failing` |            | `lost`   |
 * | `answering` | `closed`*  |             |           | `closed`*  | `closed` |
 * | `failing`   | `failed`*  |             |           | `failed`*  | `failed` |
 * | `closing`   |            | `closed`    | `failed`  |            | `lost`   |
 * | `lost`      |            | `closed`    | `failed`  |            |          |
 * | `closed`    |            |             |           |            |          |
 * | `failed`    |            |             |           |            |          |
 *
 * `*`: our close frame goes out. An empty place: nothing happens. Whatever leads
 * from one of the first three states to one of the last four decides how the
 * WebSocket ends.
 *
 * @module
 */

import type { OutgoingMessages, WebSocketEnd } from "../engine.ts";
import type { MessageCompression } from "./compression.ts";
import {
  encodeClose,
  encodeCompressed,
  encodeInPlace,
  encodeMessages,
  encodePing,
  encodePongs,
} from "./frames.ts";
import {
  checkReceiverOptions,
  Receiver,
  type ReceiverEvents,
  type ReceiverOptions,
} from "./receiver.ts";

/** How far a WebSocket is from its open state to its end. */
export type ServerProtocolState =
  /** Frames go both ways. */
  | "open"
  /** The client's close frame has come; ours follows when its messages are dealt with, as RFC 6455 section 5.5.1 permits. */
  | "answering"
  /** The client broke the protocol; the close frame that says how (section 7.1.7) follows when its messages are dealt with. */
  | "failing"
  /** Our close frame is sent, and the client's is waited for (section 7.1.3). */
  | "closing"
  /** The connection has ended at the client's side; what was read of it before can still be received. */
  | "lost"
  /** The client's close frame has come, and nothing is sent any more (section 7.1.4). */
  | "closed"
  /** The client broke the protocol, and nothing is sent any more. */
  | "failed";

/** What moves it from one state to another. */
type Step = "close" | "closeFrame" | "violation" | "answer" | "lose";

/** The table of the module's documentation. */
const steps: Readonly<
  Record<
    ServerProtocolState,
    Readonly<Partial<Record<Step, ServerProtocolState>>>
  >
> = {
  open: {
    close: "closing",
    closeFrame: "answering",
    violation: "failing",
    lose: "lost",
  },
  answering: { close: "closed", answer: "closed", lose: "closed" },
  failing: { close: "failed", answer: "failed", lose: "failed" },
  closing: { closeFrame: "closed", violation: "failed", lose: "lost" },
  lost: { closeFrame: "closed", violation: "failed" },
  closed: {},
  failed: {},
};

/** Pongs that are owed to the client. */
type Pongs = ReceiverEvents["pongs"];

const noPongs: Pongs = Object.freeze([]);

const noBytes = new Uint8Array(0);

/**
 * The protocol of one WebSocket, for the server. Methods that answer bytes
 * answer what is to be sent; `undefined`: nothing is.
 *
 * @example The client closes
 * ```ts
 * import { ServerProtocol } from "./server.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const protocol = new ServerProtocol({ maxMessage: 1024 });
 * protocol.receive(new Uint8Array([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
 * assertEquals(protocol.state, "answering");
 * assertEquals(protocol.answer(), new Uint8Array([0x88, 2, 0x03, 0xe8]));
 * assertEquals(protocol.state, "closed");
 * assertEquals(protocol.end, { code: 1000, reason: "", by: "client" });
 * ```
 */
export class ServerProtocol {
  #state: ServerProtocolState = "open";
  #end: WebSocketEnd | undefined;
  #options: ReceiverOptions;
  /** Absent while nothing comes: many clients are quiet for hours. */
  #receiver: Receiver | undefined;
  #ending: Uint8Array = noBytes;
  /** How it ends if nothing else ends it before the answer. */
  #answer: WebSocketEnd | undefined;
  #pongs: Pongs = noPongs;
  #compression: MessageCompression | undefined;

  /**
   * Constructs a new instance.
   *
   * @param options What holds for the client's messages.
   * @throws {RangeError} If `maxMessage` is not a whole number of at least 0.
   */
  constructor(options: ReceiverOptions) {
    checkReceiverOptions(options);
    this.#options = options;
  }

  /** In which state it is. */
  get state(): ServerProtocolState {
    return this.#state;
  }

  /** Whether frames may be sent: none follows a close frame (RFC 6455 section 5.5.1). */
  get canSend(): boolean {
    return this.#end === undefined;
  }

  /** Whether frames may come: none follows the client's close frame, or is read after a violation. */
  get canReceive(): boolean {
    const { closeFrame } = steps[this.#state];
    return closeFrame !== undefined;
  }

  /** How it ended; `undefined` as long as frames may be sent. */
  get end(): WebSocketEnd | undefined {
    return this.#end;
  }

  /** Gives the memory back that compressing takes, after the end. */
  release(): void {
    this.#compression?.close();
    this.#compression = undefined;
  }

  /**
   * Adds bytes to the end of messages that lack it, as far as that costs nothing.
   *
   * @param ending The bytes.
   */
  addEnding(ending: Uint8Array): void {
    this.#ending = ending;
  }

  /**
   * Compresses messages, both ways, as the handshake has agreed upon (RFC 7692).
   *
   * @param compression What does it; {@linkcode ServerProtocol.release} closes it.
   */
  compressWith(compression: MessageCompression): void {
    this.#compression = compression;
  }

  /** Whether messages may be compressed. */
  get isCompressed(): boolean {
    return this.#compression !== undefined;
  }

  /** Drops what is kept for reuse: for a connection that has gone quiet. */
  trim(): void {
    if (this.#receiver?.isIdle) this.#receiver = undefined;
    else this.#receiver?.trim();
    this.#compression?.trim();
  }

  /**
   * Takes the bytes of one read.
   *
   * @param bytes The bytes. They are changed, and hold the messages: they must
   * not be changed while the messages are in use.
   * @returns What happened. Its messages are valid until the next call. Its
   * pongs are what {@linkcode ServerProtocol.pong} sends.
   */
  receive(bytes: Uint8Array): ReceiverEvents {
    const receiver = this.#receiver ??= this.#createReceiver();
    return this.#follow(receiver.receive(bytes));
  }

  /**
   * Gives memory back that others may use: nothing uses the messages any more
   * that were handed out, and the read is not {@linkcode isPaused}.
   */
  taken(): void {
    this.#receiver?.taken();
  }

  #createReceiver(): Receiver {
    const receiver = new Receiver(this.#options);
    receiver.addEnding(this.#ending);
    const compression = this.#compression;
    if (compression !== undefined) receiver.decompressWith(compression);
    return receiver;
  }

  /**
   * Whether the read is interrupted, as decompressing its messages takes longer
   * than others should wait.
   */
  get isPaused(): boolean {
    return this.#receiver?.isPaused ?? false;
  }

  /**
   * Takes some more of the read that is interrupted, before the next one.
   *
   * @returns What happened, as {@linkcode ServerProtocol.receive} does.
   */
  proceed(): ReceiverEvents {
    return this.#follow(this.#receiver!.proceed());
  }

  #follow(events: ReceiverEvents): ReceiverEvents {
    const { pongs, close, failure } = events;
    // The last ping is the one to answer (RFC 6455 section 5.5.3).
    if (pongs.length > 0) this.#pongs = pongs;
    if (close !== undefined) {
      this.#answer = { ...close, by: "client" };
      this.#step("closeFrame");
    } else if (failure !== undefined) {
      this.#answer = { ...failure, by: "server" };
      this.#step("violation");
    }
    return events;
  }

  /**
   * Sends messages.
   *
   * @param messages The messages.
   * @returns Their frames, in memory of their own.
   */
  send(messages: OutgoingMessages): Uint8Array | undefined {
    if (!this.canSend) return undefined;
    return this.#compression === undefined
      ? encodeMessages(messages)
      : encodeCompressed(messages, this.#compression);
  }

  /**
   * Sends one message from where it lies.
   *
   * @param messages The messages.
   * @returns The frame, among the messages' own bytes; `undefined` also if there
   * is no room for its header before it, there are several messages, or it may be
   * compressed.
   */
  sendInPlace(messages: OutgoingMessages): Uint8Array | undefined {
    if (!this.canSend || messages.messages.length !== 1) return undefined;
    if (this.#compression !== undefined) return undefined;
    return encodeInPlace(messages);
  }

  /** Sends a ping. */
  ping(): Uint8Array | undefined {
    return this.canSend ? encodePing(noBytes) : undefined;
  }

  /**
   * Answers the client's pings.
   *
   * @param isFull Whether there is no room: only the last is answered then, when
   * this is called again and there is (RFC 6455 section 5.5.3).
   */
  pong(isFull: boolean): Uint8Array | undefined {
    const pongs = this.#pongs;
    if (pongs.length === 0) return undefined;
    this.#pongs = isFull ? pongs.slice(-1) : noPongs;
    return isFull || !this.canSend ? undefined : encodePongs(pongs);
  }

  /**
   * Closes the WebSocket (RFC 6455 section 7.1.2).
   *
   * @param code The close code.
   * @param reason Why.
   */
  close(code: number, reason: string): Uint8Array | undefined {
    return this.#send("close", { code, reason, by: "server" });
  }

  /**
   * Answers the client's close frame (RFC 6455 section 5.5.1), or tells the
   * client how it broke the protocol (section 7.1.7).
   */
  answer(): Uint8Array | undefined {
    return this.#answer && this.#send("answer", this.#answer);
  }

  /**
   * The connection has ended: unless something else has ended the WebSocket
   * before, it ends with 1006 (RFC 6455 section 7.1.5).
   *
   * @param reason What failed; empty if nothing did.
   */
  lose(reason: string): void {
    this.#step("lose");
    this.#end ??= { code: 1006, reason, by: "client" };
  }

  /** Sends our close frame, unless the step is not one of this state. */
  #send(step: Step, end: WebSocketEnd): Uint8Array | undefined {
    if (!this.#step(step)) return undefined;
    this.#end = end;
    return encodeClose(end.code, end.reason);
  }

  /** Goes to the next state, and tells whether there is one. */
  #step(step: Step): boolean {
    const next = steps[this.#state][step];
    if (next === undefined) return false;
    this.#state = next;
    return true;
  }
}
