/**
 * Listening for the `stream` engine, that goes on after file descriptors have
 * run out.
 *
 * @module
 */

import type { Server } from "node:http";
import { UnixSocketPath } from "./unix_socket.ts";
import type { EngineOptions } from "../websocket.ts";

/** Milliseconds between two looks whether there are file descriptors again. */
const acceptPause = 500;

/** Where a server listens, and how. */
export type ListenOptions = Pick<
  EngineOptions,
  "listen" | "listenMode" | "port" | "onError"
>;

/**
 * Lets a server listen. A connection that cannot be accepted for want of a file
 * descriptor makes the servers of `node:net` deaf for good, and they do not
 * tell: whenever one may have been the last, it is looked whether there is
 * another, and if not, listening begins anew as soon as there is.
 */
export class StreamListener {
  /** The port; 0 on a Unix socket. */
  readonly port: number;
  #server: Server;
  #options: ListenOptions;
  #path: UnixSocketPath | undefined;
  #isClosing = false;
  /** From the moment that descriptors have run out until it listens again. */
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    server: Server,
    options: ListenOptions,
    path: UnixSocketPath | undefined,
  ) {
    const address = server.address();
    this.port = typeof address === "object" && address !== null
      ? address.port
      : 0;
    this.#server = server;
    this.#path = path;
    this.#options = { ...options, port: this.port };
    server.on("error", options.onError);
    server.on("connection", () => this.check());
  }

  /**
   * Starts listening.
   *
   * @param server The server.
   * @param options Where, and who learns that connections cannot be accepted.
   * @returns The listener.
   * @throws {Error} If it cannot listen there.
   */
  static async start(
    server: Server,
    options: ListenOptions,
  ): Promise<StreamListener> {
    const path = options.listen.transport === "unix"
      ? new UnixSocketPath(options.listen.path, options.listenMode)
      : undefined;
    await listen(server, options, path);
    return new StreamListener(server, options, path);
  }

  /** To be called after something may have taken the last file descriptor. */
  check(): void {
    if (this.#isClosing || this.#retryTimer !== undefined) return;
    if (!hasRunOut()) return;
    this.#options.onError(new Error("too many open files"));
    this.#retry();
  }

  /**
   * Stops listening.
   *
   * @returns A promise that resolves when no connection is left.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#retryTimer);
    this.#path?.release();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #retry(): void {
    this.#retryTimer = setTimeout(() => this.#listenAgain(), acceptPause);
  }

  async #listenAgain(): Promise<void> {
    if (hasRunOut()) return this.#retry();
    this.#server.close();
    try {
      await listen(this.#server, this.#options, this.#path);
    } catch (error) {
      this.#options.onError(error as Error);
      if (!this.#isClosing) this.#retry();
      return;
    }
    this.#retryTimer = undefined;
    if (this.#isClosing) this.#server.close();
  }
}

async function listen(
  server: Server,
  { listen, port }: ListenOptions,
  path: UnixSocketPath | undefined,
): Promise<void> {
  await path?.prepare();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  if (listen.transport === "unix") server.listen(listen.path);
  else server.listen(port, listen.hostname);
  try {
    await promise;
    path?.claim();
  } catch (error) {
    server.close();
    throw error;
  } finally {
    server.off("error", reject);
    server.off("listening", resolve);
  }
}

/** Whether there is no file descriptor left; without permission to look, it says no. */
function hasRunOut(): boolean {
  try {
    Deno.openSync("/dev/null").close();
    return false;
  } catch (error) {
    return error instanceof Error && error.message.includes("(os error 24)");
  }
}
