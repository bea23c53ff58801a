/**
 * A TCP connection that can be reset, which one of `Deno.connect` cannot; apart
 * from that, it is used like a `Deno.Conn`.
 *
 * @module
 */

import { connect, createServer, type Server, type Socket } from "node:net";

/** One end of a TCP connection. */
export class NetConnection implements Disposable {
  /** Resolves when its socket is closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #error: Error | undefined;
  #isOver = false;
  #wake: (() => void) | undefined;

  /** @param socket The socket; it must not be used otherwise. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const wake = () => this.#wake?.();
    socket.on("readable", wake);
    socket.on("end", () => {
      this.#isOver = true;
      wake();
    });
    socket.on("error", (error) => this.#error = error);
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        this.#isOver = true;
        wake();
        resolve();
      })
    );
  }

  /**
   * Connects.
   *
   * @param port Port on 127.0.0.1.
   */
  static async connect(port: number): Promise<NetConnection> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const connection = new NetConnection(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("close", () => reject(connection.#lost()));
    });
    return connection;
  }

  /**
   * Reads what has arrived.
   *
   * @param buffer Takes the bytes.
   * @returns How many; `null` at the end.
   * @throws {Deno.errors.ConnectionReset} If the connection is lost.
   */
  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const size = Math.min(buffer.length, this.#socket.readableLength);
      // To ask, even for nothing, is what makes the socket read on.
      const chunk: Uint8Array | null = size > 0
        ? this.#socket.read(size)
        : this.#socket.read(0);
      if (chunk !== null && chunk.length > 0) {
        buffer.set(chunk);
        return chunk.length;
      }
      if (this.#error !== undefined) throw this.#lost();
      if (this.#isOver) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /**
   * Writes bytes.
   *
   * @param data The bytes.
   * @returns How many; it resolves when the system has them all.
   * @throws {Deno.errors.ConnectionReset} If the connection is lost.
   */
  async write(data: Uint8Array): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      if (this.#socket.destroyed) return reject(this.#lost());
      const fail = () => reject(this.#lost());
      this.#socket.once("close", fail);
      this.#socket.write(data, (error) => {
        this.#socket.off("close", fail);
        if (error) fail();
        else resolve();
      });
    });
    return data.length;
  }

  /** Ends our side, after what was written. */
  closeWrite(): Promise<void> {
    this.#socket.end();
    return Promise.resolve();
  }

  /** Resets the connection: what is on its way is lost. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Gives the connection up. */
  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #lost(): Error {
    return new Deno.errors.ConnectionReset("The connection is lost", {
      cause: this.#error,
    });
  }
}

/** Takes connections, one after another. */
export class NetListener implements AsyncDisposable {
  /** Port on 127.0.0.1. */
  readonly port: number;
  readonly #server: Server;
  readonly #accepted: NetConnection[] = [];
  readonly #waiters: ((connection: NetConnection) => void)[] = [];
  readonly #open = new Set<NetConnection>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (socket) => {
      const connection = new NetConnection(socket);
      this.#open.add(connection);
      connection.closed.then(() => this.#open.delete(connection));
      const waiter = this.#waiters.shift();
      if (waiter === undefined) this.#accepted.push(connection);
      else waiter(connection);
    });
  }

  /** Listens on a free port. */
  static async start(): Promise<NetListener> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve)
    );
    const address = server.address();
    if (address === null || typeof address === "string") {
      throw new TypeError("The server has no port");
    }
    return new NetListener(server, address.port);
  }

  /** Its address, for the `host` option. */
  get host(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Waits for the next connection. */
  next(): Promise<NetConnection> {
    const connection = this.#accepted.shift();
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#open) connection.close();
    await closed;
  }
}
