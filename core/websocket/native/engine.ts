/**
 * The `native` engine: `Deno.serve` and `Deno.upgradeWebSocket`.
 *
 * @module
 */

import { fromSystemPath, toInternetRemote } from "../../net/address.ts";
import type { RemoteAddress } from "../../api.ts";
import { RequestError } from "../../errors.ts";
import { asksForWebSocket } from "../handshake.ts";
import { NativeWebSocket } from "./websocket.ts";
import { parseServedUrl } from "../request_target.ts";
import { UnixSocketPath } from "../unix_socket_path.ts";
import type {
  EngineOptions,
  EngineServer,
  WebSocketEngine,
  WebSocketUpgrade,
} from "../engine.ts";

/** Milliseconds before it listens again when connections could not be accepted. */
const acceptPause = 500;

/** The engine on top of `Deno.upgradeWebSocket`. */
export const nativeEngine: WebSocketEngine = {
  pausesClients: false,
  maxMessage: 64 * 1024 * 1024,
  listen,
};

async function listen(options: EngineOptions): Promise<EngineServer> {
  const { listen, listenMode, certificate, handle, onError } = options;
  const { isShared = false } = options;
  async function answer(
    request: Request,
    info: Deno.ServeHandlerInfo,
  ): Promise<Response> {
    const { method, headers } = request;
    const fault = findUpgradeFault(headers);
    const answer = await handle({
      method,
      headers,
      ...parseServedUrl(request),
      remote: toRemote(info.remoteAddr),
      local: toRemote(server.addr),
      signal: request.signal,
      ...(fault !== undefined && { fault }),
    });
    return answer instanceof Response
      ? answer
      : upgrade(request, answer, options);
  }

  const path = listen.transport === "unix"
    ? new UnixSocketPath(listen.path, listenMode)
    : undefined;
  let port = options.port;
  let isClosing = false;
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

  /** Deno stops listening for good at the first connection that it cannot accept. */
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
    // What Deno.serve was given at its start is what it shows for good.
    useCertificate: () => false,
    async close(): Promise<void> {
      isClosing = true;
      path?.release();
      await server.shutdown();
    },
  };
}

/**
 * Deno looks at the first `Upgrade` field alone: where that names another
 * protocol, it takes the request for a WebSocket and never answers it.
 */
function findUpgradeFault(headers: Headers): RequestError | undefined {
  if (!asksForWebSocket(headers)) return undefined;
  if (/^[\s,]*websocket\s*(?:,|$)/i.test(headers.get("upgrade")!)) {
    return undefined;
  }
  return new RequestError(
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
  accepted: WebSocketUpgrade,
  options: EngineOptions,
): Response {
  const { signal } = request;
  try {
    signal.throwIfAborted();
    const limits = options.limits();
    // Deno sends the ping after half of its idle time-out.
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: limits.ping * 2,
    });
    if (accepted.protocol !== undefined) {
      response.headers.set("sec-websocket-protocol", accepted.protocol);
    }
    const webSocket = new NativeWebSocket(socket, accepted, limits);
    // No event of the socket tells that the client was gone before it opened.
    signal.addEventListener("abort", () => webSocket.abandon());
    return response;
  } catch (error) {
    accepted.abandon();
    throw error;
  }
}
