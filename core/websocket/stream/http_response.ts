/**
 * HTTP responses as text, for sockets that no HTTP server answers on any more.
 *
 * @module
 */

import { STATUS_CODES } from "node:http";

/**
 * Formats a response, after which the connection ends.
 *
 * @param response The response; its body is read.
 * @returns Its head and its body.
 */
export async function formatResponse(response: Response): Promise<string> {
  const { status, headers } = response;
  const body = await response.text();
  endConnection(headers);
  headers.set("content-length", `${new TextEncoder().encode(body).length}`);
  return formatHead(status, headers) + body;
}

/**
 * Says in a response that it is the last one of its connection.
 *
 * @param headers Its header fields. `Upgrade` among them has to be named in
 * `Connection`, too (RFC 9110 section 7.8).
 */
export function endConnection(headers: Headers): void {
  headers.set(
    "connection",
    headers.has("upgrade") ? "upgrade, close" : "close",
  );
}

/**
 * Formats the head of a response.
 *
 * @param status HTTP status.
 * @param headers Header fields.
 * @returns The head, with the empty line at its end.
 */
export function formatHead(
  status: number,
  headers: Iterable<readonly [name: string, value: string]>,
): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}
