/**
 * The HTTP server below the `stream` engine: with or without TLS, and with
 * limits on what comes before a request is complete.
 *
 * @module
 */

import { createServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { createSecureContext } from "node:tls";
import type { HttpConnection } from "./http_connection.ts";
import { dropRest } from "./http_answer.ts";
import { formatHead } from "./http_response.ts";
import { startTls } from "./tls.ts";
import type { EngineOptions, ServerCertificate } from "../engine.ts";

/** Bytes: the largest head of a request, as Deno's own server has it. */
const maxHead = 64 * 1024;

/** An HTTP server, for connections that somebody else accepts. */
export interface StreamServer {
  /** The server. */
  readonly server: Server;
  /** Takes a connection that was accepted. */
  accept(connection: HttpConnection): void;
  /** Shows a certificate to those who connect from now on. */
  useCertificate(certificate: ServerCertificate): boolean;
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
 * @param options Its certificate, and how long a request's head may take.
 * @returns The server.
 */
export function createStreamServer(
  { certificate, headTimeout }: Pick<
    EngineOptions,
    "certificate" | "headTimeout"
  >,
): StreamServer {
  const timeout = Math.ceil(headTimeout * 1000);
  const limits = {
    maxHeaderSize: maxHead,
    headersTimeout: timeout,
    requestTimeout: timeout,
    connectionsCheckingInterval: Math.min(1000, Math.ceil(timeout / 4)),
  };
  const server = createServer(limits);
  server.on("clientError", refuse);
  // It does not listen itself, but is to keep connections, and to look at the
  // time, as if it did.
  let isListening = true;
  Object.defineProperty(server, "listening", { get: () => isListening });
  server.emit("listening");
  let secureContext = certificate && createSecureContext(certificate);
  const connections = new Set<HttpConnection>();
  let onEmpty: (() => void) | undefined;

  function serve(socket: Duplex): void {
    server.emit("connection", socket);
  }

  return {
    server,
    accept(connection): void {
      connections.add(connection);
      connection.once("close", () => {
        connections.delete(connection);
        if (connections.size === 0) onEmpty?.();
      });
      if (secureContext === undefined) serve(connection);
      else startTls(connection, { secureContext, timeout, onSecure: serve });
    },
    useCertificate(certificate): boolean {
      if (secureContext === undefined) return false;
      secureContext = createSecureContext(certificate);
      return true;
    },
    async close(): Promise<void> {
      isListening = false;
      server.close();
      const { promise, resolve } = Promise.withResolvers<void>();
      onEmpty = resolve;
      for (const connection of connections) connection.destroy();
      if (connections.size > 0) await promise;
    },
  };
}

/** Answers a client whose request never came to be one, and ends its connection. */
function refuse(error: Error & { code?: string }, socket: Duplex): void {
  // It is told again for what comes after the end of it.
  if (socket.writableEnded) return;
  const refusal = refusalFor(error.code ?? "");
  if (refusal === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, line] = refusal;
  const body = `${line}\n`;
  const head = formatHead(status, [
    ["connection", "close"],
    ["content-type", "text/plain; charset=utf-8"],
    ["content-length", `${body.length}`],
  ]);
  socket.end(head + body);
  dropRest(socket);
}

/** Status and body; nothing if no HTTP can be spoken with the client. */
function refusalFor(code: string): [status: number, line: string] | undefined {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return [408, "request took too long"];
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return [431, `request head is larger than ${maxHead} bytes`];
  }
  return code.startsWith("HPE_") ? [400, "malformed request"] : undefined;
}
