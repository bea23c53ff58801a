/**
 * The `native` engine: `Deno.serve` and `Deno.upgradeWebSocket`.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { fromSystemPath, toInternetRemote } from "../../net/address.ts";
import type { RemoteAddress } from "../../api.ts";
import { RequestError } from "../../errors.ts";
import { NativeWebSocket } from "./websocket.ts";
import { listOf, parseRequest, parseServedUrl } from "../request.ts";
import { UnixSocketPath } from "../unix_socket_path.ts";
import type {
  EngineLimits,
  EngineOptions,
  EngineServer,
  RequestHead,
  ServerWebSocket,
  WebSocketEngine,
} from "../engine.ts";

/** Milliseconds before it listens again when connections could not be accepted. */
const acceptPause = 500;

/** The engine on top of `Deno.upgradeWebSocket`. */
export const nativeEngine: WebSocketEngine = { listen };

async function listen(options: EngineOptions): Promise<EngineServer> {
  const { listen, listenMode, certificate, handle, onError } = options;
  const { isShared = false } = options;
  const answer: Deno.ServeHandler<Deno.Addr> = (request, { remoteAddr }) => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    const { method, headers, signal } = request;
    const head = parseRequest({
      method,
      headers,
      ...parseServedUrl(request),
      remote: toRemote(remoteAddr),
      local: toRemote(server.addr),
    });
    const fault = findUpgradeFault(head) ?? head.fault;
    handle({
      ...head,
      ...(fault !== undefined && { fault }),
      signal,
      accept(protocol): undefined | Promise<ServerWebSocket | undefined> {
        if (signal.aborted) {
          // The client has left, but Deno needs an answer.
          resolve(new Response(null, { status: 503 }));
          return undefined;
        }
        const limits = options.limits();
        const { socket, response } = upgrade(request, limits, protocol);
        const webSocket = new NativeWebSocket(socket, limits);
        resolve(response);
        return webSocket.opened;
      },
    }).then((answer) => {
      // In the same turn of the event loop, clients that ask without a pause
      // would let nothing else happen.
      if (answer !== undefined) setImmediate(() => resolve(answer));
    });
    return promise;
  };

  const path = listen.transport === "unix"
    ? new UnixSocketPath(listen.path, listenMode)
    : undefined;
  let port = options.port;
  let isClosing = false;
  let ending: Promise<void> | undefined;
  let server = await serve();
  port = server.addr.transport === "tcp" ? server.addr.port : 0;

  async function serve(): Promise<Deno.HttpServer<Deno.Addr>> {
    await path?.prepare();
    const where = listen.transport === "unix" ? { path: path!.system } : {
      hostname: listen.hostname,
      port,
      reusePort: isShared,
      ...certificate,
    };
    const server = Deno.serve({ ...where, onListen: () => {} }, answer);
    try {
      path?.claim();
    } catch (error) {
      await server.shutdown();
      throw error;
    }
    server.finished.catch((error) => {
      onError(error);
      serveAgain();
    });
    return server;
  }

  /**
   * Deno stops listening when it cannot accept a connection, and does not start
   * again.
   */
  function serveAgain(): void {
    setTimeout(async () => {
      if (isClosing) return;
      try {
        server = await serve();
        if (isClosing) await server.shutdown();
      } catch (error) {
        onError(error as Error);
        serveAgain();
      }
    }, acceptPause);
  }

  return {
    port,
    // `Deno.serve` cannot change its certificate.
    useCertificate: () => false,
    async stopListening(): Promise<void> {
      if (isClosing) return;
      isClosing = true;
      path?.release();
      // It resolves only when the last request is answered.
      ending = server.shutdown();
      await Promise.race([ending, nextTurn()]);
    },
    async close(): Promise<void> {
      if (!isClosing) path?.release();
      isClosing = true;
      await (ending ?? server.shutdown());
    },
  };
}

/** Resolves in the next turn of the event loop. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/**
 * Deno only looks at the first `Upgrade` field: if that names another protocol,
 * Deno takes the request for a WebSocket and never answers it.
 */
function findUpgradeFault(
  { headers, asksForWebSocket }: RequestHead,
): RequestError | undefined {
  if (!asksForWebSocket) return undefined;
  const [first] = listOf(headers, "upgrade");
  return first!.toLowerCase() === "websocket" ? undefined : new RequestError(
    400,
    "Upgrade names another protocol before websocket",
  );
}

function toRemote(address: Deno.Addr): RemoteAddress {
  return address.transport === "tcp" || address.transport === "udp"
    ? toInternetRemote(address.hostname, address.port)
    : {
      address: "path" in address
        ? fromSystemPath(address.path)
        : address.transport,
    };
}

function upgrade(
  request: Request,
  { ping }: EngineLimits,
  protocol: string | undefined,
): Deno.WebSocketUpgrade {
  // Deno sends the ping after half of its idle time-out.
  const upgraded = Deno.upgradeWebSocket(request, { idleTimeout: ping * 2 });
  if (protocol !== undefined) {
    upgraded.response.headers.set("sec-websocket-protocol", protocol);
  }
  return upgraded;
}
