/**
 * Starts TLS as a client, and leaves no socket behind.
 *
 * @module
 */

import { duplicateHandle, type TcpHandle } from "./tcp_handle.ts";

/**
 * Starts TLS on a connection to a server.
 *
 * @param tcp The connection; this function takes ownership.
 * @param options The name to send, and whom to trust.
 * @param signal Gives up when it is aborted.
 * @returns The connection, after the handshake.
 * @throws {Error} If the handshake fails; `signal`'s reason.
 */
export async function startTls(
  tcp: Deno.TcpConn,
  options: Deno.StartTlsOptions,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const handle = duplicateHandle(tcp);
  let connection: Deno.TlsConn;
  try {
    connection = await Deno.startTls(tcp, options);
  } catch (error) {
    tcp.close();
    handle?.close();
    throw error;
  }
  function abort(): void {
    connection.close();
    if (handle !== undefined) endSide(handle);
  }
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await connection.handshake();
    signal.throwIfAborted();
    return connection;
  } catch (error) {
    if (!signal.aborted) connection.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
    if (!signal.aborted) handle?.close();
  }
}

/**
 * Tells the server of a handshake that has been given up. Deno keeps the socket
 * until that handshake ends, though the connection is closed: a server that is
 * told ends it.
 */
function endSide(handle: TcpHandle): void {
  const result = handle.shutdown({ oncomplete: () => handle.close() });
  if (result !== 0) handle.close();
}
