/**
 * One WebSocket and one peer: what comes from the one goes to the other.
 *
 * @module
 */

import { CloseError } from "../errors.ts";
import type { EncodedMessages } from "./message_encoder.ts";
import type { FramedRead, StreamFramer } from "./message_framer.ts";
import { chargeSince, giveWay } from "../memory/read_budget.ts";
import { IdleWatch } from "../time/idle_watch.ts";
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

/** What a bridge connects. It owns all three from then on. */
export interface BridgeEnds {
  /** The client's side. */
  readonly socket: ServerWebSocket;
  /** The service's side. */
  readonly peer: Peer;
  /** Makes messages of what the peer sends. */
  readonly framer: StreamFramer;
}

/** Options for {@linkcode Bridge}. */
export interface BridgeOptions {
  /**
   * Milliseconds without progress after which the end of one side no longer
   * waits for the other: a peer that takes nothing, or does not end its stream,
   * after the client has gone.
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
}

/** What went through a bridge, and how it ended. */
export interface BridgeSummary extends ConnectionTraffic {
  /** How the WebSocket ended. */
  readonly end: WebSocketEnd;
  /** What failed, if something did. */
  readonly error?: unknown;
}

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
  /** Resolves when the peer's stream has ended, failed, or was given up. */
  #peerEnded: Promise<void>;
  #socketEnded = Promise.withResolvers<WebSocketEnd>();
  /** The client sends no more, or is sent no more. */
  #ending = false;
  #canWrite = true;
  #writing = false;
  #peerHasEnded = false;
  #error: unknown;
  #lingerTimer: SharedTimer | undefined;
  #idleWatch: IdleWatch | undefined;
  /** Reads from the peer, as a sign that it makes progress. */
  #reads = 0;
  /** Both sides have ended. */
  #isOver = false;
  /** The client has no room: the peer is not the one who is waited for. */
  #clientIsFull = false;

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
    this.#reader = new PeerReader(ends.peer, ends.framer);
    this.#lingerTimeout = options.lingerTimeout ?? 5000;
    if (options.idleTimeout) this.#watchIdle(options.idleTimeout);
    this.#peerEnded = this.#pump();
    this.finished = this.#finish();
  }

  get toClient(): Readonly<Traffic> {
    return this.#socket.sent;
  }

  get append(): Uint8Array | undefined {
    return this.#framer.encoder?.append;
  }

  receive(messages: IncomingMessages): void | Promise<void> {
    if (!this.#canWrite) return;
    return this.#write(messages);
  }

  ending(): void {
    this.#ending = true;
    if (!this.#isOver) this.#watchPeer();
  }

  end(end: WebSocketEnd): void {
    this.#ending = true;
    this.#socketEnded.resolve(end);
  }

  /**
   * Closes the WebSocket because the server shuts down; what was given to it
   * is sent before.
   *
   * @param code Close code.
   * @param reason Why.
   */
  shutDown(code: number, reason: string): void {
    this.#ending = true;
    this.#socket.close(code, reason);
  }

  /** Gives the peer up at once: there is no more time. */
  abort(): void {
    this.#ending = true;
    this.#closePeer();
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

  async #write(messages: IncomingMessages): Promise<void> {
    this.#writing = true;
    try {
      const { encoder } = this.#framer;
      const encoding = encoder?.encode(messages);
      const given: EncodedMessages = encoding instanceof Promise
        ? await encoding
        : encoding ?? messages;
      await this.#peer.write(given);
      this.toPeer.messages += given.ends.length;
      this.toPeer.bytes += given.data.length;
      encoder?.written();
      if (given.failure !== undefined) throw given.failure;
    } catch (error) {
      this.#canWrite = false;
      // A peer that has ended its stream need not take more.
      if (this.#peerHasEnded) return;
      this.#error ??= error;
      if (this.#peer.isDatagram || error instanceof CloseError) {
        this.#fail(error);
      } // Its last words may still be on their way to the client.
      else this.#watchPeer();
    } finally {
      this.#writing = false;
    }
  }

  /** Peer to client, until the peer's stream has ended; never rejects. */
  async #pump(): Promise<void> {
    try {
      await this.#copyToClient();
    } catch (error) {
      if (!this.#ending) this.#error ??= error;
    }
    this.#peerHasEnded = true;
    if (this.#ending) return;
    try {
      if (!(this.#error instanceof CloseError)) {
        const last = await this.#framer.end();
        await this.#send(last);
        if (last.failure !== undefined) throw last.failure;
      }
    } catch (error) {
      this.#error ??= error;
    }
    // After a write has failed, an end may be that of a connection that was
    // reset, with some of what the peer said lost.
    if (this.#error === undefined) this.#close(1000, "");
    else this.#fail(this.#error);
  }

  async #copyToClient(): Promise<void> {
    for (;;) {
      const first = await this.#reader.read();
      if (first === null) return;
      this.#reads++;
      // No promise where none is needed: this is done for every read.
      const together = this.#reader.together(first);
      const count = typeof together === "number" ? together : await together;
      const turn = giveWay(count);
      if (turn !== undefined) await turn;
      // The client is gone: what the peer still says is read so that closing
      // the connection does not reset it and lose what it has not yet taken.
      if (this.#ending) continue;
      const start = performance.now();
      const framing = this.#framer.push(count);
      const framed = framing instanceof Promise ? await framing : framing;
      const room = this.#send(framed);
      if (!(framing instanceof Promise)) chargeSince(start);
      if (room !== undefined) await room;
      this.#clientIsFull = false;
      if (framed.failure !== undefined) throw framed.failure;
    }
  }

  #send(framed: FramedRead): void | Promise<void> {
    const { messages } = framed;
    if (messages.length === 0) return;
    const room = this.#socket.send(framed);
    this.#clientIsFull = room !== undefined;
    return room;
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    if (error instanceof CloseError) this.#close(error.code, error.message);
    else this.#close(1011, "peer connection failed");
  }

  #close(code: number, reason: string): void {
    this.#ending = true;
    this.#socket.close(code, reason);
  }

  /**
   * Gives the peer up once it has taken nothing for a while; as long as the
   * client is there to hear it, also that it says something counts.
   */
  #watchPeer(): void {
    cancelSharedTimer(this.#lingerTimer);
    const { written } = this.#peer;
    const reads = this.#reads;
    this.#lingerTimer = startSharedTimer(() => {
      const isHeard = !this.#ending &&
        (this.#reads !== reads || this.#clientIsFull);
      if (isHeard || this.#peer.written !== written) return this.#watchPeer();
      if (this.#writing) {
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

  async #finish(): Promise<BridgeSummary> {
    const end = await this.#socketEnded.promise;
    this.#idleWatch?.stop();
    if (this.#canWrite && !this.#peerHasEnded && !this.#peer.isDatagram) {
      await this.#endPeer();
    }
    this.#isOver = true;
    cancelSharedTimer(this.#lingerTimer);
    this.#closePeer();
    await this.#peerEnded;
    // A read that is under way still writes to the framer's memory.
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

  /** Ends the stream to the peer and waits until the peer has ended its own. */
  async #endPeer(): Promise<void> {
    this.#watchPeer();
    try {
      await this.#peer.closeWrite();
    } catch (error) {
      if (!this.#peerHasEnded) this.#error ??= error;
    }
    await this.#peerEnded;
  }
}
