/**
 * Peers that do what a test wants of them.
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";
import { isConnectionLost } from "./lost.ts";

export { freePort } from "../../tools/free_port.ts";

/**
 * Accepts connections until a listener is closed.
 *
 * @param listener The listener.
 * @returns The connections, without those that were reset before they could be
 * accepted.
 */
export async function* connectionsOf<T extends Deno.Conn>(
  listener: Deno.Listener<T>,
): AsyncGenerator<T> {
  const { BadResource, Interrupted } = Deno.errors;
  for (;;) {
    let connection: T;
    try {
      connection = await listener.accept();
    } catch (error) {
      if (error instanceof BadResource || error instanceof Interrupted) return;
      if (isConnectionLost(error)) continue;
      throw error;
    }
    yield connection;
  }
}

/** A listener whose connections a test talks to, or that serves them by itself. */
export class TestPeer implements AsyncDisposable {
  /** Its address, for the `host` option. */
  readonly host: string;
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Deno.Conn>();
  readonly #accepted: Deno.Conn[] = [];
  readonly #waiters: ((connection: Deno.Conn) => void)[] = [];
  readonly #serving: Promise<void>;
  #count = 0;
  #counted = Promise.withResolvers<void>();

  private constructor(
    listener: Deno.Listener,
    host: string,
    serve?: (connection: Deno.Conn) => Promise<void>,
  ) {
    this.#listener = listener;
    this.host = host;
    this.#serving = this.#accept(serve);
  }

  /**
   * Listens on a free TCP port.
   *
   * @param serve What is done with each connection, which is closed after it;
   * absent: they wait for {@linkcode TestPeer.next}.
   * @param hostname Where to listen.
   * @returns The peer.
   */
  static tcp(
    serve?: (connection: Deno.Conn) => Promise<void>,
    hostname = "127.0.0.1",
  ): TestPeer {
    const listener = Deno.listen({ hostname, port: 0 });
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return new TestPeer(listener, `tcp://${host}:${listener.addr.port}`, serve);
  }

  /**
   * Takes over a listener.
   *
   * @param listener The listener.
   * @param host Its address, for the `host` option.
   * @param serve As for {@linkcode TestPeer.tcp}.
   * @returns The peer.
   */
  static on(
    listener: Deno.Listener,
    host: string,
    serve?: (connection: Deno.Conn) => Promise<void>,
  ): TestPeer {
    return new TestPeer(listener, host, serve);
  }

  /** How many connections were accepted. */
  get count(): number {
    return this.#count;
  }

  /**
   * Waits until so many connections were accepted: those that the system has made
   * are accepted a moment later.
   *
   * @param count How many, from the beginning.
   * @throws {RangeError} If there are more.
   */
  async accepted(count: number): Promise<void> {
    while (this.#count < count) await this.#counted.promise;
    if (this.#count > count) {
      throw new RangeError(`${this.#count} connections came, not ${count}`);
    }
  }

  /** Waits for a connection, which is closed at the latest with the peer. */
  next(): Promise<Deno.Conn> {
    const connection = this.#accepted.shift();
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  async #accept(
    serve?: (connection: Deno.Conn) => Promise<void>,
  ): Promise<void> {
    const served: Promise<void>[] = [];
    for await (const connection of connectionsOf(this.#listener)) {
      this.#count++;
      this.#counted.resolve();
      this.#counted = Promise.withResolvers();
      this.#connections.add(connection);
      if (serve !== undefined) served.push(this.#serve(connection, serve));
      else {
        const waiter = this.#waiters.shift();
        if (waiter === undefined) this.#accepted.push(connection);
        else waiter(connection);
      }
    }
    await Promise.all(served);
  }

  async #serve(
    connection: Deno.Conn,
    serve: (connection: Deno.Conn) => Promise<void>,
  ): Promise<void> {
    try {
      await serve(connection);
    } catch {
      // The bridge went away, as it does at the end of many tests.
    }
    this.#close(connection);
  }

  #close(connection: Deno.Conn): void {
    if (!this.#connections.delete(connection)) return;
    closeQuietly(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) closeQuietly(connection);
    this.#connections.clear();
    await this.#serving;
  }
}

/** A test may have closed it by itself. */
function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Sends back what it gets, until the other side ends. */
export async function echo(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return await connection.closeWrite();
    await writeAll(connection, buffer.subarray(0, count));
  }
}

/** Writes all bytes to a connection. */
export async function writeAll(
  connection: Deno.Conn,
  data: Uint8Array | string,
): Promise<void> {
  let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
}

/**
 * Reads a connection to its end.
 *
 * @param connection The connection.
 * @param take Gets what was read; valid during the call.
 */
export async function readAll(
  connection: Deno.Conn,
  take: (data: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const buffer = new Uint8Array(256 * 1024);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    await take(buffer.subarray(0, count));
  }
}

/** A peer whose connections can be reset. */
export class ResettingPeer implements AsyncDisposable {
  /** Its address, for the `host` option. */
  readonly host: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiters: ((socket: Socket) => void)[] = [];

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.host = `tcp://127.0.0.1:${port}`;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      this.#waiters.shift()?.(socket);
    });
  }

  /** Listens on a free TCP port. */
  static async start(): Promise<ResettingPeer> {
    const server = createServer();
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve)
    );
    const address = server.address();
    if (address === null || typeof address === "string") {
      throw new TypeError("The server has no port");
    }
    return new ResettingPeer(server, address.port);
  }

  /** Waits for the next connection; to be called before it is made. */
  next(): Promise<Socket> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/**
 * Listens for datagrams.
 *
 * @param where On a path, or on a free port of an address.
 * @returns The socket, which can be disposed of.
 */
export function listenDatagram(
  where: { readonly path: string } | { readonly hostname: string },
): Deno.DatagramConn & Disposable {
  const socket = "path" in where
    ? Deno.listenDatagram({ transport: "unixpacket", ...where })
    : Deno.listenDatagram({ transport: "udp", port: 0, ...where });
  return Object.assign(socket, { [Symbol.dispose]: () => socket.close() });
}
