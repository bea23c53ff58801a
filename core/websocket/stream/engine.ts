/**
 * The `stream` engine: our own RFC 6455 on top of the HTTP server of
 * `node:http`, whose sockets can be paused.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ByteStream } from "./byte_stream.ts";
import { ConnectionStream } from "./connection_stream.ts";
import { DuplexStream } from "./duplex_stream.ts";
import { asksForWebSocket } from "../handshake.ts";
import { HttpConnection } from "./http_connection.ts";
import { sendAnswer, sendLastAnswer } from "./http_answer.ts";
import { toRequest, whileOpen } from "./http_request.ts";
import { formatHead, formatResponse } from "./http_response.ts";
import { RawHeaders } from "./raw_headers.ts";
import { StreamListener } from "./listener.ts";
import { createStreamServer } from "./http_server.ts";
import { StreamWebSocket } from "./websocket.ts";
import type {
  EngineOptions,
  EngineServer,
  RequestHandler,
  WebSocketEngine,
  WebSocketUpgrade,
} from "../engine.ts";

/** The engine on top of the `upgrade` event of `node:http`. */
export const streamEngine: WebSocketEngine = {
  pausesClients: true,
  maxMessage: Infinity,
  listen,
};

async function listen(options: EngineOptions): Promise<EngineServer> {
  const { handle, limits } = options;
  const webSockets = new Set<StreamWebSocket>();
  const { server, accept, release, keepWaiting, useCertificate, close } =
    createStreamServer(options);
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
    track(answer(request, response, handle));
  });

  server.on("upgrade", (request: IncomingMessage, duplex: Duplex) => {
    const head = release(duplex);
    if (!asksForWebSocket(new RawHeaders(request.rawHeaders))) {
      return track(answerOther(request, duplex, handle));
    }
    let stream: ByteStream;
    if (duplex instanceof HttpConnection) {
      stream = new ConnectionStream(duplex.detach(), head);
    } else {
      keepWaiting(duplex);
      stream = new DuplexStream(duplex, head);
    }
    const webSocket = new StreamWebSocket(stream, limits(), forget);
    webSockets.add(webSocket);
    track(answerUpgrade(request, webSocket, handle));
  });

  server.on("connect", (request: IncomingMessage, duplex: Duplex) => {
    // What comes behind it is no request.
    release(duplex);
    track(answerOther(request, duplex, handle));
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
): Promise<void> {
  const signal = whileOpen(response);
  const answer = await handle(toRequest(request, signal));
  if (answer instanceof Response) {
    await sendAnswer(request, response, answer);
  } else {
    // It was no request for an upgrade, so nothing was to be accepted.
    answer.abandon();
    response.destroy();
  }
}

/**
 * Answers a request for an upgrade to something else than a WebSocket: as if it
 * asked for none, and by the end of a connection that nobody reads any more.
 */
async function answerOther(
  request: IncomingMessage,
  socket: Duplex,
  handle: RequestHandler,
): Promise<void> {
  // That the client is gone, its close tells, too.
  socket.on("error", () => {});
  const answer = await handle(toRequest(request, whileOpen(socket)));
  if (answer instanceof Response) {
    await sendLastAnswer(request, socket, answer);
  } else {
    answer.abandon();
    socket.destroy();
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

/** The server's side of the handshake, RFC 6455 section 4.2.2. */
function formatUpgrade(
  { rawHeaders }: IncomingMessage,
  { protocol }: WebSocketUpgrade,
): string {
  const key = new RawHeaders(rawHeaders).get("sec-websocket-key");
  const accept = createHash("sha1")
    .update(`${key}${handshakeGuid}`)
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
