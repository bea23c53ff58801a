/**
 * One WebSocket of the `stream` engine: RFC 6455 between a client's connection
 * and the bridge.
 *
 * @module
 */

import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "../../time/shared_timers.ts";
import { beginWork, chargeSince, giveWay } from "../../memory/read_budget.ts";
import type { ByteStream, ByteStreamHandler } from "./byte_stream.ts";
import type {
  EngineLimits,
  OutgoingMessages,
  SentMessages,
  ServerWebSocket,
  WebSocketHandler,
} from "../engine.ts";
import {
  closeTimeout,
  isPatient,
  lastTimeout,
  Liveness,
  timeToTake,
  type Written,
} from "../liveness.ts";
import type { MessageCompression } from "../protocol/compression.ts";
import type { ReceiverEvents } from "../protocol/receiver.ts";
import { ServerProtocol } from "../protocol/server.ts";

/** Bytes of compressed messages that are read before others have their turn. */
const compressedStep = 16 * 1024;

/**
 * The phase from its request on; the protocol's state says how it ends.
 *
 * ```
 * requested ── open() ──► opened ── start() ──► started
 *     └──── refuse() ──► refused
 * ```
 */
type Phase =
  /** There is no answer yet; the signal is aborted if the client leaves. */
  | { readonly name: "requested"; readonly gone: AbortController }
  | { readonly name: "refused" }
  /** It is open, and has no handler. */
  | {
    readonly name: "opened";
    readonly compression: MessageCompression | undefined;
    /** Why the client is gone, if it is; empty if nothing failed. */
    readonly lost?: string;
  }
  | Started;

/** The handler receives what happens, and the client's liveness is checked. */
interface Started {
  readonly name: "started";
  readonly handler: WebSocketHandler;
  readonly protocol: ServerProtocol;
  readonly liveness: Liveness;
}

/**
 * A WebSocket, from the request for it to its end. The connection is read from
 * the start, to notice a client that leaves; little is read ahead of the
 * handler.
 */
export class StreamWebSocket implements ServerWebSocket, ByteStreamHandler {
  readonly sent: SentMessages = { messages: 0, bytes: 0 };
  #stream: ByteStream;
  #onClose: (webSocket: StreamWebSocket) => void;
  #limits: EngineLimits;
  #phase: Phase;
  #room: PromiseWithResolvers<void> | undefined;
  /**
   * Whether the client has sent something since the last look at the wait for
   * its end.
   */
  #hasSpoken = false;
  /**
   * Timers of the first check that the client is alive, and of further ones.
   */
  #firstTimer: SharedTimer | undefined;
  #aliveTimer: ReturnType<typeof setTimeout> | undefined;
  #destroyTimer: SharedTimer | undefined;

  /**
   * Constructs a new instance.
   *
   * @param stream The connection, after an HTTP request for an upgrade.
   * @param limits What holds for the WebSocket.
   * @param onClose Called when the connection is released.
   */
  constructor(
    stream: ByteStream,
    limits: EngineLimits,
    onClose: (webSocket: StreamWebSocket) => void,
  ) {
    this.#stream = stream;
    this.#limits = limits;
    this.#onClose = onClose;
    this.#phase = { name: "requested", gone: new AbortController() };
    stream.start(this);
  }

  /** Aborted when the client is gone before it has an answer; never after that. */
  get signal(): AbortSignal {
    const phase = this.#phase;
    const { signal } = phase.name === "requested"
      ? phase.gone
      : new AbortController();
    return signal;
  }

  /**
   * Answers the request with something else than a WebSocket.
   *
   * @param response The whole HTTP response.
   */
  refuse(response: string): void {
    this.#phase = { name: "refused" };
    this.#stream.write(encoder.encode(response));
    this.#hangUp(lastTimeout);
  }

  /**
   * Opens the WebSocket.
   *
   * @param response The whole HTTP response that accepts it.
   * @param compression What compresses messages, if that was agreed upon.
   * @returns Whether it is open: else the client is gone.
   */
  open(response: string, compression?: MessageCompression): boolean {
    if (this.#stream.hasEnded) {
      this.#stream.close();
      return false;
    }
    this.#phase = { name: "opened", compression };
    this.#stream.write(encoder.encode(response));
    return true;
  }

  start(handler: WebSocketHandler): void {
    const phase = this.#phase;
    if (phase.name !== "opened") return;
    const { compression, lost } = phase;
    const protocol = new ServerProtocol(this.#limits);
    const period = this.#limits.ping * 1000;
    const liveness = new Liveness(period, performance.now(), this.#written);
    const started: Started = { name: "started", handler, protocol, liveness };
    this.#phase = started;
    if (compression !== undefined) protocol.compressWith(compression);
    if (lost !== undefined) protocol.lose(lost);
    if (this.#stream.hasEnded) handler.ending();
    if (handler.append !== undefined) protocol.addEnding(handler.append);
    if (period > 0) {
      this.#firstTimer = startSharedTimer(
        () => this.#checkAlive(started),
        period,
      );
    }
    this.#run(started);
  }

  send(messages: OutgoingMessages): void | Promise<void> {
    const protocol = this.#protocol;
    if (protocol === undefined || !protocol.canSend) return;
    const { sent } = this;
    sent.messages += messages.messages.length;
    for (const { start, end } of messages.messages) sent.bytes += end - start;
    const frame = protocol.sendInPlace(messages);
    if (frame !== undefined) return this.#stream.transfer(frame);
    if (this.#write(protocol.send(messages))) return;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  get pending(): number {
    return this.#stream.pending;
  }

  close(code: number, reason: string): void {
    const protocol = this.#protocol;
    if (protocol === undefined || !protocol.canSend) return;
    this.#write(protocol.close(code, reason));
    this.#makeRoom();
    this.#destroyAfter(closeTimeout, isPatient(code) ? this.#whenTaken() : 0);
  }

  /** Ends the connection once what was written is sent, or cannot be. */
  destroy(): void {
    this.#stream.closeSoon();
    this.#destroyAfter(lastTimeout);
  }

  /**
   * Passes what the client sends to the handler, until the WebSocket has ended.
   */
  async #run({ handler, protocol, liveness }: Started): Promise<void> {
    while (protocol.canReceive) {
      const chunk = this.#stream.next();
      if (chunk === undefined) {
        if (this.#stream.hasEnded) break;
        await this.#stream.more();
        continue;
      }
      // Each byte of a compressed message may become a thousand.
      const step = protocol.isCompressed ? compressedStep : chunk.length;
      let at = 0;
      while (
        protocol.canReceive && (at < chunk.length || protocol.isPaused)
      ) {
        // Few compressed bytes can be much work.
        const start = protocol.isCompressed
          ? performance.now()
          : beginWork(this.#stream.reader, chunk.length);
        let events: ReceiverEvents;
        if (protocol.isPaused) events = protocol.proceed();
        else {
          const isWhole = step >= chunk.length;
          events = protocol.receive(
            isWhole ? chunk : chunk.subarray(at, at + step),
          );
          at += step;
        }
        const { messages, ponged } = events;
        this.#answerPings(protocol);
        if (ponged) liveness.hearPong();
        if (!protocol.canReceive) handler.ending();
        chargeSince(this.#stream.reader, start);
        for (const batch of messages) {
          const busy = handler.receive(batch);
          if (busy === undefined) continue;
          this.#stream.readAhead();
          await busy;
        }
        if (protocol.isPaused) {
          const turn = giveWay(this.#stream.reader, 0);
          if (turn !== undefined) await turn;
        }
      }
      protocol.taken();
    }
    // `undefined` if it has ended in another way meanwhile.
    this.#write(protocol.answer());
    this.#makeRoom();
    protocol.lose("");
    protocol.release();
    cancelSharedTimer(this.#firstTimer);
    clearTimeout(this.#aliveTimer);
    // A client sends nothing after its close frame (RFC 6455 section 5.5.1).
    if (protocol.state === "closed") this.destroy();
    else this.#hangUp(lastTimeout);
    handler.end(protocol.end!);
  }

  /** Writes what the protocol sends, if it sends something; tells whether there is room for more. */
  #write(bytes: Uint8Array | undefined): boolean {
    return bytes === undefined || this.#stream.write(bytes);
  }

  onData(): void {
    const phase = this.#phase;
    if (phase.name === "started") phase.liveness.hear(performance.now());
    this.#hasSpoken = true;
  }

  onGone(reason: string): void {
    const phase = this.#phase;
    if (phase.name === "requested") {
      phase.gone.abort(new Error("The client is gone"));
    } else if (phase.name === "opened") {
      this.#phase = { ...phase, lost: reason };
    } else if (phase.name === "started") {
      phase.protocol.lose(reason);
      this.#makeRoom();
      phase.handler.ending();
    }
  }

  onClose(): void {
    cancelSharedTimer(this.#destroyTimer);
    this.#onClose(this);
  }

  onDrain(): void {
    const protocol = this.#protocol;
    if (protocol !== undefined) this.#answerPings(protocol);
    this.#makeRoom();
  }

  get #protocol(): ServerProtocol | undefined {
    const phase = this.#phase;
    return phase.name === "started" ? phase.protocol : undefined;
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #answerPings(protocol: ServerProtocol): void {
    this.#write(protocol.pong(this.#stream.isFull));
  }

  #watch(started: Started, milliseconds: number): void {
    this.#aliveTimer = setTimeout(
      () => this.#checkAlive(started),
      milliseconds,
    );
  }

  get #written(): Written {
    const { sent, pending } = this.#stream;
    return { sent, pending };
  }

  #checkAlive(started: Started): void {
    const { handler, protocol, liveness } = started;
    const now = performance.now();
    if (this.#stream.isWaiting) {
      // Not the client is silent; its peer is slow. But only a write notices
      // that the client of an unread socket has left.
      liveness.excuse(now);
      if (!this.#stream.isFull) this.#write(protocol.ping());
      return this.#watch(started, this.#limits.ping * 1000);
    }
    const { action, wait } = liveness.look(now, this.#written);
    if (action === "giveUp") {
      // Otherwise the bridge would continue to read and frame the peer's data.
      handler.ending();
      this.close(1001, "no response to a ping");
      return this.#destroyAfter(lastTimeout);
    }
    if (action === "ping") {
      protocol.trim();
      this.#write(protocol.ping());
    }
    this.#watch(started, wait);
  }

  /** The time at which even a slow client has read everything. */
  #whenTaken(): number {
    const phase = this.#phase;
    const unknown = phase.name === "started"
      ? phase.liveness.unknown(this.#written)
      : 0;
    return performance.now() + timeToTake(unknown);
  }

  /** Ends our side, and the connection once the client has ended its own. */
  #hangUp(patience: number): void {
    this.#stream.end();
    // What the client still sends is dropped: unread data would reset the
    // connection before the client has read our close frame.
    this.#stream.drop();
    this.#destroyAfter(patience);
  }

  /**
   * Destroys the socket when there was no progress for a while, or after too
   * long.
   *
   * @param milliseconds How long a while is.
   * @param least The earliest time to destroy it.
   * @param looks How often data from the client extends the wait.
   */
  #destroyAfter(milliseconds: number, least = 0, looks = 6): void {
    cancelSharedTimer(this.#destroyTimer);
    if (this.#stream.isClosed) return;
    const waiting = this.#stream.pending;
    this.#hasSpoken = false;
    this.#destroyTimer = startSharedTimer(() => {
      if (this.#stream.pending < waiting) {
        this.#destroyAfter(milliseconds, least > 0 ? this.#whenTaken() : 0);
      } else if (performance.now() < least) {
        this.#destroyAfter(milliseconds, least, looks);
      } else if (this.#hasSpoken && looks > 0) {
        this.#destroyAfter(milliseconds, least, looks - 1);
      } else this.#stream.close();
    }, milliseconds);
  }
}

const encoder = new TextEncoder();
