/**
 * Errors of connections that their other end has ended.
 *
 * @module
 */

/**
 * Says whether an error means that the other end of a connection has gone, which
 * the system tells by different errors: by what was under way, and since Deno
 * asks for the address of the other end once more when a connection is made
 * (`NotConnected`).
 *
 * @param error What connecting, reading or writing threw.
 */
export function isConnectionLost(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.UnexpectedEof;
}
