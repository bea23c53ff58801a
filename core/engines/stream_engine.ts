/**
 * The `stream` engine: our own RFC 6455 on top of the HTTP server of
 * `node:http`, whose sockets can be paused.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { toInternetRemote } from "../peers/address.ts";
import type { RemoteAddress } from "../api.ts";
import { ConnectionStream } from "./connection_stream.ts";
import { DuplexStream } from "./duplex_stream.ts";
import { HttpConnection } from "./http_connection.ts";
import { formatHead, formatResponse } from "./http_response.ts";
import { RawHeaders } from "./raw_headers.ts";
import { toTarget } from "./request_target.ts";
import { StreamListener } from "./stream_listener.ts";
import { createStreamServer, failTimeout } from "./stream_server.ts";
import { StreamWebSocket } from "./stream_websocket.ts";
import type {
  EngineOptions,
  EngineServer,
  HttpRequest,
  RequestHandler,
  WebSocketEngine,
  WebSocketUpgrade,
} from "../websocket.ts";

/** The engine on top of the `upgrade` event of `node:http`. */
export const streamEngine: WebSocketEngine = {
  pausesClients: true,
  maxMessage: Infinity,
  listen,
};

async function listen(options: EngineOptions): Promise<EngineServer> {
  const { handle, limits } = options;
  const webSockets = new Set<StreamWebSocket>();
  const { server, accept, useCertificate, close } = createStreamServer(options);
  /** Answers that are still being made. */
  const answering = new Set<Promise<void>>();
  let onEmpty: (() => void) | undefined;

  function track(answer: Promise<void>): void {
    answering.add(answer);
    answer.finally(() => answering.delete(answer));
  }

  function forget(webSocket: StreamWebSocket): void {
    webSockets.delete(webSocket);
    if (webSockets.size === 0) onEmpty?.();
  }

  server.on("request", (request, response) => {
    const controller = new AbortController();
    response.once("close", () => {
      controller.abort(new Error("The client is gone"));
    });
    track(answer(request, response, handle, controller.signal));
  });

  server.on("upgrade", (request: IncomingMessage, duplex: Duplex, head) => {
    const stream = duplex instanceof HttpConnection
      ? new ConnectionStream(duplex.detach(), head)
      : new DuplexStream(duplex, head);
    const webSocket = new StreamWebSocket(stream, limits(), forget);
    webSockets.add(webSocket);
    track(answerUpgrade(request, webSocket, handle));
  });

  const listener = await StreamListener.start({
    ...options,
    onConnection: accept,
  });
  return {
    port: listener.port,
    useCertificate,
    async close(): Promise<void> {
      listener.close();
      await Promise.all(answering);
      const { promise, resolve } = Promise.withResolvers<void>();
      onEmpty = resolve;
      for (const webSocket of webSockets) webSocket.destroy();
      if (webSockets.size > 0) await promise;
      await close();
    },
  };
}

/** Answers a request that asks for no upgrade. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handle: RequestHandler,
  signal: AbortSignal,
): Promise<void> {
  const answer = await handle(toRequest(request, signal));
  if (!(answer instanceof Response)) {
    // It was no request for an upgrade, so nothing was to be accepted.
    answer.abandon();
    response.destroy();
    return;
  }
  if (!request.complete) {
    // Nobody wants the rest of its body, which might take for ever.
    answer.headers.set("connection", "close");
    const { socket } = request;
    const timer = setTimeout(() => socket.destroy(), failTimeout);
    socket.once("close", () => clearTimeout(timer));
    request.resume();
  }
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body === null) {
    response.end();
    return;
  }
  try {
    // Reads the body no faster than the client does, and not to its end if the
    // client is gone.
    await pipeline(Readable.fromWeb(answer.body), response);
  } catch {
    // Of what had begun to be an answer, a client learns by its end alone.
    response.destroy();
  }
}

/** Answers a request that asks for an upgrade. */
async function answerUpgrade(
  request: IncomingMessage,
  webSocket: StreamWebSocket,
  handle: RequestHandler,
): Promise<void> {
  const answer = await handle(toRequest(request, webSocket.signal));
  if (answer instanceof Response) {
    webSocket.refuse(await formatResponse(answer));
  } else {
    webSocket.open(formatUpgrade(request, answer), answer);
  }
}

function toRequest(
  { method = "", url = "", rawHeaders, socket }: IncomingMessage,
  signal: AbortSignal,
): HttpRequest {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return {
    method,
    target: toTarget(url),
    headers: new RawHeaders(rawHeaders),
    remote: toRemote(remoteAddress, remotePort),
    local: toRemote(localAddress, localPort),
    signal,
  };
}

function toRemote(address?: string, port?: number): RemoteAddress {
  return address === undefined || port === undefined
    ? { address: "unix" }
    : toInternetRemote(address, port);
}

/** The server's side of the handshake, RFC 6455 section 4.2.2. */
function formatUpgrade(
  request: IncomingMessage,
  { protocol }: WebSocketUpgrade,
): string {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}${handshakeGuid}`)
    .digest("base64");
  return formatHead(101, [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Accept", accept],
    ...(protocol === undefined
      ? []
      : [["Sec-WebSocket-Protocol", protocol] as const]),
  ]);
}

/** From RFC 6455 section 1.3. */
const handshakeGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
