/**
 * A client of Redis: one connection that is made when it is needed, and made
 * anew when it was lost.
 *
 * It has no more than looking something up needs: a package for all of Redis
 * costs tens of megabytes of memory, and takes answers of any size.
 *
 * @module
 */

import { toSystemPath } from "../../core/net/address.ts";
import { untilAborted } from "../../core/time/deadline.ts";
import { absolutePath } from "../../core/absolute_path.ts";
import { encodeCommand, type Reply, ReplyError, ReplyReader } from "./resp.ts";
import type { RedisLocation } from "./location.ts";

/** Options for {@linkcode RedisClient}. */
export interface RedisClientOptions {
  /** Seconds that connecting may take, and that the server may be silent. */
  readonly timeout: number;
  /** Certificates, PEM, of authorities that are trusted beside the public ones. */
  readonly authorities?: string | undefined;
}

/** Milliseconds after a failed connection in which no other one is tried. */
const PAUSE = 250;

/** Most commands that wait for a reply. */
const MAX_WAITING = 10_000;

/** A connection that was lost: the command may be sent again over another. */
class ConnectionLost extends Error {}

/** Asks a Redis server. */
export class RedisClient {
  readonly #location: RedisLocation;
  readonly #options: RedisClientOptions;
  #connection: Promise<RedisConnection> | undefined;
  /** Why the last attempt failed, and when. */
  #failure: { readonly error: unknown; readonly time: number } | undefined;
  #isClosed = false;

  /**
   * Constructs a new instance. It does not connect yet.
   *
   * @param location Where the server is.
   * @param options How it is asked.
   */
  constructor(location: RedisLocation, options: RedisClientOptions) {
    this.#location = location;
    this.#options = options;
  }

  /**
   * Sends a command that may be repeated, and waits for its reply. If the
   * connection is lost meanwhile, it is sent once more over another.
   *
   * @param args The command's name and arguments.
   * @param signal Gives up when it is aborted.
   * @returns The reply.
   * @throws {ReplyError} If the server says that the command failed.
   * @throws {Error} If there is no connection; `signal`'s reason.
   */
  async ask(args: readonly string[], signal: AbortSignal): Promise<Reply> {
    const bytes = encodeCommand(args);
    try {
      return await this.#askOnce(bytes, signal);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      signal.throwIfAborted();
      return await this.#askOnce(bytes, signal);
    }
  }

  /** Closes the connection; what waits for a reply fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const connection = this.#connection;
    this.#connection = undefined;
    try {
      (await connection)?.close(new Error("the client is closed"));
    } catch {
      // There is no connection to be closed.
    }
  }

  async #askOnce(
    bytes: Uint8Array<ArrayBuffer>,
    signal: AbortSignal,
  ): Promise<Reply> {
    const connection = await untilAborted(this.#connect(), signal);
    const reply = await untilAborted(connection.ask(bytes), signal);
    if (reply instanceof ReplyError) throw reply;
    return reply;
  }

  #connect(): Promise<RedisConnection> {
    if (this.#isClosed) {
      return Promise.reject(new Error("the client is closed"));
    }
    if (this.#connection !== undefined) return this.#connection;
    const { error, time } = this.#failure ?? { time: -Infinity };
    // While the server is away, those who come meanwhile do not wait for it.
    if (performance.now() - time < PAUSE) return Promise.reject(error);
    const connection = this.#open();
    this.#connection = connection;
    connection.then((connected) => connected.closed, (error) => {
      this.#failure = { error, time: performance.now() };
    }).then(() => {
      if (this.#connection === connection) this.#connection = undefined;
    });
    return connection;
  }

  async #open(): Promise<RedisConnection> {
    const { timeout } = this.#options;
    const signal = AbortSignal.timeout(timeout * 1000);
    let conn: Deno.Conn;
    try {
      conn = await untilAborted(this.#dial(signal), signal, close);
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new Error(`it takes no connection for ${timeout} seconds`);
    }
    const connection = new RedisConnection(conn, timeout);
    try {
      await untilAborted(this.#introduce(connection), signal);
    } catch (error) {
      connection.close(new Error("it is not used"));
      throw error;
    }
    return connection;
  }

  async #dial(signal: AbortSignal): Promise<Deno.Conn> {
    const { connect } = this.#location;
    if (connect.transport === "unix") {
      const path = toSystemPath(absolutePath(connect.path));
      return await Deno.connect({ transport: "unix", path });
    }
    const { transport, hostname, port } = connect;
    const tcp = await Deno.connect({ hostname, port });
    tcp.setNoDelay();
    tcp.setKeepAlive();
    if (transport === "tcp") return tcp;
    let conn: Deno.Conn = tcp;
    const abort = (): void => close(conn);
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      const { authorities } = this.#options;
      const tls = await Deno.startTls(tcp, {
        hostname,
        ...(authorities !== undefined && { caCerts: [authorities] }),
      });
      conn = tls;
      await tls.handshake();
      return tls;
    } catch (error) {
      close(conn);
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Says who asks, and what about. */
  async #introduce(connection: RedisConnection): Promise<void> {
    const { user, password, database } = this.#location;
    const commands: string[][] = [];
    if (password !== undefined) {
      commands.push(["AUTH", ...(user === undefined ? [] : [user]), password]);
    }
    if (database !== 0) commands.push(["SELECT", `${database}`]);
    const replies = await Promise.all(
      commands.map((command) => connection.ask(encodeCommand(command))),
    );
    const error = replies.find((reply) => reply instanceof ReplyError);
    if (error !== undefined) throw error;
  }
}

/** A command that waits for its reply. */
interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** One connection. Replies come in the order of the commands. */
class RedisConnection {
  readonly #conn: Deno.Conn;
  readonly #reader = new ReplyReader();
  readonly #waiting: Waiting[] = [];
  readonly #closed = Promise.withResolvers<void>();
  readonly #timer: ReturnType<typeof setInterval>;
  #unsent: Uint8Array<ArrayBuffer>[] = [];
  #isWriting = false;
  #isClosed = false;
  /** Whether anything has come since the last look. */
  #isHeard = true;

  constructor(conn: Deno.Conn, timeout: number) {
    this.#conn = conn;
    this.#timer = setInterval(() => this.#watch(timeout), timeout * 1000);
    Deno.unrefTimer(this.#timer);
    this.#read();
  }

  /** Fulfilled when it is closed, by either side. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  ask(bytes: Uint8Array<ArrayBuffer>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new ConnectionLost("it is closed"));
      if (this.#waiting.length >= MAX_WAITING) {
        return reject(new Error("too many commands wait for a reply"));
      }
      this.#waiting.push({ resolve, reject });
      this.#unsent.push(bytes);
      if (!this.#isWriting) this.#write();
    });
  }

  close(reason: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    close(this.#conn);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    this.#closed.resolve();
  }

  /** What gathers while a write is under way goes out with the next one. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#unsent.length > 0) {
        let rest = join(this.#unsent);
        this.#unsent = [];
        while (rest.length > 0) {
          rest = rest.subarray(await this.#conn.write(rest));
        }
      }
    } catch (error) {
      this.#lose(error);
    }
    this.#isWriting = false;
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) throw new Error("it has closed the connection");
        this.#isHeard = true;
        for (const reply of this.#reader.push(buffer.subarray(0, count))) {
          const waiting = this.#waiting.shift();
          if (waiting === undefined) {
            throw new SyntaxError("it answers what was not asked");
          }
          waiting.resolve(reply);
        }
      }
    } catch (error) {
      this.#lose(error);
    }
  }

  /**
   * What is no reply is not asked for again, as the next one would be the same;
   * a connection that is lost may be another server's start.
   */
  #lose(error: unknown): void {
    const isFault = error instanceof SyntaxError || error instanceof RangeError;
    this.close(
      isFault ? error : new ConnectionLost("the connection is lost", {
        cause: error,
      }),
    );
  }

  #watch(timeout: number): void {
    if (this.#waiting.length > 0 && !this.#isHeard) {
      this.close(new Error(`it is silent for ${timeout} seconds`));
    }
    this.#isHeard = this.#waiting.length === 0;
  }
}

function join(
  chunks: readonly Uint8Array<ArrayBuffer>[],
): Uint8Array<ArrayBuffer> {
  const [first] = chunks;
  if (chunks.length === 1) return first!;
  const whole = new Uint8Array(
    chunks.reduce((size, { length }) => size + length, 0),
  );
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/** A socket that failed may be closed already. */
function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
