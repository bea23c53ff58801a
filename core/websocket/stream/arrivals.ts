/**
 * Reads the first request of a connection, and passes one for a WebSocket on
 * without `node:http`.
 *
 * @module
 */

import type { RemoteAddress } from "../../api.ts";
import { RequestError } from "../../errors.ts";
import { giveMemory, takeMemory } from "../../memory/buffer_pool.ts";
import {
  chargeRequest,
  createReader,
  giveWay,
} from "../../memory/read_budget.ts";
import { toInternetRemote } from "../../net/address.ts";
import { keepAliveLater } from "../../net/connection.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "../../time/shared_timers.ts";
import type {
  ClientCertificate,
  EngineOptions,
  RequestHead,
} from "../engine.ts";
import {
  names,
  parseRequest,
  RawHeaders,
  readRequestHead,
} from "../request.ts";
import type { ClientConnection } from "./client_connection.ts";
import { ConnectionStream } from "./connection_stream.ts";
import { type DetachedConnection, HttpConnection } from "./http_connection.ts";
import type { TlsConnection } from "./tls_connection.ts";

/**
 * Bytes of the first read. `node:http` reads a head that is larger, or arrives
 * in parts.
 */
const firstRead = 4 * 1024;

const nothing = new Uint8Array();

/** Options for {@linkcode Arrivals}. */
export interface ArrivalsOptions
  extends Pick<EngineOptions, "admit" | "limits" | "headTimeout"> {
  /**
   * Begins TLS on a connection; absent: clients do not use it.
   *
   * @param connection The connection.
   * @returns The connection with TLS, which owns it.
   */
  readonly secure?: ((connection: Deno.Conn) => TlsConnection) | undefined;
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
  /** The connection; with TLS from its first bytes on. */
  connection: ClientConnection;
  /** The certificate that the client has shown. */
  certificate: ClientCertificate | undefined;
  readonly memory: Uint8Array<ArrayBuffer>;
  /** The read that has begun. */
  count: Promise<number | null>;
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
    const { admit, limits, secure, onOther } = this.#options;
    const admission = admit?.(toRemote(connection.remoteAddr));
    const keepAlive = keepAliveLater(connection, limits().keepAlive);
    const isAdmitted = typeof admission === "function";
    if (!isAdmitted && admission !== undefined) {
      const onReleased = (): void => {};
      // It would have to be answered with TLS.
      if (secure !== undefined) release({ connection, keepAlive, onReleased });
      else {
        const detached = {
          connection,
          certificate: undefined,
          keepAlive,
          reader: createReader(),
          onReleased,
        };
        onOther(new HttpConnection(detached), admission);
      }
      return;
    }
    const onReleased = isAdmitted ? admission : (): void => {};
    const memory = takeMemory(firstRead);
    const count = connection.read(memory);
    const arrival: Arrival = {
      connection,
      certificate: undefined,
      memory,
      count,
      keepAlive,
      onReleased,
    };
    if (secure === undefined) this.#read(arrival);
    else this.#secure(arrival, () => secure(connection));
  }

  /** Closes the connections that have no other owner yet. */
  close(): void {
    for (const arrival of this.#waiting) this.#close(arrival);
  }

  /** Speaks TLS, or tells a client that does not. */
  async #secure(
    arrival: Arrival,
    secure: () => TlsConnection,
  ): Promise<void> {
    const open = async (): Promise<TlsConnection | "plain" | null> => {
      const { memory, count } = arrival;
      const length = await count;
      if (length === null || !this.#waiting.has(arrival)) return null;
      if (isLetter(memory[0]!)) return "plain";
      const tls = arrival.connection = secure();
      return await tls.open(memory, length) ? tls : null;
    };
    const tls = await this.#await(arrival, open(), () => this.#close(arrival));
    if (tls === undefined) return;
    if (tls === null) return this.#close(arrival);
    if (tls === "plain") {
      return this.#handOver(arrival, (connection) => {
        connection.refusal = new RequestError(
          400,
          "TLS is spoken here: use wss or https",
        );
        this.#options.onOther(connection);
      });
    }
    arrival.certificate = tls.certificate;
    arrival.count = tls.read(arrival.memory);
    await this.#read(arrival);
  }

  async #read(arrival: Arrival): Promise<void> {
    const length = await this.#await(
      arrival,
      arrival.count,
      () => this.#handOver(arrival, this.#options.onLate),
    );
    if (length === undefined) return;
    if (length === null) this.#close(arrival);
    else await this.#parse(arrival, length);
  }

  /**
   * Awaits something for a connection that has no other owner yet.
   *
   * @param arrival The connection.
   * @param promise What is awaited.
   * @param onLate Called if it takes too long; takes the connection.
   * @returns The result; `null` if the client has left, as if it had ended the
   * connection without sending anything; `undefined` if the connection has been
   * taken.
   */
  async #await<Result>(
    arrival: Arrival,
    promise: Promise<Result>,
    onLate: () => void,
  ): Promise<Result | null | undefined> {
    this.#waiting.add(arrival);
    const timer = startSharedTimer(onLate, this.#timeout);
    let result: Result | null = null;
    try {
      result = await promise;
    } catch {
      // The client has left.
    }
    cancelSharedTimer(timer);
    return this.#waiting.has(arrival) ? result : undefined;
  }

  async #parse(arrival: Arrival, length: number): Promise<void> {
    const { connection, certificate, memory } = arrival;
    const read = memory.subarray(0, length);
    const text = readRequestHead(read);
    const head = text && parseRequest({
      target: text.target,
      method: "GET",
      headers: new RawHeaders(text.fields),
      remote: toRemote(connection.remoteAddr),
      local: toRemote(connection.localAddr),
      ...certificate && { certificate },
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
    release(arrival);
  }
}

/** Closes a connection. */
function release(
  { connection, keepAlive, onReleased }: Pick<
    Arrival,
    "connection" | "keepAlive" | "onReleased"
  >,
): void {
  cancelSharedTimer(keepAlive);
  connection.close();
  onReleased();
}

/** Matches the first byte of an HTTP method, which no TLS record begins with. */
function isLetter(byte: number): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(byte));
}

/** The connection for its next owner. */
function detach(
  { connection, certificate, keepAlive, onReleased }: Arrival,
): DetachedConnection {
  const reader = createReader();
  return { connection, certificate, keepAlive, reader, onReleased };
}

function toRemote(address: Deno.Addr): RemoteAddress {
  return address.transport === "tcp"
    ? toInternetRemote(address.hostname, address.port)
    : { address: "unix" };
}
