/**
 * What connections of Deno cannot do and handles of `node:net` can.
 *
 * @module
 */

import process from "node:process";

/** A duplicate of a connection's descriptor: what it sets belongs to the socket. */
export interface TcpHandle {
  /** Sets `SO_KEEPALIVE` and `TCP_KEEPIDLE`; returns 0 on success. */
  setKeepAlive(isOn: boolean, seconds: number): number;
  /** Ends our side of the connection; returns 0 if `oncomplete` is called. */
  shutdown(request: { oncomplete(): void }): number;
  /** Closes the duplicate. */
  close(): void;
}

interface TcpHandleOfRid extends TcpHandle {
  /** Takes a duplicate of the descriptor; returns 0 on success. */
  openFromRid(rid: number): number;
}

type TcpHandleConstructor = new (type: number) => TcpHandleOfRid;

/** The type of a handle for a connection, not for a listener. */
const socketType = 0;

/** Looked up at the first use; `null` if this version of Deno has none. */
let handleConstructor: TcpHandleConstructor | null | undefined;

/**
 * Duplicates the descriptor of a connection.
 *
 * @param connection The connection.
 * @returns The duplicate, which the caller closes; `undefined` if this version of
 * Deno, which does not document it, cannot make one.
 */
export function duplicateHandle(
  connection: Deno.TcpConn,
): TcpHandle | undefined {
  const rid = ridOf(connection);
  const Handle = handleConstructor ??= findHandle();
  if (rid === undefined || Handle === null) return undefined;
  const handle = new Handle(socketType);
  if (handle.openFromRid(rid) === 0) return handle;
  handle.close();
  return undefined;
}

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
