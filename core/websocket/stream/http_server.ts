/**
 * The HTTP server below the `stream` engine, with limits on what comes before a
 * request is complete.
 *
 * @module
 */

import { createServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import type { HttpConnection } from "./http_connection.ts";
import { dropRest, endSoon, formatResponse } from "./http_answer.ts";
import {
  maxHead,
  notUpgradable,
  type ParseError,
  readMalformed,
} from "./http_request.ts";
import { RequestGate } from "./request_gate.ts";
import type { RequestError } from "../../errors.ts";
import type { EngineOptions, RequestHandler } from "../engine.ts";

/**
 * The client has the time for a request's head, times this, to read a part of
 * an answer.
 */
const writeTimeouts = 6;

/**
 * Most connections at once that get an answer that they are too many; others
 * are closed at once.
 */
const mostRefusing = 64;

/**
 * Milliseconds after which a look at the clock is late: the thread was busy, or
 * the process stood still.
 */
const lateness = 100;

/** An HTTP server for connections that are accepted elsewhere. */
export interface StreamServer {
  /** The server. */
  readonly server: Server;
  /**
   * Takes a connection that was accepted.
   *
   * @param connection The connection.
   * @param refusal The refusal of every request on it; absent: they are served.
   */
  accept(connection: HttpConnection, refusal?: RequestError): void;
  /** Ends a connection on which no request has arrived in time. */
  expire(connection: HttpConnection): void;
  /**
   * Gives up a socket on which a request for an upgrade has come.
   *
   * @param socket The socket.
   * @returns What was read behind the request.
   */
  release(socket: Duplex): Uint8Array;
  /**
   * Ends the connections on which no WebSocket is open.
   *
   * @returns A promise that resolves when none is left.
   */
  close(): Promise<void>;
}

/**
 * Creates an HTTP server.
 *
 * @param options How long a request's head may take, and what
 * answers data that is not a request.
 * @returns The server.
 */
export function createStreamServer(
  { headTimeout, handle }: Pick<EngineOptions, "headTimeout" | "handle">,
): StreamServer {
  const timeout = Math.ceil(headTimeout * 1000);
  const interval = Math.min(1000, Math.ceil(timeout / 4));
  const limits = {
    maxHeaderSize: maxHead,
    // A missing Host is checked with all else.
    requireHostHeader: false,
    headersTimeout: timeout,
    requestTimeout: timeout,
    connectionsCheckingInterval: interval,
  };
  const server = createServer(limits);
  // It would silently ignore further fields.
  server.maxHeadersCount = 0;
  const gates = new WeakMap<Duplex, RequestGate>();
  const refused = new WeakSet<Duplex>();
  server.on("clientError", (error: ParseError, socket: Duplex) => {
    gates.get(socket)?.close();
    // It is told again for what comes after.
    if (refused.has(socket) || socket.writableEnded) return;
    refused.add(socket);
    refuse(error, socket, handle);
  });
  server.on("request", (request, response) => {
    gates.get(request.socket)?.hold(request, response);
  });
  // The answer does not depend on what a client expects, and needs no body.
  for (const event of ["checkContinue", "checkExpectation"]) {
    server.on(event, (request, response) => {
      server.emit("request", request, response);
    });
  }
  // It does not listen itself, but must keep connections and check time-outs as
  // if it did.
  let isListening = true;
  // node:http looks for late requests before it reads what has arrived while the
  // process stood still. This timer is called just before that look: if the clock
  // shows a standstill, it puts the look off, once.
  let looked = performance.now();
  let isLate = false;
  function look(): void {
    const now = performance.now();
    isLate = !isLate && now - looked > interval + lateness;
    looked = now;
    server.headersTimeout = server.requestTimeout = isLate ? 0 : timeout;
  }
  const looking = setInterval(look, interval);
  Object.defineProperty(server, "listening", { get: () => isListening });
  server.emit("listening");
  const connections = new Set<HttpConnection>();
  let onEmpty: (() => void) | undefined;
  /** Connections beyond a limit that get an answer. */
  let refusing = 0;

  function keep(connection: HttpConnection): void {
    connection.writeTimeout = timeout * writeTimeouts;
    connections.add(connection);
    connection.once("close", () => {
      connections.delete(connection);
      if (connections.size === 0) onEmpty?.();
    });
  }

  return {
    server,
    accept(connection, refusal): void {
      if (refusal !== undefined) {
        if (refusing === mostRefusing) {
          connection.destroy();
          return;
        }
        refusing++;
        connection.once("close", () => refusing--);
        connection.refusal = refusal;
        endSoon(connection);
      }
      keep(connection);
      server.emit("connection", connection);
      gates.set(connection, new RequestGate(connection));
    },
    expire(connection): void {
      keep(connection);
      // The `close` event tells that the client has left, too.
      connection.on("error", () => {});
      const error = Object.assign(new Error("No request has come in time"), {
        code: "ERR_HTTP_REQUEST_TIMEOUT",
      });
      refuse(error, connection, handle);
    },
    release(socket): Uint8Array {
      return gates.get(socket)!.close();
    },
    async close(): Promise<void> {
      isListening = false;
      clearInterval(looking);
      server.close();
      const { promise, resolve } = Promise.withResolvers<void>();
      onEmpty = resolve;
      for (const connection of connections) connection.destroy();
      if (connections.size > 0) await promise;
    },
  };
}

/** Answers a client whose request could not be read, and ends its connection. */
async function refuse(
  error: ParseError,
  socket: Duplex,
  handle: RequestHandler,
): Promise<void> {
  const head = readMalformed(socket, error);
  if (head === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  const answer = await handle({ ...head, ...notUpgradable(socket) });
  if (answer === undefined) {
    socket.destroy();
    return;
  }
  socket.end(await formatResponse(answer));
  dropRest(socket);
}
