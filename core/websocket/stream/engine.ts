/**
 * The `stream` engine: our own RFC 6455 on top of the HTTP server of
 * `node:http`, whose sockets can be paused.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { formatUpgrade } from "../handshake.ts";
import { Arrivals } from "./arrivals.ts";
import type { ByteStream } from "./byte_stream.ts";
import { ConnectionStream } from "./connection_stream.ts";
import type { HttpConnection } from "./http_connection.ts";
import { formatResponse, sendAnswer, sendLastAnswer } from "./http_answer.ts";
import { notUpgradable, readRequest } from "./http_request.ts";
import { StreamListener } from "./listener.ts";
import { createStreamServer } from "./http_server.ts";
import type { Negotiated } from "../deflate/negotiate.ts";
import { StreamWebSocket } from "./websocket.ts";
import type {
  EngineLimits,
  EngineOptions,
  EngineServer,
  RequestHandler,
  RequestHead,
  ServerWebSocket,
  WebSocketEngine,
} from "../engine.ts";

/** The engine on top of the `upgrade` event of `node:http`. */
export const streamEngine: WebSocketEngine = { listen };

async function listen(options: EngineOptions): Promise<EngineServer> {
  const { handle, limits } = options;
  const webSockets = new Set<StreamWebSocket>();
  const http = createStreamServer(options);
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

  function upgrade(head: RequestHead, stream: ByteStream): void {
    const held = limits();
    const webSocket = new StreamWebSocket(stream, held, forget);
    webSockets.add(webSocket);
    track(answerUpgrade(head, webSocket, handle, held));
  }

  http.server.on("request", (request, response) => {
    track(answer(request, response, handle));
  });

  http.server.on("upgrade", (request: IncomingMessage, duplex: Duplex) => {
    const rest = http.release(duplex);
    const head = readRequest(request);
    if (!head.asksForWebSocket) {
      return track(answerOther(head, duplex, handle));
    }
    const detached = (duplex as HttpConnection).detach();
    upgrade(head, new ConnectionStream(detached, rest));
  });

  http.server.on("connect", (request: IncomingMessage, duplex: Duplex) => {
    // What follows is not a request.
    http.release(duplex);
    track(answerOther(readRequest(request), duplex, handle));
  });

  const tls = options.certificate && await import("./tls.ts");
  let settings = tls?.toTlsSettings(options.certificate!);
  const arrivals = new Arrivals({
    ...options,
    secure: tls &&
      ((connection) => new tls.TlsConnection(connection, settings!)),
    onUpgrade: upgrade,
    onOther: http.accept,
    onLate: http.expire,
  });
  const listener = await StreamListener.start({
    ...options,
    onConnection: (connection) => arrivals.take(connection),
  });
  return {
    port: listener.port,
    useCertificate(certificate): boolean {
      settings = tls?.toTlsSettings(certificate);
      return tls !== undefined;
    },
    stopListening: () => listener.leave(),
    async close(): Promise<void> {
      listener.close();
      arrivals.close();
      await Promise.all(answering);
      const { promise, resolve } = Promise.withResolvers<void>();
      onEmpty = resolve;
      for (const webSocket of webSockets) webSocket.destroy();
      if (webSockets.size > 0) await promise;
      await http.close();
    },
  };
}

/** Answers a request that asks for no upgrade. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handle: RequestHandler,
): Promise<void> {
  await answerPlain(
    readRequest(request),
    response,
    handle,
    (answer) => sendAnswer(request, response, answer),
  );
}

/**
 * Answers a request for an upgrade to something else than a WebSocket as if it
 * asked for none, then ends the connection, which `node:http` no longer reads.
 */
async function answerOther(
  head: RequestHead,
  socket: Duplex,
  handle: RequestHandler,
): Promise<void> {
  // The `close` event tells that the client has left, too.
  socket.on("error", () => {});
  await answerPlain(
    head,
    socket,
    handle,
    (answer) => sendLastAnswer(head, socket, answer),
  );
}

/** Answers a request on whose connection no WebSocket can be opened. */
async function answerPlain(
  head: RequestHead,
  to: ServerResponse | Duplex,
  handle: RequestHandler,
  send: (answer: Response) => Promise<void>,
): Promise<void> {
  const answer = await handle({ ...head, ...notUpgradable(to) });
  if (answer === undefined) to.destroy();
  else await send(answer);
}

/** Agrees upon compression; it is loaded for the first client that it is asked for. */
async function negotiate(
  { headers }: RequestHead,
  level: number,
  { compressionMemory = 0 }: EngineLimits,
): Promise<Negotiated | undefined> {
  const { negotiateCompression } = await import("../deflate/negotiate.ts");
  return negotiateCompression(headers, level, compressionMemory);
}

/** Answers a request for a WebSocket. */
async function answerUpgrade(
  head: RequestHead,
  webSocket: StreamWebSocket,
  handle: RequestHandler,
  limits: EngineLimits,
): Promise<void> {
  const answer = await handle({
    ...head,
    signal: webSocket.signal,
    accept(
      protocol,
      level = limits.compression,
    ): undefined | ServerWebSocket | Promise<undefined | ServerWebSocket> {
      function open(compression?: Negotiated): ServerWebSocket | undefined {
        const extensions = compression?.response;
        const response = formatUpgrade(head.headers, protocol, extensions);
        const isOpen = webSocket.open(response, compression?.codec);
        return isOpen ? webSocket : undefined;
      }
      return level === undefined || level === 0
        ? open()
        : negotiate(head, level, limits).then(open);
    },
  });
  if (answer !== undefined) webSocket.refuse(await formatResponse(answer));
}
