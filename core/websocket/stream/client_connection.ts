/**
 * A client's connection below HTTP, with or without TLS.
 *
 * @module
 */

/** What is used of a `Deno.Conn`. */
export type ClientConnection = Pick<
  Deno.Conn,
  "read" | "write" | "closeWrite" | "close" | "remoteAddr" | "localAddr"
>;
