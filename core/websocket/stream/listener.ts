/**
 * Listens for the `stream` engine.
 *
 * @module
 */

import { UnixSocketPath } from "../unix_socket_path.ts";
import type { EngineOptions } from "../engine.ts";

/** Milliseconds to wait after a connection could not be accepted. */
const acceptPause = 500;

/** Where a server listens, and how. */
export interface ListenOptions extends
  Pick<
    EngineOptions,
    "listen" | "listenMode" | "port" | "isShared" | "onError"
  > {
  /** Takes a connection that was accepted. */
  readonly onConnection: (connection: Deno.Conn) => void;
}

/**
 * Accepts connections. If one cannot be accepted, for lack of file descriptors,
 * it reports the error, and the connection waits in the system's queue.
 */
export class StreamListener {
  /** The port; 0 on a Unix socket. */
  readonly port: number;
  #listener: Deno.TcpListener | Deno.UnixListener;
  #path: UnixSocketPath | undefined;
  #options: ListenOptions;
  #isClosing = false;
  /** Connections that were accepted. */
  #accepted = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    listener: Deno.TcpListener | Deno.UnixListener,
    path: UnixSocketPath | undefined,
    options: ListenOptions,
  ) {
    this.#listener = listener;
    this.#path = path;
    this.#options = options;
    this.port = listener.addr.transport === "tcp" ? listener.addr.port : 0;
    this.#accept();
  }

  /**
   * Starts listening.
   *
   * @param options Where, and what takes the connections.
   * @returns The listener.
   * @throws {Error} If it cannot listen there.
   */
  static async start(options: ListenOptions): Promise<StreamListener> {
    const { listen, listenMode, port, isShared = false } = options;
    if (listen.transport === "tcp") {
      const { hostname } = listen;
      const listener = Deno.listen({ hostname, port, reusePort: isShared });
      return new StreamListener(listener, undefined, options);
    }
    const path = new UnixSocketPath(listen.path, listenMode);
    await path.prepare();
    const listener = Deno.listen({ transport: "unix", path: path.system });
    try {
      path.claim();
    } catch (error) {
      listener.close();
      throw error;
    }
    return new StreamListener(listener, path, options);
  }

  /**
   * Stops listening, once all connections are accepted that the system holds: it
   * would reset them.
   */
  async leave(): Promise<void> {
    let before;
    do {
      before = this.#accepted;
      // A turn in which none is accepted is one in which there was none.
      await new Promise((resolve) => setTimeout(resolve, 0));
    } while (this.#accepted !== before);
    this.close();
  }

  /** Stops listening; open connections continue. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    clearTimeout(this.#retry);
    this.#path?.release();
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    for (;;) {
      try {
        const connection = await this.#listener.accept();
        this.#accepted++;
        if ("setNoDelay" in connection) sendAtOnce(connection);
        this.#options.onConnection(connection);
      } catch (error) {
        if (this.#isClosing) return;
        if (isLost(error)) continue;
        this.#options.onError(error as Error);
        this.#retry = setTimeout(() => this.#accept(), acceptPause);
        return;
      }
    }
  }
}

/**
 * Frames are written as soon as they are ready, so holding one back would only
 * delay it.
 */
function sendAtOnce(connection: Deno.TcpConn): void {
  try {
    connection.setNoDelay(true);
  } catch {
    // Some systems refuse this once the client has left, which a read reports,
    // too.
  }
}

/** Whether the client was gone before its connection was accepted. */
function isLost(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted;
}
