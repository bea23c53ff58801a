/**
 * The server: requests in, bridges out, the limits on them, and their end.
 *
 * @module
 */

import { formatRemote } from "./address.ts";
import type { Backend } from "./api.ts";
import { Bridge, type BridgeSummary } from "./bridge.ts";
import { connect, type Connection } from "./connector.ts";
import { describeError, RequestError } from "./errors.ts";
import type { FramingTable } from "./framing_table.ts";
import { checkHandshake, type Handshake } from "./handshake.ts";
import type { Log } from "./log.ts";
import type { CoreConfig } from "./options.ts";
import type {
  EngineServer,
  HttpRequest,
  ServerWebSocket,
  WebSocketEngine,
  WebSocketUpgrade,
} from "./websocket.ts";

/** What new connections are made with; it can be replaced while the server runs. */
export interface ServerSettings {
  /** The `[core]` options. */
  readonly core: CoreConfig;
  /** Answers which peer. */
  readonly backend: Backend;
  /** The framing functions, by name. */
  readonly framings: FramingTable;
}

/** Options for {@linkcode Server.listen}. */
export interface ServerOptions extends ServerSettings {
  /** The WebSocket engine. */
  readonly engine: WebSocketEngine;
  /** The log. */
  readonly log: Log;
}

/** A connection from its handshake on. */
interface Client {
  readonly id: number;
  readonly handshake: Handshake;
  readonly request: HttpRequest;
}

/** A server that bridges WebSockets to peers. */
export class Server {
  #settings: ServerSettings;
  #log: Log;
  #engine: EngineServer | undefined;
  #lastId = 0;
  /** Connections from the backend's query to the end of their bridge. */
  #connections = 0;
  #bridges = new Set<Bridge>();
  #draining = new AbortController();
  /** Resolves when no connection is left while the server shuts down. */
  #drained = Promise.withResolvers<void>();

  private constructor(options: ServerOptions) {
    this.#settings = options;
    this.#log = options.log;
  }

  /**
   * Starts a server.
   *
   * @param options What it serves, where, and how.
   * @returns The server; it owns the backend from then on.
   * @throws {Error} If it cannot listen there.
   */
  static async listen(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    const { listen, port } = options.core;
    server.#engine = await options.engine.listen({
      listen,
      port,
      limits: () => server.#settings.core,
      handle: (request) => server.#handle(request),
    });
    return server;
  }

  /** The port that it listens on; 0 on a Unix socket. */
  get port(): number {
    return this.#engine!.port;
  }

  /**
   * Replaces what new connections are made with. Open ones stay as they are;
   * where the server listens, and its engine, cannot be changed.
   *
   * @param settings The new ones; the server owns the backend from then on.
   */
  async reconfigure(settings: ServerSettings): Promise<void> {
    const { backend } = this.#settings;
    this.#settings = settings;
    await backend.cleanup?.();
  }

  /**
   * Ends the server: what is buffered is sent, every WebSocket closed with
   * 1001, every peer closed, all within the drain time-out.
   *
   * @returns A promise that resolves when that is done, or the time is over.
   */
  async shutDown(): Promise<void> {
    if (this.#draining.signal.aborted) return;
    this.#draining.abort(shuttingDown());
    const { core, backend } = this.#settings;
    let timedOut = false;
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      timedOut = true;
      resolve();
    }, core.drainTimeout * 1000);
    for (const bridge of this.#bridges) {
      bridge.shutDown(1001, "server is shutting down");
    }
    if (this.#connections === 0) this.#drained.resolve();
    await Promise.race([this.#drained.promise, timeout]);
    await Promise.race([this.#engine!.close(), timeout]);
    clearTimeout(timer);
    await backend.cleanup?.();
    if (timedOut) {
      this.#log("warn", "drain-timeout", { open: this.#connections });
    }
  }

  /** Takes note that a connection is over. */
  #release(): void {
    this.#connections--;
    if (this.#connections === 0 && this.#draining.signal.aborted) {
      this.#drained.resolve();
    }
  }

  async #handle(request: HttpRequest): Promise<Response | WebSocketUpgrade> {
    const id = ++this.#lastId;
    try {
      const { core } = this.#settings;
      const handshake = checkHandshake(request, core);
      this.#draining.signal.throwIfAborted();
      if (
        core.maxConnections > 0 && this.#connections >= core.maxConnections
      ) {
        throw new RequestError(503, "too many connections", {
          headers: { "retry-after": "5" },
        });
      }
      return await this.#accept({ id, handshake, request });
    } catch (error) {
      return this.#refuse(error, id, request);
    }
  }

  async #accept(client: Client): Promise<WebSocketUpgrade> {
    const { handshake, request } = client;
    const { headers, remote } = request;
    const { core, backend, framings } = this.#settings;
    const controller = new AbortController();
    const timer = setTimeout(
      () => controller.abort(new RequestError(504, "peer took too long")),
      core.connectTimeout * 1000,
    );
    const givenUp = [request.signal, this.#draining.signal];
    function giveUp(this: AbortSignal): void {
      controller.abort(this.reason);
    }
    for (const signal of givenUp) signal.addEventListener("abort", giveUp);
    this.#connections++;
    try {
      const connection = await connect(
        { ...handshake, headers: [...headers], remote },
        {
          backend,
          framings,
          maxMessage: core.maxMessage,
          signal: controller.signal,
        },
      );
      return this.#toUpgrade(client, connection);
    } catch (error) {
      this.#release();
      throw error;
    } finally {
      clearTimeout(timer);
      for (const signal of givenUp) signal.removeEventListener("abort", giveUp);
    }
  }

  #toUpgrade(client: Client, connection: Connection): WebSocketUpgrade {
    const { peer, framer, protocol } = connection;
    return {
      ...(protocol !== undefined && { protocol }),
      open: (socket) => this.#open(socket, client, connection),
      abandon: () => {
        this.#release();
        peer.close();
        framer.close();
        this.#log("info", "abandon", {
          id: client.id,
          remote: formatRemote(client.request.remote),
        });
      },
    };
  }

  #open(
    socket: ServerWebSocket,
    client: Client,
    connection: Connection,
  ): Bridge {
    const opened = performance.now();
    const { id } = client;
    this.#log("info", "open", {
      id,
      remote: formatRemote(client.request.remote),
      endpoint: client.handshake.endpoint,
      peer: connection.address,
      framing: connection.framing,
      protocol: connection.protocol,
      note: connection.note,
    });
    const bridge = new Bridge({ socket, ...connection });
    this.#bridges.add(bridge);
    bridge.finished.then((summary) => {
      this.#bridges.delete(bridge);
      this.#release();
      this.#logClose(id, performance.now() - opened, summary);
    });
    if (this.#draining.signal.aborted) {
      bridge.shutDown(1001, "server is shutting down");
    }
    return bridge;
  }

  #logClose(id: number, milliseconds: number, summary: BridgeSummary): void {
    const { toPeer, toClient, end, error } = summary;
    this.#log(error === undefined ? "info" : "warn", "close", {
      id,
      seconds: Math.round(milliseconds) / 1000,
      "to-peer-messages": toPeer.messages,
      "to-peer-bytes": toPeer.bytes,
      "to-client-messages": toClient.messages,
      "to-client-bytes": toClient.bytes,
      code: end.code,
      by: end.by,
      reason: end.reason === "" ? undefined : end.reason,
      error: error === undefined ? undefined : describeError(error),
    });
  }

  #refuse(error: unknown, id: number, request: HttpRequest): Response {
    const refusal = error instanceof RequestError
      ? error
      : request.signal.aborted
      ? new RequestError(400, "client is gone")
      : new RequestError(500, "internal error", { cause: error });
    this.#log(refusal.status < 500 ? "info" : "warn", "refuse", {
      id,
      remote: formatRemote(request.remote),
      target: request.target,
      status: refusal.status,
      why: describeError(refusal),
    });
    return new Response(`${refusal.body}\n`, {
      status: refusal.status,
      headers: {
        ...refusal.headers,
        "content-type": "text/plain; charset=utf-8",
      },
    });
  }
}

function shuttingDown(): RequestError {
  return new RequestError(503, "server is shutting down", {
    headers: { "retry-after": "5" },
  });
}
