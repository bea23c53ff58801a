/**
 * One WebSocket of the `stream` engine: RFC 6455 between a socket of `node:net`
 * and the bridge.
 *
 * @module
 */

import type { Socket } from "node:net";
import { ChunkQueue } from "./chunk_queue.ts";
import type {
  EngineLimits,
  OutgoingMessages,
  ServerWebSocket,
  WebSocketEnd,
  WebSocketHandler,
  WebSocketUpgrade,
} from "../websocket.ts";
import {
  encodeClose,
  encodeHeader,
  encodeMessages,
  encodePing,
  encodePong,
} from "../protocol/websocket_frames.ts";
import { WebSocketProtocol } from "../protocol/websocket_protocol.ts";

/** Milliseconds without progress after which a close no longer waits for the client. */
const closeTimeout = 10_000;

/** Milliseconds that a client which broke the protocol has to read why. */
const failTimeout = 2_000;

/** A message of at least this many bytes is written without copying it behind its header. */
const large = 32 * 1024;

/**
 * A WebSocket, from the request for it to its end. The socket is read from the
 * start, so that a client that goes away is noticed; little is read ahead of what
 * the handler has taken.
 */
export class StreamWebSocket implements ServerWebSocket {
  #socket: Socket;
  #limits: EngineLimits;
  #protocol: WebSocketProtocol;
  /** Tells, until there is an answer, whether the client has gone meanwhile. */
  #handshake: AbortController | undefined;
  #handler: WebSocketHandler | undefined;
  #chunks: ChunkQueue;
  /** What has ended it; nothing but the rest of the closing handshake is sent then. */
  #end: WebSocketEnd | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  /** A ping that could not be answered yet, for want of room. */
  #pong: Uint8Array | undefined;
  #lastActivity = 0;
  #pinged = false;
  /** The client has sent something since the wait for its end was looked at. */
  #hasSpoken = false;
  #aliveTimer: ReturnType<typeof setTimeout> | undefined;
  #destroyTimer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param socket The socket, after an HTTP request for an upgrade.
   * @param head What was read of it behind the request.
   * @param limits What holds for the WebSocket.
   */
  constructor(socket: Socket, head: Uint8Array, limits: EngineLimits) {
    this.#socket = socket;
    this.#limits = limits;
    this.#protocol = new WebSocketProtocol(limits);
    this.#chunks = new ChunkQueue(socket);
    if (head.length > 0) this.#chunks.push(head);
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#onGone(""));
    socket.on("error", (error) => this.#onGone(error.message));
    socket.on("close", () => {
      this.#onGone("");
      clearTimeout(this.#destroyTimer);
    });
  }

  /** Aborted when the client is gone before it has an answer. */
  get signal(): AbortSignal {
    this.#handshake ??= new AbortController();
    return this.#handshake.signal;
  }

  /**
   * Answers the request with something else than a WebSocket.
   *
   * @param response The whole HTTP response.
   */
  refuse(response: string): void {
    this.#handshake = undefined;
    this.#socket.write(response);
    this.#hangUp(failTimeout);
  }

  /**
   * Opens the WebSocket.
   *
   * @param response The whole HTTP response that accepts it.
   * @param accepted Takes the WebSocket, or is told that the client is gone.
   */
  open(response: string, accepted: WebSocketUpgrade): void {
    if (this.#chunks.hasEnded) {
      accepted.abandon();
      this.#socket.destroy();
      return;
    }
    this.#handshake = undefined;
    this.#socket.write(response);
    const handler = accepted.open(this);
    this.#handler = handler;
    this.#lastActivity = performance.now();
    this.#watch(this.#limits.ping * 1000);
    this.#run(handler);
  }

  send(messages: OutgoingMessages): void | Promise<void> {
    if (this.#end !== undefined) return;
    const { start, end } = messages.messages[0]!;
    if (messages.messages.length === 1 && end - start >= large) {
      return this.#sendLarge(messages);
    }
    if (this.#socket.write(encodeMessages(messages))) return;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Sends one message from where it lies, and waits until that may be changed. */
  #sendLarge({ data, messages }: OutgoingMessages): Promise<void> {
    const { start, end, text } = messages[0]!;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.cork();
    this.#socket.write(encodeHeader(end - start, text));
    this.#socket.write(data.subarray(start, end), () => {
      this.#lastActivity = performance.now();
      resolve();
    });
    this.#socket.uncork();
    return promise;
  }

  get pending(): number {
    return this.#socket.writableLength;
  }

  close(code: number, reason: string): void {
    if (this.#end !== undefined) return;
    this.#end = { code, reason, by: "server" };
    this.#socket.write(encodeClose(code, reason));
    this.#makeRoom();
    this.#destroyAfter(closeTimeout);
  }

  /** Ends the connection once what was written is sent, or cannot be. */
  destroy(): void {
    this.#socket.destroySoon();
    this.#destroyAfter(failTimeout);
  }

  /** Hands what the client sends to the handler, until the WebSocket has ended. */
  async #run(handler: WebSocketHandler): Promise<void> {
    let isOver = false;
    while (!isOver) {
      const next = this.#chunks.next();
      const chunk = next instanceof Promise ? await next : next;
      if (chunk === undefined) break;
      const { messages, pong, close, failure } = this.#protocol.receive(chunk);
      if (pong !== undefined) this.#answerPing(pong);
      isOver = close !== undefined || failure !== undefined;
      if (isOver) handler.ending();
      for (const batch of messages) {
        const busy = handler.receive(batch);
        if (busy !== undefined) await busy;
      }
      if (close !== undefined) this.#endAs({ ...close, by: "client" });
      if (failure !== undefined) this.#endAs({ ...failure, by: "server" });
    }
    clearTimeout(this.#aliveTimer);
    this.#end ??= { code: 1006, reason: "", by: "client" };
    this.#hangUp(failTimeout);
    handler.end(this.#end);
  }

  /** Answers the client's close frame, or tells it what it did wrong. */
  #endAs(end: WebSocketEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#socket.write(encodeClose(end.code, end.reason));
    this.#makeRoom();
  }

  #onData(chunk: Uint8Array): void {
    this.#lastActivity = performance.now();
    this.#pinged = false;
    this.#hasSpoken = true;
    this.#chunks.push(chunk);
  }

  #onGone(reason: string): void {
    if (this.#chunks.hasEnded) return;
    this.#handshake?.abort(new Error("The client is gone"));
    this.#end ??= { code: 1006, reason, by: "client" };
    this.#makeRoom();
    this.#handler?.ending();
    this.#chunks.end();
  }

  #onDrain(): void {
    this.#lastActivity = performance.now();
    if (this.#pong !== undefined) this.#answerPing(this.#pong);
    this.#makeRoom();
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** A client that pings and does not read gets one pong when it does (RFC 6455 section 5.5.3). */
  #answerPing(payload: Uint8Array): void {
    const isFull = this.#socket.writableNeedDrain;
    this.#pong = isFull ? payload : undefined;
    if (!isFull && this.#end === undefined) {
      this.#socket.write(encodePong(payload));
    }
  }

  #watch(milliseconds: number): void {
    if (this.#limits.ping === 0) return;
    this.#aliveTimer = setTimeout(() => this.#checkAlive(), milliseconds);
  }

  #checkAlive(): void {
    const period = this.#limits.ping * 1000;
    const silence = performance.now() - this.#lastActivity;
    if (this.#chunks.isWaiting) {
      // It is not the client that is silent: its peer is slow. But a socket that
      // is not read tells that the client has gone only to one who writes.
      if (!this.#socket.writableNeedDrain) {
        this.#socket.write(encodePing(new Uint8Array(0)));
      }
      return this.#watch(period);
    }
    if (silence < period) return this.#watch(period - silence);
    if (!this.#pinged) {
      this.#pinged = true;
      this.#socket.write(encodePing(new Uint8Array(0)));
      return this.#watch(period);
    }
    // Else its peer would be read, and framed, for nobody.
    this.#handler?.ending();
    this.close(1001, "no response to a ping");
    this.#destroyAfter(failTimeout);
  }

  /** Ends our side, and the connection once the client has ended its own. */
  #hangUp(patience: number): void {
    this.#socket.end();
    // What the client still sends is dropped: unread, it would reset the
    // connection before the client has read our last words.
    this.#chunks.drop();
    this.#destroyAfter(patience);
  }

  /** Destroys the socket when nothing has moved for a while, or it takes too long. */
  #destroyAfter(milliseconds: number, looks = 6): void {
    clearTimeout(this.#destroyTimer);
    if (this.#socket.destroyed) return;
    const waiting = this.#socket.writableLength;
    this.#hasSpoken = false;
    this.#destroyTimer = setTimeout(() => {
      if (this.#socket.writableLength < waiting) {
        this.#destroyAfter(milliseconds);
      } else if (this.#hasSpoken && looks > 0) {
        this.#destroyAfter(milliseconds, looks - 1);
      } else this.#socket.destroy();
    }, milliseconds);
  }
}
