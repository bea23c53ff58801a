/**
 * Connects to services, until that is no longer wanted.
 *
 * @module
 */

import { untilAborted } from "../time/deadline.ts";

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
