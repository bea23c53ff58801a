/**
 * Connects to services until that is no longer wanted, and makes the system
 * probe the other side of a silent connection (TCP keep-alive).
 *
 * @module
 */

import { untilAborted } from "../time/deadline.ts";
import { type SharedTimer, startSharedTimer } from "../time/shared_timers.ts";
import { duplicateHandle } from "./tcp_handle.ts";

/** Milliseconds for an aborted attempt to connect, and then to be closed. */
const lateTimeout = 1000;

/**
 * Connects over TCP.
 *
 * Deno leaks the socket if its signal is aborted just when the connection is
 * made. So this aborts Deno's signal some time later.
 *
 * @param address Where to.
 * @param signal Gives the attempt up.
 * @returns The connection.
 * @throws The reason of the signal, or what Deno throws.
 */
export function dialTcp(
  address: { readonly hostname: string; readonly port: number },
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  function abortLate(): void {
    timer = setTimeout(() => late.abort(), lateTimeout);
  }
  function settle(): void {
    clearTimeout(timer);
    signal.removeEventListener("abort", abortLate);
  }
  const connecting = Deno.connect({ ...address, signal: late.signal });
  signal.addEventListener("abort", abortLate, { once: true });
  connecting.then(settle, settle);
  return untilAborted(connecting, signal, (late) => late.close());
}

/**
 * Connects to a Unix socket. `Deno.connect` takes no signal for these: the
 * attempt goes on, and what comes of it is closed.
 *
 * @param path Its path, as the system takes it.
 * @param signal Gives the attempt up.
 * @returns The connection.
 * @throws The reason of the signal, or what Deno throws.
 */
export function dialUnix(
  path: string,
  signal: AbortSignal,
): Promise<Deno.UnixConn> {
  const connecting = Deno.connect({ transport: "unix", path });
  return untilAborted(connecting, signal, (late) => late.close());
}

/**
 * Seconds after which keep-alive is set: it costs a tenth of opening a
 * connection, which is not worth it for short ones.
 */
const trial = 10;

/**
 * Calls {@linkcode keepAlive} when a connection has lasted a while. The system
 * counts the silence from the last segment, not from that call.
 *
 * @param connection The connection; if it is not TCP, nothing is done.
 * @param seconds As for {@linkcode keepAlive}.
 * @returns A timer, which the caller cancels when the connection is closed;
 * none if nothing is done.
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
 * Makes the system probe the other side of a connection after some silence (RFC
 * 9293 section 3.8.4). If it does not answer, reads and writes of the
 * connection fail.
 *
 * A connection of Deno can only use the system's time, which is two hours on
 * Linux. `node:net` can set the seconds. The option belongs to the socket, not
 * to the descriptor: setting it through a duplicate affects the connection.
 *
 * @param connection The connection.
 * @param seconds Seconds of silence before the first probe; 0: no probes.
 * @returns Whether the seconds were set; otherwise the system uses its own, or
 * sends no probes.
 */
export function keepAlive(connection: Deno.TcpConn, seconds: number): boolean {
  if (seconds === 0) return false;
  try {
    if (setSeconds(connection, seconds)) return true;
    connection.setKeepAlive(true);
  } catch {
    // Some systems refuse if the other side has closed, which a read reports,
    // too.
  }
  return false;
}

function setSeconds(connection: Deno.TcpConn, seconds: number): boolean {
  const handle = duplicateHandle(connection);
  if (handle === undefined) return false;
  try {
    return handle.setKeepAlive(true, seconds) === 0;
  } finally {
    handle.close();
  }
}
