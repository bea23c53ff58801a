/**
 * Peers that are streams: TCP, TLS and Unix sockets.
 *
 * @module
 */

import { untilAborted } from "./abort.ts";
import type { InternetAddress, StreamAddress } from "./address.ts";
import type { Peer } from "./peer.ts";
import type { IncomingMessages } from "./websocket.ts";

/**
 * Opens a connection to a peer that is a stream. A name with several addresses
 * is tried with each of them until one answers.
 *
 * @param address Its address.
 * @param signal Gives up when it is aborted.
 * @returns The connection.
 * @throws {Error} If it cannot be opened.
 */
export async function openStreamPeer(
  address: StreamAddress,
  signal: AbortSignal,
): Promise<Peer> {
  switch (address.transport) {
    case "unix":
      return new StreamPeer(await connectUnix(address.path, signal));
    case "tcp":
      return new StreamPeer(await connectTcp(address, signal));
    case "tls":
      return new StreamPeer(await connectTls(address, signal));
  }
}

async function connectTcp(
  address: InternetAddress,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const { hostname, port } = address;
  if (port === undefined) throw new TypeError("the address names no port");
  const connection = await Deno.connect({ hostname, port, signal });
  // Messages are written as they come; to hold back the last of several would
  // only delay it.
  connection.setNoDelay(true);
  return connection;
}

async function connectTls(
  address: InternetAddress,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const tcp = await connectTcp(address, signal);
  const connection = await Deno.startTls(tcp, { hostname: address.hostname });
  function abort(): void {
    connection.close();
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
  }
}

/** `Deno.connect` takes no signal for Unix sockets. */
function connectUnix(
  path: string,
  signal: AbortSignal,
): Promise<Deno.UnixConn> {
  const connecting = Deno.connect({ transport: "unix", path });
  return untilAborted(connecting, signal, (late) => late.close());
}

class StreamPeer implements Peer {
  readonly minimumRead = 1;
  readonly isDatagram = false;
  written = 0;
  #connection: Deno.Conn;
  #closed = false;

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#connection.read(buffer);
  }

  async write({ data }: IncomingMessages): Promise<void> {
    let rest = data;
    while (rest.length > 0) {
      const count = await this.#connection.write(rest);
      this.written += count;
      if (count === rest.length) return;
      rest = rest.subarray(count);
    }
  }

  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}
