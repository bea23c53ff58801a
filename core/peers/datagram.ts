/**
 * Peers that take and send datagrams: UDP and Unix datagram sockets.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { untilAborted } from "../time/deadline.ts";
import {
  type DatagramAddress,
  isAbstract,
  toSystemPath,
} from "../net/address.ts";
import { CloseError } from "../errors.ts";
import type { Peer } from "./peer.ts";
import type { PeerPlace } from "./locate.ts";
import type { IncomingMessages } from "../websocket/engine.ts";

/** A datagram of UDP has at most 65,507 bytes of payload. */
const udpRoom = 64 * 1024;

/**
 * A datagram of a Unix socket has at most as many bytes as its sender's buffer,
 * 212,992 unless it was made larger.
 */
const unixRoom = 256 * 1024;

/**
 * Opens a datagram socket to a peer.
 *
 * @param address Its address.
 * @param signal Aborts the attempt.
 * @returns The socket; a Unix socket is bound to a path in a private temporary
 * directory, which is removed when it is closed.
 * @throws {Error} If it cannot be opened.
 */
export async function openDatagramPeer(
  address: PeerPlace<DatagramAddress>,
  signal: AbortSignal,
): Promise<Peer> {
  if (Deno.listenDatagram === undefined) {
    throw new TypeError(
      `${address.transport} needs Deno's unstable flag "net": run with --unstable-net`,
    );
  }
  return address.transport === "udp"
    ? await openUdp(address, signal)
    : await openUnixDatagram(address.path);
}

async function openUdp(
  address: PeerPlace<DatagramAddress & { transport: "udp" }>,
  signal: AbortSignal,
): Promise<Peer> {
  const { port } = address;
  if (port === undefined) throw new TypeError("the address names no port");
  const name = address.resolved?.[0] ?? address.hostname;
  const hostname = await untilAborted(resolve(name), signal);
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: hostname.includes(":") ? "::" : "0.0.0.0",
    port: 0,
  });
  return new DatagramPeer(
    { sender: socket, receiver: socket },
    { transport: "udp", hostname, port },
    (from) =>
      from.transport === "udp" && from.hostname === hostname &&
      from.port === port,
  );
}

/** The first address of a name, in the form in which `receive` reports it. */
async function resolve(hostname: string): Promise<string> {
  const { address, family } = await lookup(hostname);
  // The URL parser returns the shortest form of an IPv6 address.
  return family === 6 && !address.includes("%")
    ? new URL(`http://[${address}]`).hostname.slice(1, -1)
    : address;
}

async function openUnixDatagram(path: string): Promise<Peer> {
  // A missing peer fails at once, as with the other transports; the first
  // message would fail only after the WebSocket is open. Whether an abstract
  // socket exists cannot be found out without sending to it.
  if (!isAbstract(path)) {
    const { isSocket } = await Deno.stat(path);
    if (!isSocket) throw new TypeError(`"${path}" is not a socket`);
  }
  const directory = await Deno.makeTempDir({ prefix: "websocksy-" });
  try {
    return new DatagramPeer(
      await bindPair(directory),
      { transport: "unixpacket", path: toSystemPath(path) },
      () => true,
      directory,
    );
  } catch (error) {
    await Deno.remove(directory, { recursive: true });
    throw error;
  }
}

/**
 * Binds two sockets to one path. In Deno (2.9), a Unix datagram socket cannot
 * send while it waits for a datagram. So one socket sends, and the other, which
 * has taken over the path that the peer sees as the sender's, receives.
 */
async function bindPair(directory: string): Promise<SocketPair> {
  const path = `${directory}/socket`;
  const sender = Deno.listenDatagram({ transport: "unixpacket", path });
  try {
    const takeover = `${directory}/receiver`;
    const receiver = Deno.listenDatagram({
      transport: "unixpacket",
      path: takeover,
    });
    try {
      await Deno.rename(takeover, path);
      return { sender, receiver };
    } catch (error) {
      receiver.close();
      throw error;
    }
  } catch (error) {
    sender.close();
    throw error;
  }
}

/** The sockets of a connection; for UDP both are the same. */
interface SocketPair {
  readonly sender: Deno.DatagramConn;
  readonly receiver: Deno.DatagramConn;
}

class DatagramPeer implements Peer {
  readonly minimumRead: number;
  readonly isDatagram = true;
  readonly readsAll = true;
  readonly pieceSize = Infinity;
  written = 0;
  #sockets: SocketPair;
  #address: Deno.Addr;
  #isPeer: (from: Deno.Addr) => boolean;
  #directory: string | undefined;
  #closed = false;

  constructor(
    sockets: SocketPair,
    address: Deno.Addr,
    isPeer: (from: Deno.Addr) => boolean,
    directory?: string,
  ) {
    this.#sockets = sockets;
    this.#address = address;
    this.#isPeer = isPeer;
    this.#directory = directory;
    this.minimumRead = directory === undefined ? udpRoom : unixRoom;
  }

  async read(buffer: Uint8Array): Promise<number> {
    for (;;) {
      const [datagram, from] = await this.#sockets.receiver.receive(buffer);
      if (!this.#isPeer(from)) continue;
      // A datagram that fills the room may have been truncated.
      if (datagram.length >= this.minimumRead) {
        throw new CloseError(
          1009,
          `datagram from the peer has ${this.minimumRead} bytes or more`,
        );
      }
      return datagram.length;
    }
  }

  async write({ data, ends }: IncomingMessages): Promise<void> {
    let start = 0;
    for (const end of ends) {
      try {
        await this.#sockets.sender.send(
          data.subarray(start, end),
          this.#address,
        );
      } catch (error) {
        throw isTooLong(error)
          ? new CloseError(1009, "message too large for a datagram", {
            cause: error,
          })
          : error;
      }
      this.written += end - start;
      start = end;
    }
  }

  async closeWrite(): Promise<void> {
    // Datagrams have no end.
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { sender, receiver } = this.#sockets;
    receiver.close();
    if (sender !== receiver) sender.close();
    if (this.#directory !== undefined) removeDirectory(this.#directory);
  }
}

function removeDirectory(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    // A clean-up of temporary files may have removed it already.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** EMSGSIZE, for which Deno has no error class. */
function isTooLong(error: unknown): boolean {
  return error instanceof Error &&
    (("code" in error && error.code === "EMSGSIZE") ||
      error.message.startsWith("Message too long"));
}
