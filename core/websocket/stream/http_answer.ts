/**
 * Responses on the connections of the HTTP server of `node:http`. A body is
 * read no faster than the client reads, and not to its end if the client
 * leaves.
 *
 * @module
 */

import {
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RequestHead } from "../engine.ts";
import { lastTimeout } from "../liveness.ts";

/** Largest body that is sent at once, in bytes, as a stream costs more. */
const mostAtOnce = 128 * 1024;

/** Most bytes that are read from a client after its last answer, and dropped. */
const mostDropped = 1024 * 1024;

/**
 * Sends a response to a request.
 *
 * @param request The request.
 * @param response Where the response goes.
 * @param answer The response.
 * @returns A promise that resolves when it is sent, or never will be.
 */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Response,
): Promise<void> {
  // The rest of its body is not needed, and might never end. `node:http` does
  // not end the connection if the response has its own `Connection` field.
  if (!request.complete || !response.shouldKeepAlive) {
    endConnection(answer.headers);
  }
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  await sendBody(answer, response);
}

/**
 * Sends a response on a connection that is no longer the HTTP server's, and
 * ends it.
 *
 * @param request The request.
 * @param socket The connection.
 * @param answer The response.
 * @returns A promise that resolves when it is sent, or never will be.
 */
export async function sendLastAnswer(
  { method }: Pick<RequestHead, "method">,
  socket: Duplex,
  answer: Response,
): Promise<void> {
  endConnection(answer.headers);
  socket.write(formatHead(answer.status, answer.headers));
  if (method === "HEAD") {
    await answer.body?.cancel();
    socket.end();
  } else await sendBody(answer, socket);
  dropRest(socket);
}

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

async function sendBody(
  answer: Response,
  to: ServerResponse | Duplex,
): Promise<void> {
  const { body, headers } = answer;
  if (body === null) {
    to.end();
    return;
  }
  try {
    const length = headers.get("content-length");
    if (length !== null && Number(length) <= mostAtOnce) {
      to.end(await answer.bytes());
    } else {
      await pipeline(Readable.fromWeb(body), to);
    }
  } catch {
    // The end of the connection tells the client that the answer is not
    // complete.
    to.destroy();
  }
}

/**
 * Drops what still arrives, up to a limit: unread data would reset the
 * connection before the client has read its last answer.
 *
 * @param socket The connection; it is ended after a while.
 */
export function dropRest(socket: Duplex): void {
  socket.removeAllListeners("data");
  let left = mostDropped;
  socket.on("data", ({ length }: Uint8Array) => {
    left -= length;
    if (left <= 0) socket.pause();
  });
  socket.resume();
  endSoon(socket);
}

/**
 * Ends a connection after the time that a client has for its last answer.
 *
 * @param socket The connection.
 */
export function endSoon(socket: Duplex): void {
  if (socket.closed) return;
  const timer = setTimeout(() => socket.destroy(), lastTimeout);
  socket.once("close", () => clearTimeout(timer));
}

/**
 * Says in a response that it is the last one of its connection.
 *
 * @param headers Its header fields. `Upgrade` among them has to be named in
 * `Connection`, too (RFC 9110 section 7.8).
 */
function endConnection(headers: Headers): void {
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
function formatHead(
  status: number,
  headers: Iterable<readonly [name: string, value: string]>,
): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}
