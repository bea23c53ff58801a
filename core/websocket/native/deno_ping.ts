/**
 * The ping that Deno sends to a client of `Deno.upgradeWebSocket` by itself.
 *
 * @module
 */

/**
 * Makes Deno begin to count anew until its next ping, as it does when the client
 * sends a message or a pong: one that takes what it is sent is alive, although
 * its pong waits behind all of that. Deno's documentation has no way to it.
 *
 * @param socket The WebSocket, open.
 * @returns Whether this version of Deno can be made to.
 */
export function postponePing(socket: WebSocket): boolean {
  if (restart === undefined) return false;
  restart.call(socket);
  return true;
}

const restart = findRestart();

function findRestart(): ((this: WebSocket) => void) | undefined {
  const symbol = Object.getOwnPropertySymbols(WebSocket.prototype)
    .find(({ description }) => description === "[[serverHandleIdleTimeout]]");
  const restart: unknown = symbol && Reflect.get(WebSocket.prototype, symbol);
  return typeof restart === "function"
    ? restart as (this: WebSocket) => void
    : undefined;
}
