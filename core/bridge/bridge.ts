/**
 * Connects one WebSocket to one peer, and passes data in both directions.
 *
 * @module
 */

import { setImmediate, setTimeout } from "node:timers/promises";
import { CloseError } from "../errors.ts";
import type { EncodedMessages, StreamEncoder } from "./message_encoder.ts";
import type { FramedRead, StreamFramer } from "./message_framer.ts";
import {
  beginWork,
  chargeSince,
  createReader,
  giveWay,
} from "../memory/read_budget.ts";
import { IdleWatch } from "../time/idle_watch.ts";
import { Pace, type Throttles } from "./pace.ts";
import { PeerReader } from "./peer_reader.ts";
import type { Peer } from "../peers/peer.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "../time/shared_timers.ts";
import type { ConnectionTraffic, Traffic } from "../telemetry/telemetry.ts";
import type {
  IncomingMessages,
  ServerWebSocket,
  WebSocketEnd,
  WebSocketHandler,
} from "../websocket/engine.ts";

/** Most bytes of a read from a peer that is throttled: a larger one would come all at once. */
const throttledRead = 64 * 1024;

/** Milliseconds between reads of what is dropped: some 50 MB a second are read. */
const dropPause = 5;

/** What a bridge connects. The bridge owns all three from then on. */
export interface BridgeEnds {
  /** The client's WebSocket. */
  readonly socket: ServerWebSocket;
  /** The peer. */
  readonly peer: Peer;
  /** Makes messages of the peer's bytes. */
  readonly framer: StreamFramer;
}

/** Options for {@linkcode Bridge}. */
export interface BridgeOptions {
  /**
   * Milliseconds without progress after which the bridge no longer waits for a
   * peer that reads nothing, or does not end its side, after the client has
   * left.
   *
   * @default {5000}
   */
  readonly lingerTimeout?: number;
  /**
   * Milliseconds without any traffic after which the WebSocket is closed; 0: never.
   *
   * @default {0}
   */
  readonly idleTimeout?: number;
  /**
   * How fast each side is read; absent: as fast as the other side takes it.
   */
  readonly throttles?: Throttles | undefined;
}

/** Copies what goes through a bridge; it is called for each batch of messages. */
export interface BridgeTap {
  /** Copies what the peer was given. */
  toPeer(messages: Pick<IncomingMessages, "data" | "ends">): void;
  /** Copies what the client is sent. */
  toClient(messages: FramedRead): void;
}

/** What went through a bridge, and how it ended. */
export interface BridgeSummary extends ConnectionTraffic {
  /** How the WebSocket ended. */
  readonly end: WebSocketEnd;
  /** What failed, if something did. */
  readonly error?: unknown;
}

/**
 * What is known of the client:
 *
 * ```
 * open ◄── has it room? ──► full
 *   └─────────────────────────┴── either side, the server or a failure ends it ──► ending
 * ending ── the WebSocket has ended, and the peer's side if it has one ──► over
 * ```
 */
type ClientState =
  /** Messages go both ways. */
  | "open"
  /**
   * Its WebSocket has no room for more: the bridge does not wait for the peer.
   */
  | "full"
  /**
   * It sends nothing more, or gets nothing more; what the peer still sends is
   * dropped.
   */
  | "ending"
  /** Both sides have ended, and only closing is left. */
  | "over";

/**
 * What is written to the peer: `ready` ◄──► `writing`, and from there to
 * `failed` when a write fails, after which nothing is written.
 */
type PeerOutput = "ready" | "writing" | "failed";

/**
 * What is read from the peer: `ended` once its side has ended or failed, or was
 * given up.
 */
type PeerInput = "open" | "ended";

/**
 * Connects a WebSocket to a peer until either ends. Nothing is read from the
 * peer while the client has no room, and no further messages are taken from the
 * engine while the peer has none.
 */
export class Bridge implements WebSocketHandler, ConnectionTraffic {
  /** Resolves, and never rejects, when the WebSocket has ended and the peer is closed. */
  readonly finished: Promise<BridgeSummary>;
  readonly toPeer: Traffic = { messages: 0, bytes: 0 };
  #socket: ServerWebSocket;
  #peer: Peer;
  #framer: StreamFramer;
  #reader: PeerReader;
  #lingerTimeout: number;
  /** Resolves when the peer's side has ended or failed, or was given up. */
  #peerEnded: Promise<void>;
  /** Resolves it; absent: the WebSocket has ended. */
  #finished: ((summary: Promise<BridgeSummary>) => void) | undefined;
  #client: ClientState = "open";
  #output: PeerOutput = "ready";
  #input: PeerInput = "open";
  #error: unknown;
  #lingerTimer: SharedTimer | undefined;
  #idleWatch: IdleWatch | undefined;
  /** How fast the client and the peer are read; absent: as fast as can be. */
  #toPeerPace: Pace | undefined;
  #toClientPace: Pace | undefined;
  /** Copies what goes through, while an operator captures it. */
  tap: BridgeTap | undefined;
  /** Bytes of the write under way. */
  #unwritten = 0;
  #unwrittenMessages = 0;
  /** Number of reads from the peer, which show its progress. */
  #reads = 0;
  /** Identifies the peer to the read budget. */
  #reading = createReader();

  /**
   * Constructs a new instance.
   *
   * @param ends What to connect.
   * @param options Time-outs.
   */
  constructor(ends: BridgeEnds, options: BridgeOptions = {}) {
    this.#socket = ends.socket;
    this.#peer = ends.peer;
    this.#framer = ends.framer;
    this.#reader = new PeerReader(
      ends.peer,
      ends.framer,
      options.throttles && throttledRead,
    );
    this.#lingerTimeout = options.lingerTimeout ?? 5000;
    if (options.idleTimeout) this.#watchIdle(options.idleTimeout);
    const { throttles } = options;
    if (throttles !== undefined) {
      this.#toPeerPace = new Pace(throttles.toPeer);
      this.#toClientPace = new Pace(throttles.toClient);
    }
    this.#peerEnded = this.#pump();
    const { promise, resolve } = Promise.withResolvers<BridgeSummary>();
    this.finished = promise;
    this.#finished = resolve;
    // Before anything else can close it.
    ends.socket.start(this);
  }

  get toClient(): Readonly<Traffic> {
    return this.#socket.sent;
  }

  /** Bytes that either side was given and has not yet taken. */
  get waiting(): { readonly toPeer: number; readonly toClient: number } {
    return { toPeer: this.#unwritten, toClient: this.#socket.pending };
  }

  get append(): Uint8Array | undefined {
    return this.#framer.encoder?.append;
  }

  receive(messages: IncomingMessages): void | Promise<void> {
    if (this.#output === "failed") return;
    const written = this.#write(messages);
    const pace = this.#toPeerPace;
    return pace === undefined
      ? written
      : written.then(() => pace.spend(messages.data.length));
  }

  ending(): void {
    this.#beginEnd();
    if (this.#client !== "over") this.#watchPeer();
  }

  end(end: WebSocketEnd): void {
    this.#beginEnd();
    const finished = this.#finished;
    this.#finished = undefined;
    finished?.(this.#finish(end));
  }

  /**
   * Closes the WebSocket because the server shuts down; messages that it
   * already has are sent first.
   *
   * @param code Close code.
   * @param reason Why.
   * @returns Whether it was not ending already.
   */
  shutDown(code: number, reason: string): boolean {
    const begins = !this.#isEnding;
    this.#beginEnd();
    this.#socket.close(code, reason);
    return begins;
  }

  /** Gives the peer up at once, because the time for the shutdown is over. */
  abort(): void {
    this.#beginEnd();
    this.#closePeer();
  }

  get #isEnding(): boolean {
    return this.#client === "ending" || this.#client === "over";
  }

  #beginEnd(): void {
    if (!this.#isEnding) this.#client = "ending";
    // What is left is little, and delivered without a wait.
    this.#toPeerPace?.stop();
    this.#toClientPace?.stop();
  }

  #watchIdle(timeout: number): void {
    this.#idleWatch = new IdleWatch({
      timeout,
      progress: () =>
        this.toPeer.messages + this.#peer.written + this.#reads +
        this.toClient.bytes - this.#socket.pending,
      onIdle: () =>
        this.#close(1001, `nothing was sent for ${timeout / 1000} s`),
    });
  }

  #write(messages: IncomingMessages): Promise<void> {
    this.#output = "writing";
    const { encoder } = this.#framer;
    if (encoder !== undefined) return this.#encode(messages, encoder);
    try {
      return this.#give(messages).then(this.#onWritten, this.#onWriteFailed);
    } catch (error) {
      this.#onWriteFailed(error);
      return Promise.resolve();
    }
  }

  async #encode(
    messages: IncomingMessages,
    encoder: StreamEncoder,
  ): Promise<void> {
    try {
      const encoding = encoder.encode(messages);
      const given: EncodedMessages = encoding instanceof Promise
        ? await encoding
        : encoding;
      await this.#give(given);
      this.#unwritten = 0;
      this.toPeer.messages += given.ends.length;
      this.toPeer.bytes += given.data.length;
      encoder.written();
      if (given.failure !== undefined) throw given.failure;
      this.#output = "ready";
    } catch (error) {
      this.#onWriteFailed(error);
    }
  }

  #give(given: EncodedMessages): Promise<void> {
    this.#unwritten = given.data.length;
    this.#unwrittenMessages = given.ends.length;
    // A peer may answer before the write is over.
    this.tap?.toPeer(given);
    return this.#peer.write(given);
  }

  // They run for each message: made once, as an async function costs more.

  #onWritten = (): void => {
    this.toPeer.messages += this.#unwrittenMessages;
    this.toPeer.bytes += this.#unwritten;
    this.#unwritten = 0;
    this.#output = "ready";
  };

  #onWriteFailed = (error: unknown): void => {
    this.#output = "failed";
    // A peer that has ended its side need not read more.
    if (this.#input === "ended") return;
    this.#error ??= error;
    if (this.#peer.isDatagram || error instanceof CloseError) {
      this.#fail(error);
    } // Data that the peer sent before may still be on its way to the client.
    else this.#watchPeer();
  };

  /**
   * Copies from the peer to the client until the peer's side has ended; never
   * rejects. It is one function, as each that waits costs an idle connection
   * memory.
   */
  async #pump(): Promise<void> {
    try {
      for (;;) {
        const first = await this.#reader.read();
        if (first === null) break;
        this.#reads++;
        // Returns no promise where none is needed: it runs for every read.
        const together = this.#reader.together(first);
        const count = typeof together === "number" ? together : await together;
        const turn = giveWay(this.#reading, count);
        if (turn !== undefined) await turn;
        // The client has left. The peer's data is read all the same: closing a
        // connection with unread data would reset it, and lose what the peer has
        // not read yet. It is read slowly: a peer that goes on sending would keep
        // the processor busy.
        if (this.#isEnding) {
          await setTimeout(dropPause);
          continue;
        }
        const start = beginWork(this.#reading, count);
        const framing = this.#framer.push(count);
        const framed = framing instanceof Promise ? await framing : framing;
        const room = this.#send(framed);
        if (!(framing instanceof Promise)) chargeSince(this.#reading, start);
        if (room !== undefined) await room;
        if (this.#client === "full") this.#client = "open";
        if (framed.failure !== undefined) throw framed.failure;
        const pause = this.#toClientPace?.spend(count);
        if (pause !== undefined) await pause;
      }
      // The system tells of a reset once: a write that it told may settle after
      // the read, which sees an end. It has settled when the event loop has
      // polled again.
      for (let turn = 0; turn < 2 && this.#output === "writing"; turn++) {
        await setImmediate();
      }
    } catch (error) {
      if (!this.#isEnding) this.#error ??= error;
    }
    this.#input = "ended";
    if (this.#isEnding) return;
    try {
      if (!(this.#error instanceof CloseError)) {
        const last = await this.#framer.end();
        await this.#send(last);
        if (last.failure !== undefined) throw last.failure;
      }
    } catch (error) {
      this.#error ??= error;
    }
    // After a failed write, the end may come from a reset, which lost some of
    // the peer's data.
    if (this.#error === undefined) this.#close(1000, "");
    else this.#fail(this.#error);
  }

  #send(framed: FramedRead): void | Promise<void> {
    const { messages } = framed;
    if (messages.length === 0) return;
    this.tap?.toClient(framed);
    const room = this.#socket.send(framed);
    if (room !== undefined && !this.#isEnding) this.#client = "full";
    return room;
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    if (error instanceof CloseError) this.#close(error.code, error.message);
    else this.#close(1011, "peer connection failed");
  }

  #close(code: number, reason: string): void {
    this.#beginEnd();
    this.#socket.close(code, reason);
  }

  /**
   * Gives the peer up once it has read nothing for a while. While the client is
   * still there, data from the peer counts as progress, too.
   */
  #watchPeer(): void {
    cancelSharedTimer(this.#lingerTimer);
    const { written } = this.#peer;
    const reads = this.#reads;
    this.#lingerTimer = startSharedTimer(() => {
      const isHeard = this.#client === "full" ||
        (this.#client === "open" && this.#reads !== reads);
      if (isHeard || this.#peer.written !== written) return this.#watchPeer();
      if (this.#output === "writing") {
        this.#error ??= new Error(
          `The peer took nothing for ${this.#lingerTimeout} ms after the client had gone`,
        );
      }
      this.#closePeer();
    }, this.#lingerTimeout);
  }

  #closePeer(): void {
    try {
      this.#peer.close();
    } catch (error) {
      this.#error ??= error;
    }
  }

  async #finish(end: WebSocketEnd): Promise<BridgeSummary> {
    this.#idleWatch?.stop();
    if (this.#mayEndPeer) {
      await this.#endPeer();
    }
    this.#client = "over";
    cancelSharedTimer(this.#lingerTimer);
    this.#closePeer();
    await this.#peerEnded;
    // A pending read still writes to the framer's memory.
    await this.#reader.settled();
    try {
      this.#framer.close();
    } catch (error) {
      this.#error ??= error;
    }
    const { toPeer, toClient } = this;
    const error = this.#error;
    return { toPeer, toClient, end, ...(error !== undefined && { error }) };
  }

  /** Whether the peer is a stream peer whose connection has not ended yet. */
  get #mayEndPeer(): boolean {
    return this.#output !== "failed" && this.#input === "open" &&
      !this.#peer.isDatagram;
  }

  /**
   * Ends our side of the peer's connection, and waits until the peer has ended
   * its own.
   */
  async #endPeer(): Promise<void> {
    this.#watchPeer();
    try {
      await this.#peer.closeWrite();
    } catch (error) {
      if (this.#input === "open") this.#error ??= error;
    }
    await this.#peerEnded;
  }
}
