/**
 * Clients that send without a pause and read nothing, to lock others out.
 *
 * @module
 */

import { formatRequest } from "./client.ts";
import { isConnectionLost } from "./lost.ts";
import { writeAll } from "./peer.ts";
import { binary, join, ping, text } from "./websocket_client_frames.ts";

/** What the clients of a flood send. */
export interface Flood {
  /** What it is about. */
  readonly name: string;
  /** Sent once. */
  readonly first: string;
  /** Sent again and again; absent: nothing more is. */
  readonly then?: string | Uint8Array;
}

const host = "Host: x\r\n";
const page = `GET / HTTP/1.1\r\n${host}\r\n`;
const post = `POST / HTTP/1.1\r\n${host}`;
const upgrade = formatRequest();
const otherUpgrade =
  `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`;

/** Floods of requests, and of what looks like requests. */
export const requestFloods: readonly Flood[] = [
  { name: "requests one behind the other", first: "", then: page },
  {
    name: "requests that want something first",
    first: "",
    then: `${post}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx` +
      `${post}Expect: something\r\nContent-Length: 1\r\n\r\nx`,
  },
  {
    name: "requests with bodies",
    first: "",
    then: `${post}Content-Length: 5\r\n\r\n\r\n\r\n.`,
  },
  {
    name: "a body without an end",
    first: `${post}Content-Length: 99999999999\r\n\r\n`,
    then: "\r\n\r\n",
  },
  {
    name: "chunks of one byte",
    first: `${post}Transfer-Encoding: chunked\r\n\r\n`,
    then: "1\r\nx\r\n",
  },
  {
    name: "bodies with trailers",
    first: "",
    then: `${post}Transfer-Encoding: chunked\r\n\r\n0\r\n` +
      "a: b\r\n".repeat(100) + "\r\n",
  },
  {
    name: "heads of many fields",
    first: "",
    then: `GET / HTTP/1.1\r\n${host}${"a: b\r\n".repeat(900)}\r\n`,
  },
  {
    name: "requests behind a request for another protocol",
    first: otherUpgrade,
    then: page,
  },
  {
    name: "requests without a host",
    first: "",
    then: "GET / HTTP/1.1\r\n\r\n",
  },
  { name: "empty lines", first: "", then: "\r\n" },
];

/** Floods of frames. */
export const frameFloods: readonly Flood[] = [
  { name: "small messages", first: upgrade, then: text("x") },
  { name: "pings", first: upgrade, then: ping("x") },
  {
    name: "large messages",
    first: upgrade,
    then: binary(new Uint8Array(65_536)),
  },
];

/** Floods of clients that are slow. */
export const quietFloods: readonly Flood[] = [
  { name: "silence", first: "" },
  { name: "half of a head", first: `GET / HTTP/1.1\r\n${host}` },
];

const blockSize = 64 * 1024;

/** Clients that flood a server until they are disposed of. */
export class Flooders implements AsyncDisposable {
  readonly #connect: () => Promise<Deno.Conn>;
  readonly #flood: Flood;
  readonly #block: Uint8Array;
  readonly #running: Promise<void>[];
  readonly #open = new Set<Deno.Conn>();
  /** Resolves when as many blocks were sent as there are clients. */
  readonly flowing: Promise<void>;
  #onFlowing: () => void;
  #blocks = 0;
  #isOver = false;

  /**
   * Starts clients. One whose connection is ended by the server connects again.
   *
   * @param flood What they send.
   * @param count How many they are.
   * @param connect Connects one.
   */
  constructor(flood: Flood, count: number, connect: () => Promise<Deno.Conn>) {
    this.#flood = flood;
    this.#connect = connect;
    const { then = "" } = flood;
    const piece = typeof then === "string"
      ? new TextEncoder().encode(then)
      : then;
    const times = Math.ceil(blockSize / Math.max(1, piece.length));
    this.#block = join(...new Array(times).fill(piece));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.flowing = promise;
    this.#onFlowing = resolve;
    this.#running = Array.from({ length: count }, () => this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      try {
        const connection = await this.#connect();
        this.#open.add(connection);
        try {
          if (!this.#isOver) await this.#send(connection);
        } finally {
          if (this.#open.delete(connection)) connection.close();
        }
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused) return;
        if (error instanceof Deno.errors.NotFound) return;
        if (!isHangup(error)) throw error;
      }
    }
  }

  async #send(connection: Deno.Conn): Promise<void> {
    await writeAll(connection, new TextEncoder().encode(this.#flood.first));
    if (this.#block.length === 0) {
      while (await connection.read(new Uint8Array(1024)) !== null);
      return;
    }
    for (;;) {
      await writeAll(connection, this.#block);
      if (++this.#blocks === this.#running.length) this.#onFlowing();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    for (const connection of this.#open) {
      this.#open.delete(connection);
      connection.close();
    }
    await Promise.all(this.#running);
  }
}

/** Whether the server, or the end of the flood, has ended a connection. */
function isHangup(error: unknown): boolean {
  return isConnectionLost(error) ||
    error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.InvalidData;
}
