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
  /** Takes the TLS socket after the handshake. */
  readonly onSecure: (socket: TLSSocket) => void;
}

/**
 * Speaks TLS, as a server, on a connection. One that fails to is destroyed.
 *
 * The TLS sockets of Deno go on reading when they are paused, and keep what
 * comes: so the connection below is told to stop then.
 *
 * @param connection The connection.
 * @param options The certificate, and who gets the TLS socket.
 */
export function startTls(
  connection: HttpConnection,
  options: StartTlsOptions,
): void {
  const { secureContext, timeout, onSecure } = options;
  const socket = new TLSSocket(connection, {
    isServer: true,
    secureContext,
    ALPNProtocols: ["http/1.1"],
  });
  const timer = setTimeout(() => socket.destroy(), timeout);
  function fail(): void {
    socket.destroy();
    connection.destroy();
  }
  connection.on("error", () => {});
  connection.once("close", () => socket.destroy());
  socket.on("error", fail);
  socket.once("close", () => {
    clearTimeout(timer);
    connection.destroy();
  });
  socket.on("pause", () => connection.stopReading());
  socket.on("resume", () => connection.continueReading());
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
    onSecure(socket);
  });
}
