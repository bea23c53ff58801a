/**
 * Reads the first request of a connection, and passes one for a WebSocket on
 * without `node:http`.
 *
 * @module
 */

import type { RemoteAddress } from "../../api.ts";
import type { RequestError } from "../../errors.ts";
import { giveMemory, takeMemory } from "../../memory/buffer_pool.ts";
import {
  chargeRequest,
  createReader,
  giveWay,
} from "../../memory/read_budget.ts";
import { toInternetRemote } from "../../net/address.ts";
import { keepAliveLater } from "../../net/keep_alive.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "../../time/shared_timers.ts";
import type { EngineOptions, RequestHead } from "../engine.ts";
import {
  names,
  parseRequest,
  RawHeaders,
  readRequestHead,
} from "../request.ts";
import { ConnectionStream } from "./connection_stream.ts";
import { type DetachedConnection, HttpConnection } from "./http_connection.ts";

/**
 * Bytes of the first read. `node:http` reads a head that is larger, or arrives
 * in parts.
 */
const firstRead = 4 * 1024;

const nothing = new Uint8Array();

/** Options for {@linkcode Arrivals}. */
export interface ArrivalsOptions
  extends Pick<EngineOptions, "admit" | "limits" | "headTimeout"> {
  /** Whether clients use TLS, so that nothing can be read here. */
  readonly isSecure: boolean;
  /**
   * Takes a request for a WebSocket.
   *
   * @param head What it says.
   * @param stream The connection, with what was read after the request.
   */
  onUpgrade(head: RequestHead, stream: ConnectionStream): void;
  /**
   * Takes a connection with any other first request.
   *
   * @param connection The connection; `node:http` gets what was read before.
   * @param refusal The refusal of every request on it.
   */
  onOther(connection: HttpConnection, refusal?: RequestError): void;
  /**
   * Takes a connection on which nothing has arrived in time.
   *
   * @param connection The connection.
   */
  onLate(connection: HttpConnection): void;
}

/** A connection that is read. */
interface Arrival {
  readonly connection: Deno.Conn;
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly count: Promise<number | null>;
  readonly keepAlive: SharedTimer | undefined;
  /** Called when the connection is closed, by any owner. */
  readonly onReleased: () => void;
}

/**
 * Takes accepted connections. Nearly all come from WebSocket clients, and their
 * first read contains the whole request: these do not need `node:http`, which
 * gets all others.
 */
export class Arrivals {
  #options: ArrivalsOptions;
  #timeout: number;
  /** Connections that wait for their first bytes, or for their turn. */
  #waiting = new Set<Arrival>();

  /**
   * Constructs a new instance.
   *
   * @param options Who gets them.
   */
  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#timeout = Math.ceil(options.headTimeout * 1000);
  }

  /**
   * Takes a connection.
   *
   * @param connection The connection.
   */
  take(connection: Deno.Conn): void {
    const { admit, limits, isSecure, onOther } = this.#options;
    const admission = admit?.(toRemote(connection.remoteAddr));
    const keepAlive = keepAliveLater(connection, limits().keepAlive);
    const isAdmitted = typeof admission === "function";
    const onReleased = isAdmitted ? admission : () => {};
    if (isSecure || !isAdmitted && admission !== undefined) {
      const reader = createReader();
      const detached = { connection, keepAlive, reader, onReleased };
      onOther(new HttpConnection(detached), isAdmitted ? undefined : admission);
      return;
    }
    const memory = takeMemory(firstRead);
    const count = connection.read(memory);
    this.#read({ connection, memory, count, keepAlive, onReleased });
  }

  /** Closes the connections that have no other owner yet. */
  close(): void {
    for (const arrival of this.#waiting) this.#close(arrival);
  }

  async #read(arrival: Arrival): Promise<void> {
    this.#waiting.add(arrival);
    const timer = startSharedTimer(
      () => this.#handOver(arrival, this.#options.onLate),
      this.#timeout,
    );
    let length: number | null = null;
    try {
      length = await arrival.count;
    } catch {
      // The client has left, as if it had ended the connection without sending
      // anything.
    }
    cancelSharedTimer(timer);
    if (!this.#waiting.has(arrival)) return;
    if (length === null) this.#close(arrival);
    else await this.#parse(arrival, length);
  }

  async #parse(arrival: Arrival, length: number): Promise<void> {
    const { connection, memory } = arrival;
    const read = memory.subarray(0, length);
    const text = readRequestHead(read);
    const head = text && parseRequest({
      target: text.target,
      method: "GET",
      headers: new RawHeaders(text.fields),
      remote: toRemote(connection.remoteAddr),
      local: toRemote(connection.localAddr),
    });
    if (
      head === undefined || !head.asksForWebSocket ||
      !names(head.headers, "connection", "upgrade")
    ) return this.#handOver(arrival, this.#options.onOther);
    const rest = text!.length === length ? nothing : read.slice(text!.length);
    giveMemory(memory);
    const reader = createReader();
    const turn = giveWay(reader, length);
    if (turn !== undefined) {
      await turn;
      if (!this.#waiting.has(arrival)) return;
    }
    chargeRequest(reader);
    this.#waiting.delete(arrival);
    const stream = new ConnectionStream(detach(arrival), rest);
    this.#options.onUpgrade(head, stream);
  }

  #handOver(
    arrival: Arrival,
    take: (connection: HttpConnection) => void,
  ): void {
    this.#waiting.delete(arrival);
    const { memory, count } = arrival;
    const begun = { memory, count };
    take(new HttpConnection({ ...detach(arrival), begun }));
  }

  #close(arrival: Arrival): void {
    this.#waiting.delete(arrival);
    cancelSharedTimer(arrival.keepAlive);
    arrival.connection.close();
    arrival.onReleased();
  }
}

/** The connection for its next owner. */
function detach(
  { connection, keepAlive, onReleased }: Arrival,
): DetachedConnection {
  return { connection, keepAlive, reader: createReader(), onReleased };
}

function toRemote(address: Deno.Addr): RemoteAddress {
  return address.transport === "tcp"
    ? toInternetRemote(address.hostname, address.port)
    : { address: "unix" };
}
