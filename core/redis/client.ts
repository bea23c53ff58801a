/**
 * A client of Redis: one connection that is made when it is needed, and made
 * again when it was lost.
 *
 * It has no more than looking something up needs: a package for all of Redis
 * costs tens of megabytes of memory, and takes answers of any size.
 *
 * @module
 */

import { untilAborted } from "../time/deadline.ts";
import {
  ConnectionLost,
  openRedis,
  type RedisConnection,
  type RedisOptions,
} from "./connection.ts";
import { encodeCommand, type Reply, ReplyError } from "./resp.ts";
import type { RedisLocation } from "./location.ts";

/** Milliseconds after a failed connection in which no other one is tried. */
const PAUSE = 250;

/** Asks a Redis server. */
export class RedisClient {
  readonly #location: RedisLocation;
  readonly #options: RedisOptions;
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
  constructor(location: RedisLocation, options: RedisOptions) {
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
    // After a failure, commands fail at once for a while.
    if (performance.now() - time < PAUSE) return Promise.reject(error);
    const connection = openRedis(this.#location, this.#options);
    this.#connection = connection;
    connection.then((connected) => connected.closed, (error) => {
      this.#failure = { error, time: performance.now() };
    }).then(() => {
      if (this.#connection === connection) this.#connection = undefined;
    });
    return connection;
  }
}
