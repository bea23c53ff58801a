/**
 * The two ends of a bridge in memory, so that each failure happens at the very
 * moment that a test chooses. They keep the promises that `core/peers/peer.ts` and
 * `core/websocket/engine.ts` make, and fail a test that breaks those it has to keep.
 *
 * @module
 */

import { giveWay } from "../../core/memory/read_budget.ts";
import { MessageQueue } from "../../core/websocket/native/message_queue.ts";
import type { Peer } from "../../core/peers/peer.ts";
import type {
  IncomingMessages,
  OutgoingMessages,
  SentMessages,
  ServerWebSocket,
  WebSocketHandler,
} from "../../core/websocket/engine.ts";
import { decode, encode } from "./framing_driver.ts";

/**
 * Waits until nothing can happen any more but by a timer of the bridge: the fakes
 * know no other waiting than promises, and a turn of the event loop settles all
 * those. On a busy machine, work takes so long that reads give way to others, and
 * those have to have had their turn.
 */
export async function settled(): Promise<void> {
  for (;;) {
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    // Of a large read, which waits where any other one does.
    const turn = giveWay({ used: Infinity, quick: 0 }, 0);
    if (turn === undefined) return;
    await turn;
  }
}

/** Options for {@linkcode FakePeer}. */
export interface FakePeerOptions {
  /** Takes and gives datagrams. */
  readonly isDatagram?: boolean;
  /** Hands over what it said in pieces of up to 1,000 bytes, as TLS does. */
  readonly givesPieces?: boolean;
  /** Does not end its stream because the other side has ended. */
  readonly staysOpen?: boolean;
}

/** A peer whose service is the test. */
export class FakePeer implements Peer {
  readonly minimumRead: number;
  readonly isDatagram: boolean;
  readonly readsAll: boolean;
  readonly pieceSize: number;
  /** What was done to it, in order. */
  readonly events: string[] = [];
  /** How often it was asked to read. */
  reads = 0;
  /** How often it was written to, whether it took that or not. */
  writes = 0;
  #written = 0;
  #staysOpen: boolean;
  #arrived: (Uint8Array | Error | null)[] = [];
  #reading:
    | { buffer: Uint8Array; result: PromiseWithResolvers<number | null> }
    | undefined;
  #writing: PromiseWithResolvers<void> | undefined;
  #isStalled = false;
  #writeError: Error | undefined;
  #closed = false;

  constructor(options: FakePeerOptions = {}) {
    this.isDatagram = options.isDatagram ?? false;
    this.minimumRead = this.isDatagram ? 65536 : 1;
    this.readsAll = !options.givesPieces;
    this.pieceSize = options.givesPieces ? 1000 : Infinity;
    this.#staysOpen = options.staysOpen ?? false;
  }

  get written(): number {
    return this.#written;
  }

  /** The service sends this. */
  say(data: string | Uint8Array): void {
    this.#arrive(typeof data === "string" ? encode(data) : data);
  }

  /** The service ends its stream. */
  end(): void {
    this.#arrive(null);
  }

  /** The connection breaks. */
  fail(error: Error): void {
    this.#arrive(error);
  }

  /** The service takes nothing until {@linkcode FakePeer.resume}. */
  stall(): void {
    this.#isStalled = true;
  }

  resume(): void {
    this.#isStalled = false;
    this.#writing?.resolve();
  }

  /** Writes fail from now on. */
  failWrites(error: Error): void {
    this.#writeError = error;
    this.#writing?.reject(error);
  }

  read(buffer: Uint8Array): Promise<number | null> {
    if (this.#reading !== undefined) throw new Error("It is read already");
    if (buffer.length < this.minimumRead) throw new Error("There is no room");
    this.reads++;
    const result = Promise.withResolvers<number | null>();
    this.#reading = { buffer, result };
    if (this.#closed) {
      this.#reading = undefined;
      result.reject(new Deno.errors.BadResource("Bad resource ID"));
    } else this.#transfer();
    return result.promise;
  }

  async write({ data, ends }: IncomingMessages): Promise<void> {
    this.writes++;
    if (this.#writing !== undefined) {
      throw new Error("It is written to already");
    }
    if (this.#closed) throw new Deno.errors.BadResource("Bad resource ID");
    if (this.#writeError !== undefined) throw this.#writeError;
    this.#writing = Promise.withResolvers();
    if (!this.#isStalled) this.#writing.resolve();
    try {
      await this.#writing.promise;
    } finally {
      this.#writing = undefined;
    }
    // The system takes the bytes only now; nobody may have changed them.
    if (this.isDatagram) {
      let start = 0;
      for (const end of ends) {
        this.events.push(`take ${decode(data.subarray(start, end))}`);
        start = end;
      }
    } else if (data.length > 0) this.events.push(`take ${decode(data)}`);
    this.#written += data.length;
  }

  // deno-lint-ignore require-await
  async closeWrite(): Promise<void> {
    if (this.#writing !== undefined) throw new Error("It is still written to");
    if (this.#closed) throw new Deno.errors.BadResource("Bad resource ID");
    this.events.push("closeWrite");
    // Datagrams have no end that a service could answer.
    if (!this.#staysOpen && !this.isDatagram) this.end();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.events.push("close");
    const interrupted = new Deno.errors.Interrupted("operation canceled");
    this.#reading?.result.reject(interrupted);
    this.#reading = undefined;
    this.#writing?.reject(interrupted);
  }

  #arrive(what: Uint8Array | Error | null): void {
    this.#arrived.push(what);
    this.#transfer();
  }

  /** Gives what has arrived to a read that waits. */
  #transfer(): void {
    if (this.#reading === undefined || this.#arrived.length === 0) return;
    const { buffer, result } = this.#reading;
    this.#reading = undefined;
    const next = this.#arrived.shift()!;
    if (next === null) result.resolve(null);
    else if (next instanceof Error) result.reject(next);
    else {
      const most = Math.min(buffer.length, this.pieceSize);
      const count = Math.min(next.length, most);
      buffer.set(next.subarray(0, count));
      if (count < next.length) this.#arrived.unshift(next.subarray(count));
      result.resolve(count);
    }
  }
}

/** A WebSocket whose client is the test. */
export class FakeWebSocket implements ServerWebSocket {
  /** What was sent to the client, in order, the close frame last. */
  readonly events: string[] = [];
  /** Bytes that a slow client has not yet taken. */
  pending = 0;
  readonly sent: SentMessages = { messages: 0, bytes: 0 };
  #handler: WebSocketHandler | undefined;
  #queue: MessageQueue | undefined;
  #isFull = false;
  #draining: PromiseWithResolvers<void> | undefined;
  #closing: { code: number; reason: string } | undefined;
  #hasEnded = false;
  #answersClose: boolean;

  constructor({ answersClose = true }: { answersClose?: boolean } = {}) {
    this.#answersClose = answersClose;
  }

  start(handler: WebSocketHandler): void {
    this.#handler = handler;
    this.#queue = new MessageQueue((messages) => handler.receive(messages));
  }

  /** The client sends a message. */
  say(message: string | Uint8Array): void {
    this.#queue!.push(message);
  }

  /** The client closes. */
  async leave(code = 1000, reason = ""): Promise<void> {
    this.#handler!.ending();
    await this.#queue!.empty;
    this.#end(code, reason, "client");
  }

  /** The engine ends the WebSocket at once, whatever still waits. */
  giveUp(code: number, reason: string): void {
    this.#queue!.clear();
    this.#end(code, reason, "server");
  }

  /** From now on there is no room for more, until {@linkcode FakeWebSocket.drain}. */
  fill(): void {
    this.#isFull = true;
  }

  /** There is room again. */
  drain(): void {
    this.#isFull = false;
    this.#draining?.resolve();
    this.#draining = undefined;
  }

  send({ data, messages }: OutgoingMessages): void | Promise<void> {
    if (this.#draining !== undefined) throw new Error("There is no room");
    if (this.#hasEnded) return;
    if (this.#closing !== undefined) throw new Error("It is closed");
    for (const { start, end, text } of messages) {
      const type = text ? "text" : "binary";
      this.events.push(`${type} ${decode(data.subarray(start, end))}`);
      this.sent.messages++;
      this.sent.bytes += end - start;
    }
    if (!this.#isFull) return;
    this.#draining = Promise.withResolvers();
    return this.#draining.promise;
  }

  close(code: number, reason: string): void {
    if (this.#handler === undefined) throw new Error("It has not started");
    if (this.#closing !== undefined || this.#hasEnded) return;
    this.#closing = { code, reason };
    this.#close(code, reason);
  }

  /** The client answers a close frame that it has got. */
  answerClose(): void {
    const { code, reason } = this.#closing!;
    this.#end(code, reason, "server");
  }

  async #close(code: number, reason: string): Promise<void> {
    await this.#draining?.promise;
    this.events.push(`close ${code}${reason === "" ? "" : ` ${reason}`}`);
    if (this.#answersClose) this.answerClose();
  }

  #end(code: number, reason: string, by: "client" | "server"): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.drain();
    this.#handler!.end({ code, reason, by });
  }
}
