/**
 * Passes the requests of one connection to the parser of `node:http`, one at a
 * time.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import {
  chargeRequest,
  createReader,
  giveWay,
  waitInLine,
} from "../../memory/read_budget.ts";
import { dropRest } from "./http_answer.ts";

/** Takes what was read. */
type Parse = (chunk: Buffer) => void;

/** Ends the head of a request, RFC 9112 section 2.1. */
const headEnd = Buffer.from("\r\n\r\n");

/**
 * ```
 * idle ◄────────────────── the answer is taken ──┐
 *   └── bytes ──► parsing ── a request ──► answering
 *           └── no bytes ──► idle
 * ```
 *
 * From each of them, {@linkcode RequestGate.close} leads to `over`.
 */
type Phase =
  /** There is nothing to parse. */
  | "idle"
  /** Bytes are parsed, or wait for their turn. */
  | "parsing"
  /** A request has no answer yet. */
  | "answering"
  /** No further request is parsed. */
  | "over";

/**
 * Lets the parser of `node:http` see the next request only when the one before
 * is answered, and its answer taken by the system. The parser itself cannot
 * pause: it makes all requests at once that are in its input.
 *
 * While a request is unanswered, the socket is paused. It may have read one chunk
 * ahead.
 */
export class RequestGate {
  #socket: Duplex;
  #parsers: ((chunk: Buffer) => void)[];
  /** What was read and not yet parsed. */
  #rest: Buffer = Buffer.alloc(0);
  /** The last bytes that were parsed, fewer than {@linkcode headEnd} has. */
  #parsed: Buffer = Buffer.alloc(0);
  #reader = createReader();
  #phase: Phase = "idle";
  /** Whether the next bytes arrived before the answer to the last request. */
  #isBehind = false;
  #take = (chunk: Buffer): void => {
    this.#rest = this.#rest.length === 0
      ? chunk
      : Buffer.concat([this.#rest, chunk]);
    this.#run();
  };

  /**
   * Constructs a new instance.
   *
   * @param socket The socket, which `node:http` already listens to.
   */
  constructor(socket: Duplex) {
    this.#socket = socket;
    this.#parsers = socket.listeners("data") as Parse[];
    socket.removeAllListeners("data");
    socket.on("data", this.#take);
    socket.once("close", () => this.close());
  }

  /**
   * Holds further bytes back until a request is answered. A request that is
   * answered before it is complete is the last one of its connection.
   *
   * @param request The request.
   * @param response Its answer.
   */
  hold(request: IncomingMessage, response: ServerResponse): void {
    if (this.#isIn("over")) return;
    this.#phase = "answering";
    response.once("close", () => {
      if (this.#isIn("over")) return;
      this.#phase = "idle";
      if (request.complete && !this.#socket.writableEnded) {
        this.#isBehind = this.#rest.length + this.#socket.readableLength > 0;
        if (this.#rest.length > 0) this.#run();
        else this.#socket.resume();
        return;
      }
      this.close();
      dropRest(this.#socket);
    });
  }

  /**
   * Closes the gate for good.
   *
   * @returns What was read and not parsed.
   */
  close(): Buffer {
    this.#phase = "over";
    this.#socket.off("data", this.#take);
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest;
  }

  #isIn(phase: Phase): boolean {
    return this.#phase === phase;
  }

  async #run(): Promise<void> {
    if (this.#isIn("answering")) this.#socket.pause();
    if (!this.#isIn("idle")) return;
    this.#phase = "parsing";
    while (this.#rest.length > 0) {
      const turn = this.#isBehind ? waitInLine() : giveWay(this.#reader, 0);
      this.#isBehind = false;
      if (turn !== undefined) {
        this.#socket.pause();
        await turn;
        if (this.#isIn("over")) return;
      }
      this.#parse();
      if (this.#isIn("over")) return;
      this.#isBehind = this.#rest.length > 0;
      if (this.#isIn("answering")) return void this.#socket.pause();
    }
    this.#phase = "idle";
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  /** Parses up to the end of a head, so that there is no second one in it. */
  #parse(): void {
    const end = endOfHead(this.#parsed, this.#rest);
    const piece = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(piece.length);
    this.#parsed = Buffer.concat([this.#parsed, piece.subarray(-tail)])
      .subarray(-tail);
    for (const parse of this.#parsers) parse.call(this.#socket, piece);
    if (end !== undefined) chargeRequest(this.#reader);
  }
}

/** Bytes of a head's end that may lie in the chunk before. */
const tail = headEnd.length - 1;

/**
 * Finds where the first head in a chunk ends.
 *
 * @param before The last bytes before the chunk, {@linkcode tail} at the most.
 * @param chunk The chunk.
 * @returns The offset in the chunk; `undefined` if no head ends there.
 */
function endOfHead(before: Buffer, chunk: Buffer): number | undefined {
  const seam = Buffer.concat([before, chunk.subarray(0, tail)]);
  const across = seam.indexOf(headEnd);
  if (across >= 0) return across + headEnd.length - before.length;
  const inside = chunk.indexOf(headEnd);
  return inside < 0 ? undefined : inside + headEnd.length;
}
