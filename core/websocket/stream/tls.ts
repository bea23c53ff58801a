/**
 * TLS on an accepted connection, for the `stream` engine: a TLS socket that can
 * be paused.
 *
 * @module
 */

import { type SecureContext, TLSSocket } from "node:tls";
import type { HttpConnection } from "./http_connection.ts";

/** Options for {@linkcode startTls}. */
export interface StartTlsOptions {
  /** The certificate and its key. */
  readonly secureContext: SecureContext;
  /** Milliseconds for the handshake. */
  readonly timeout: number;
  /** Takes a connection on which HTTP comes without TLS. */
  readonly onPlain: (connection: HttpConnection) => void;
  /** Takes the TLS socket after the handshake. */
  readonly onSecure: (socket: TLSSocket) => void;
}

/**
 * Speaks TLS, as a server, on a connection. One that fails to is destroyed, but
 * for a client that speaks HTTP: it can be told.
 *
 * The TLS sockets of Deno go on reading when they are paused, and keep what
 * comes: so the connection below is told to stop then.
 *
 * @param connection The connection.
 * @param options The certificate, and who gets the TLS socket.
 */
export async function startTls(
  connection: HttpConnection,
  options: StartTlsOptions,
): Promise<void> {
  const { secureContext, timeout, onSecure, onPlain } = options;
  const timer = setTimeout(() => connection.destroy(), timeout);
  connection.once("close", () => clearTimeout(timer));
  const first = await connection.peek();
  if (connection.destroyed) return;
  if (first === undefined) {
    // Half closed: no handshake can follow.
    connection.destroy();
    return;
  }
  if (isLetter(first)) {
    clearTimeout(timer);
    onPlain(connection);
    return;
  }
  const socket = new TLSSocket(connection, {
    isServer: true,
    secureContext,
    ALPNProtocols: ["http/1.1"],
  });
  function fail(): void {
    socket.destroy();
    connection.destroy();
  }
  connection.on("error", () => {});
  connection.once("end", fail);
  connection.once("close", () => socket.destroy());
  socket.on("error", fail);
  socket.once("close", () => connection.destroy());
  socket.on("pause", () => connection.stopReading());
  socket.on("resume", () => {
    // It is told a turn later, when the socket may be paused again.
    if (!socket.isPaused()) connection.continueReading();
  });
  // It would tell those of a handle, which the connection does not have.
  const { remoteAddress, remotePort, localAddress, localPort } = connection;
  Object.defineProperties(socket, {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: remotePort },
    localAddress: { value: localAddress },
    localPort: { value: localPort },
  });
  socket.once("secure", () => {
    clearTimeout(timer);
    socket.off("error", fail);
    connection.off("end", fail);
    onSecure(socket);
  });
}

/** What a method of HTTP begins with, and no record of TLS. */
function isLetter(byte: number): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(byte));
}
