/**
 * TCP keep-alive: the system asks whether the other side of a silent connection
 * is still there.
 *
 * @module
 */

import process from "node:process";
import { type SharedTimer, startSharedTimer } from "../time/shared_timers.ts";

/** What is used of a TCP handle of `node:net`. */
interface TcpHandle {
  /** Takes a duplicate of a connection's descriptor; 0 if that worked. */
  openFromRid(rid: number): number;
  /** Sets `SO_KEEPALIVE` and `TCP_KEEPIDLE`; 0 if that worked. */
  setKeepAlive(isOn: boolean, seconds: number): number;
  /** Closes the duplicate. */
  close(): void;
}

type TcpHandleConstructor = new (type: number) => TcpHandle;

/**
 * Seconds that a connection has to last before it is worth to set anything: it
 * takes a tenth of what it costs to open one.
 */
const trial = 10;

/**
 * Does what {@linkcode keepAlive} does once a connection has lasted a while. The
 * system counts its silence from what came last, and not from then.
 *
 * @param connection The connection; nothing is done for one that is not TCP.
 * @param seconds As for {@linkcode keepAlive}.
 * @returns A timer, which is to be cancelled when the connection is closed; none
 * if nothing is to be done.
 */
export function keepAliveLater(
  connection: Deno.Conn,
  seconds: number,
): SharedTimer | undefined {
  if (seconds === 0 || !isTcp(connection)) return undefined;
  const wait = Math.min(seconds, trial) * 1000;
  return startSharedTimer(() => keepAlive(connection, seconds), wait);
}

function isTcp(connection: Deno.Conn): connection is Deno.TcpConn {
  return "setKeepAlive" in connection;
}

/**
 * Asks the system to find out whether the other side of a connection is there
 * once it has been silent for a while (RFC 9293 section 3.8.4). When it does not
 * answer, reads and writes of the connection fail.
 *
 * A connection of Deno can only be told to use the system's times, which are two
 * hours on Linux. `node:net` can set the seconds, of a socket and not of a
 * descriptor: what is set through a duplicate of it holds for the connection.
 *
 * @param connection The connection.
 * @param seconds Seconds of silence before the first question; 0: it is never asked.
 * @returns Whether the seconds hold; else the system's own do, or it never asks.
 */
export function keepAlive(connection: Deno.TcpConn, seconds: number): boolean {
  if (seconds === 0) return false;
  try {
    if (setSeconds(connection, seconds)) return true;
    connection.setKeepAlive(true);
  } catch {
    // Some systems refuse once the other side is gone, which reading tells, too.
  }
  return false;
}

function setSeconds(connection: Deno.TcpConn, seconds: number): boolean {
  const rid = ridOf(connection);
  const Handle = handleConstructor ??= findHandle();
  if (rid === undefined || Handle === null) return false;
  const handle = new Handle(socketType);
  try {
    return handle.openFromRid(rid) === 0 &&
      handle.setKeepAlive(true, seconds) === 0;
  } finally {
    handle.close();
  }
}

/** A handle for a connection, and not for a server that listens. */
const socketType = 0;

/** Found when it is needed first; `null` if this version of Deno has none. */
let handleConstructor: TcpHandleConstructor | null | undefined;

/** Neither the handle nor the number of a resource is in Deno's documentation. */
function findHandle(): TcpHandleConstructor | null {
  const { binding } = process as unknown as {
    binding?: (name: string) => { TCP?: TcpHandleConstructor };
  };
  try {
    const Handle = binding?.("tcp_wrap").TCP;
    return typeof Handle?.prototype.openFromRid === "function" ? Handle : null;
  } catch {
    return null;
  }
}

function ridOf(connection: Deno.TcpConn): number | undefined {
  const symbol = Object.getOwnPropertySymbols(connection)
    .find(({ description }) => description === "Deno.internal.rid");
  const rid: unknown = symbol && Reflect.get(connection, symbol);
  return typeof rid === "number" ? rid : undefined;
}
