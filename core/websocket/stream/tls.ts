/**
 * Starts TLS on an accepted connection, with a socket that can be paused.
 *
 * @module
 */

import { type SecureContext, TLSSocket } from "node:tls";
import type { ClientAuthorities } from "./client_certificate.ts";
import type { HttpConnection } from "./http_connection.ts";

/** Options for {@linkcode startTls}. */
export interface StartTlsOptions {
  /** The certificate and its key. */
  readonly secureContext: SecureContext;
  /** Finds another certificate for the name that a client asks for (SNI); absent: there is none. */
  readonly chooseContext?: (name: string) => SecureContext | undefined;
  /** Clients are asked for certificates of these; absent: for none. */
  readonly authorities?: ClientAuthorities | undefined;
  /** Milliseconds for the handshake. */
  readonly timeout: number;
  /** Takes a connection whose client uses HTTP without TLS. */
  readonly onPlain: (connection: HttpConnection) => void;
  /** Takes the TLS socket after the handshake. */
  readonly onSecure: (socket: TLSSocket) => void;
}

/**
 * Speaks TLS, as a server, on a connection. A connection whose handshake fails
 * is destroyed, unless the client uses HTTP and can be answered.
 *
 * Deno's TLS sockets continue to read while they are paused, and keep the data;
 * so this function stops the connection below.
 *
 * @param connection The connection.
 * @param options The certificate, and what takes the TLS socket.
 */
export async function startTls(
  connection: HttpConnection,
  options: StartTlsOptions,
): Promise<void> {
  const { secureContext, chooseContext, authorities } = options;
  const { timeout, onSecure, onPlain } = options;
  const timer = setTimeout(() => connection.destroy(), timeout);
  connection.once("close", () => clearTimeout(timer));
  const first = await connection.peek();
  if (connection.destroyed) return;
  if (first === undefined) {
    // The client has ended its side: no handshake can follow.
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
    // What a request needs is decided when its path is known.
    ...authorities && { requestCert: true, rejectUnauthorized: false },
    ...chooseContext && {
      SNICallback(name, choose): void {
        choose(null, chooseContext(name));
      },
    },
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
    // A turn later, because the socket may be paused again by then.
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
    if (authorities !== undefined) {
      const value = authorities.read(socket);
      Object.defineProperty(socket, "clientCertificate", { value });
    }
    onSecure(socket);
  });
}

/**
 * Matches the first byte of an HTTP method, which no TLS record begins with.
 */
function isLetter(byte: number): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(byte));
}
