/**
 * A client of the load generator: a WebSocket whose frames are bytes that it is
 * told, or a plain TCP connection.
 *
 * @module
 */

import {
  ByteCounter,
  CLOSE,
  FrameCounter,
  type PayloadCounter,
} from "./frames.ts";
import { writeAll } from "./peer.ts";

/** Where a client connects, and how. */
export interface Target {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Whether the bridge uses WebSocket; a plain TCP relay does not. */
  readonly websocket: boolean;
  /** Whether the client offers compression; it counts messages as they come. */
  readonly compressed: boolean;
}

/** Milliseconds that a bridge has to end a connection that its client has closed. */
const LEAVE_TIMEOUT = 2000;
const MAX_RESPONSE = 4096;
const latin1 = new TextDecoder("latin1");

/** A client whose connection is open. */
export class Client {
  readonly #connection: Deno.TcpConn;
  readonly #websocket: boolean;
  #closed = false;
  /** Counts what arrives. */
  readonly counter: PayloadCounter;

  private constructor(connection: Deno.TcpConn, websocket: boolean) {
    this.#connection = connection;
    this.#websocket = websocket;
    this.counter = websocket ? new FrameCounter() : new ByteCounter();
  }

  /**
   * Connects, and makes the WebSocket handshake if the target speaks WebSocket.
   *
   * @throws {Error} If the bridge does not answer with status 101.
   */
  static async open(target: Target): Promise<Client> {
    const connection = await Deno.connect({
      hostname: "127.0.0.1",
      port: target.port,
    });
    const client = new Client(connection, target.websocket);
    try {
      connection.setNoDelay(true);
      if (target.websocket) await client.#upgrade(target);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Sends bytes as they are: frames, or data of a plain TCP connection. */
  write(data: Uint8Array): Promise<void> {
    return writeAll(this.#connection, data);
  }

  /**
   * Reads once, and counts what came.
   *
   * @throws {Error} If the connection has ended.
   */
  async read(buffer: Uint8Array): Promise<void> {
    const count = await this.#connection.read(buffer);
    if (count !== null) this.counter.push(buffer.subarray(0, count));
    if (count === null || this.counter.closed) {
      throw new Error("Cannot read from the bridge: it ended the connection");
    }
  }

  /** Closes as a browser does, and waits until the bridge has ended the connection. */
  async leave(): Promise<void> {
    const timer = setTimeout(() => this.close(), LEAVE_TIMEOUT);
    const buffer = new Uint8Array(256);
    try {
      if (this.#websocket) await this.write(CLOSE);
      else await this.#connection.closeWrite();
      while (await this.#connection.read(buffer) !== null);
    } catch {
      // It ended in another way, or took too long; both end the connection.
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Ends the connection at once. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  async #upgrade(target: Target): Promise<void> {
    await this.write(upgradeRequest(target));
    const buffer = new Uint8Array(MAX_RESPONSE);
    let length = 0;
    let head = "";
    let end = -1;
    while (end < 0) {
      const count = await this.#connection.read(buffer.subarray(length));
      // An empty buffer reads 0: the response is longer than it may be.
      if (!count) throw new Error("Cannot upgrade: no response");
      length += count;
      head = latin1.decode(buffer.subarray(0, length));
      end = head.indexOf("\r\n\r\n");
    }
    if (!head.startsWith("HTTP/1.1 101 ")) {
      const line = head.slice(0, head.indexOf("\r\n"));
      throw new Error(`Cannot upgrade: the response is "${line}"`);
    }
    if (length > end + 4) this.counter.push(buffer.subarray(end + 4, length));
  }
}

let request:
  | { readonly target: Target; readonly bytes: Uint8Array }
  | undefined;

/** The request is the same for every connection of a load: the key need not be random here. */
function upgradeRequest(target: Target): Uint8Array {
  if (request?.target !== target) {
    const text = "GET / HTTP/1.1\r\n" +
      `Host: 127.0.0.1:${target.port}\r\n` +
      "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      (target.compressed
        ? "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        : "") +
      "Sec-WebSocket-Version: 13\r\n\r\n";
    request = { target, bytes: new TextEncoder().encode(text) };
  }
  return request.bytes;
}
