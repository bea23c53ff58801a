/**
 * TLS on an accepted connection, for the `stream` engine: a TLS socket that can
 * be paused.
 *
 * @module
 */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";

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
 * Speaks TLS, as a server, on a socket. One that fails to is destroyed.
 *
 * The TLS sockets of Deno go on reading when they are paused, and keep what
 * comes. So they do not get the socket itself, but a stream before it, whose
 * reading is stopped with theirs.
 *
 * @param raw The socket.
 * @param options The certificate, and who gets the TLS socket.
 */
export function startTls(raw: Socket, options: StartTlsOptions): void {
  const { secureContext, timeout, onSecure } = options;
  let isPaused = false;
  const stream = new Duplex({
    read(): void {
      if (!isPaused) raw.resume();
    },
    write(chunk: Uint8Array, _encoding, done): void {
      raw.write(chunk, done);
    },
    final(done): void {
      raw.end(done);
    },
    destroy(error, done): void {
      raw.destroy();
      done(error);
    },
  });
  raw.setNoDelay(true);
  raw.on("data", (chunk: Uint8Array) => {
    if (!stream.push(chunk)) raw.pause();
  });
  raw.on("end", () => stream.push(null));
  raw.on("error", (error) => stream.destroy(error));
  raw.on("close", () => stream.destroy());
  stream.on("error", () => {});

  const socket = new TLSSocket(stream, {
    isServer: true,
    secureContext,
    ALPNProtocols: ["http/1.1"],
  });
  const timer = setTimeout(() => socket.destroy(), timeout);
  function fail(): void {
    socket.destroy();
    raw.destroy();
  }
  socket.on("error", fail);
  socket.once("close", () => {
    clearTimeout(timer);
    stream.destroy();
  });
  socket.on("pause", () => {
    isPaused = true;
    raw.pause();
  });
  socket.on("resume", () => {
    isPaused = false;
    raw.resume();
  });
  // It would tell those of the stream, which has none.
  const { remoteAddress, remotePort } = raw;
  Object.defineProperties(socket, {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: remotePort },
  });
  socket.once("secure", () => {
    clearTimeout(timer);
    socket.off("error", fail);
    onSecure(socket);
  });
}
