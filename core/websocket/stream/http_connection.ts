/**
 * Passes an accepted connection to the HTTP server of `node:http`.
 *
 * @module
 */

import type { RequestError } from "../../errors.ts";
import { giveMemory, headroom, takeMemory } from "../../memory/buffer_pool.ts";
import { giveWay, type Reader } from "../../memory/read_budget.ts";
import { ReadSize } from "../../memory/read_buffer.ts";
import { ConnectionDuplex } from "../../net/connection_duplex.ts";
import type { ClientCertificate } from "../engine.ts";
import type { ClientConnection } from "./client_connection.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
  startSharedTimer,
} from "../../time/shared_timers.ts";

/** Largest first read, in bytes. */
const largestRead = 64 * 1024;

/** A connection that changes hands. */
export interface DetachedConnection {
  /** The connection. */
  readonly connection: ClientConnection;
  /** The certificate that the client has shown. */
  readonly certificate?: ClientCertificate | undefined;
  /** A read that has begun, whose bytes are not handled yet. */
  readonly begun?: BegunRead | undefined;
  /** To be cancelled when the connection is closed. */
  readonly keepAlive: SharedTimer | undefined;
  /** Its place among all readers, which take turns. */
  readonly reader: Reader;
  /** Called when the connection is closed. */
  readonly onReleased: () => void;
}

/** A read that has begun. */
export interface BegunRead {
  /** The memory that is read into. */
  readonly memory: Uint8Array<ArrayBuffer>;
  /** How much was read; `null` at the end. */
  readonly count: Promise<number | null>;
}

/** A connection as a `Duplex` of Node.js, read only on request. */
export class HttpConnection extends ConnectionDuplex<ClientConnection> {
  /** The client's IP address; absent on a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** The client's port. */
  readonly remotePort: number | undefined;
  /** The IP address that the client has connected to; absent on a Unix socket. */
  readonly localAddress: string | undefined;
  /** The port that the client has connected to. */
  readonly localPort: number | undefined;
  /** The certificate that the client has shown. */
  readonly clientCertificate?: ClientCertificate | undefined;
  /** The refusal of every request on it; absent: they are served. */
  refusal: RequestError | undefined;
  /** What decides how soon it has its turn among all who read. */
  readonly reader: Reader;
  /** Milliseconds in which a write has to make progress; 0: no limit. */
  writeTimeout = 0;
  #onReleased: () => void;
  #begun: BegunRead | undefined;
  #keepAlive: SharedTimer | undefined;
  /** Whether the read that has begun still has to be passed on. */
  #isPeeked: boolean;
  #readSize = new ReadSize(largestRead);
  #isDetached = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param detached The connection, which it owns from then on.
   */
  constructor(
    { connection, certificate, begun, keepAlive, reader, onReleased }:
      DetachedConnection,
  ) {
    // One chunk of any size may wait, so that an end after it is noticed.
    super(connection, { readableHighWaterMark: 1 });
    this.reader = reader;
    this.clientCertificate = certificate;
    this.#onReleased = onReleased;
    this.#begun = begun;
    this.#isPeeked = begun !== undefined;
    this.#keepAlive = keepAlive;
    const { remoteAddr, localAddr } = connection;
    if (remoteAddr.transport === "tcp") {
      this.remoteAddress = remoteAddr.hostname;
      this.remotePort = remoteAddr.port;
    }
    if (localAddr.transport === "tcp") {
      this.localAddress = localAddr.hostname;
      this.localPort = localAddr.port;
    }
  }

  /**
   * Takes the connection out of the stream, which ends.
   *
   * @returns The connection.
   */
  detach(): DetachedConnection {
    this.#isDetached = true;
    this.destroy();
    return {
      connection: this.conn,
      certificate: this.clientCertificate,
      begun: this.#begun,
      keepAlive: this.#keepAlive,
      reader: this.reader,
      onReleased: this.#onReleased,
    };
  }

  /**
   * Emits `timeout` after a while, as `node:http` expects of a socket, for a
   * client that sends no further request.
   *
   * @param milliseconds How long; 0: never.
   */
  setTimeout(milliseconds: number): this {
    clearTimeout(this.#timer);
    if (milliseconds > 0) {
      this.#timer = setTimeout(() => this.emit("timeout"), milliseconds);
    }
    return this;
  }

  override _read(): void {
    if (this.#isDetached) return;
    if (this.#isPeeked) {
      this.#isPeeked = false;
      this.#finishRead(this.#begun!);
    } else if (this.#begun === undefined) {
      this.#finishRead(this.#begin());
    }
  }

  #begin(): BegunRead {
    const memory = takeMemory(this.#readSize.bytes);
    return this.#begun = { memory, count: this.conn.read(memory) };
  }

  async #finishRead({ memory, count }: BegunRead): Promise<void> {
    let length: number | null;
    try {
      length = await count;
    } catch (error) {
      if (!this.#isDetached) this.destroy(error as Error);
      return;
    }
    if (this.#isDetached) return;
    const turn = giveWay(this.reader, length ?? 0);
    if (turn !== undefined) {
      await turn;
      if (this.#isDetached) return;
    }
    this.#begun = undefined;
    if (length === null) {
      giveMemory(memory);
      this.push(null);
      return;
    }
    // The read also fills the room for a header.
    this.#readSize.follow(length - headroom);
    if (length * 4 > memory.length) {
      this.push(memory.subarray(0, length));
    } else {
      const chunk = memory.slice(0, length);
      giveMemory(memory);
      this.push(chunk);
    }
  }

  protected override async writeOnce(bytes: Uint8Array): Promise<number> {
    const timer = this.writeTimeout > 0
      ? startSharedTimer(
        () => this.destroy(new Error("The client takes nothing")),
        this.writeTimeout,
      )
      : undefined;
    try {
      return await this.conn.write(bytes);
    } finally {
      cancelSharedTimer(timer);
    }
  }

  override _destroy(
    error: Error | null,
    done: (error?: Error | null) => void,
  ): void {
    clearTimeout(this.#timer);
    this.#readSize.release();
    if (!this.#isDetached) {
      cancelSharedTimer(this.#keepAlive);
      this.conn.close();
      this.#onReleased();
    }
    done(error);
  }
}
