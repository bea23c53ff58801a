/**
 * A connection to Redis, on which commands wait for their replies.
 *
 * @module
 */

import { joinBytes } from "../memory/join_bytes.ts";
import { toSystemPath } from "../net/address.ts";
import { dialTcp, dialUnix } from "../net/connection.ts";
import { startTls } from "../net/start_tls.ts";
import { untilAborted } from "../time/deadline.ts";
import { absolutePath } from "../absolute_path.ts";
import { encodeCommand, type Reply, ReplyError, ReplyReader } from "./resp.ts";
import type { RedisLocation } from "./location.ts";

/** How a server is asked. */
export interface RedisOptions {
  /** Seconds that connecting may take, and that the server may be silent. */
  readonly timeout: number;
  /** Certificates, PEM, of authorities that are trusted beside the public ones. */
  readonly authorities?: string | undefined;
}

/** Most commands that wait for a reply. */
const MAX_WAITING = 10_000;

/** A connection that was lost: the command may be sent again over another. */
export class ConnectionLost extends Error {}

/**
 * Connects to a server, and says who asks, and what about.
 *
 * @param location Where it is.
 * @param options How it is asked.
 * @returns The connection.
 * @throws {ReplyError} If the server refuses the user or the database.
 * @throws {Error} If there is no connection.
 */
export async function openRedis(
  location: RedisLocation,
  options: RedisOptions,
): Promise<RedisConnection> {
  const { timeout } = options;
  const late = new AbortController();
  const { signal } = late;
  // A connection that opened while the thread was busy is noticed in the second
  // half.
  const half = timeout * 500;
  let timer = setTimeout(() => {
    timer = setTimeout(() => late.abort(), half);
  }, half);
  try {
    const conn = await untilAborted(
      dial(location, options, signal),
      signal,
      close,
    );
    const connection = new RedisConnection(conn, timeout);
    try {
      await untilAborted(introduce(location, connection), signal);
    } catch (error) {
      connection.close(new Error("it is not used"));
      throw error;
    }
    return connection;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error(`it takes no connection for ${timeout} seconds`);
  } finally {
    clearTimeout(timer);
  }
}

async function dial(
  { connect }: RedisLocation,
  { authorities }: RedisOptions,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  if (connect.transport === "unix") {
    const path = toSystemPath(absolutePath(connect.path));
    return await dialUnix(path, signal);
  }
  const { transport, hostname, port } = connect;
  const tcp = await dialTcp({ hostname, port }, signal);
  tcp.setNoDelay();
  tcp.setKeepAlive();
  if (transport === "tcp") return tcp;
  return await startTls(tcp, {
    hostname,
    ...(authorities !== undefined && { caCerts: [authorities] }),
  }, signal);
}

/** Says who asks, and what about. */
async function introduce(
  { user, password, database }: RedisLocation,
  connection: RedisConnection,
): Promise<void> {
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

/** A command that waits for its reply. */
interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** One connection. Replies come in the order of the commands. */
export class RedisConnection {
  readonly #conn: Deno.Conn;
  readonly #reader = new ReplyReader();
  readonly #waiting: Waiting[] = [];
  readonly #closed = Promise.withResolvers<Error>();
  readonly #timer: ReturnType<typeof setInterval>;
  #unsent: Uint8Array<ArrayBuffer>[] = [];
  #isWriting = false;
  #isClosed = false;
  /** Whether anything has come since the last look. */
  #isHeard = true;

  /**
   * Constructs a new instance.
   *
   * @param conn Its socket.
   * @param timeout Seconds that the server may be silent.
   */
  constructor(conn: Deno.Conn, timeout: number) {
    this.#conn = conn;
    this.#timer = setInterval(() => this.#watch(timeout), timeout * 1000);
    Deno.unrefTimer(this.#timer);
    this.#read();
  }

  /** Fulfilled when it is closed, by either side, with the reason. */
  get closed(): Promise<Error> {
    return this.#closed.promise;
  }

  /**
   * Sends a command.
   *
   * @param bytes The command, encoded.
   * @returns The reply, which may be a {@linkcode ReplyError}.
   * @throws {ConnectionLost} If the connection is lost before it comes.
   * @throws {Error} If the server is silent, or does not speak the protocol.
   */
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

  /**
   * Closes it.
   *
   * @param reason What the commands that wait for a reply are rejected with.
   */
  close(reason: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    close(this.#conn);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    this.#closed.resolve(reason);
  }

  /** What gathers while a write is under way goes out with the next one. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#unsent.length > 0) {
        let rest = joinBytes(this.#unsent);
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

/** A socket that failed may be closed already. */
function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
