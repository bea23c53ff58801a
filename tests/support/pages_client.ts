/**
 * Plain HTTP over the raw client, for the tests of pages.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import {
  formatRequest,
  RawClient,
  type RawResponse,
  type RequestOptions,
} from "./client.ts";

/** Header fields that ask for no WebSocket, in place of those that do. */
const plain = {
  Connection: "keep-alive",
  Upgrade: null,
  "Sec-WebSocket-Version": null,
  "Sec-WebSocket-Key": null,
};

/**
 * Formats a request for a page.
 *
 * @param target Its target, as sent.
 * @param options What differs from a plain GET.
 */
export function formatPlain(
  target: string,
  { headers, ...options }: RequestOptions = {},
): string {
  return formatRequest({
    ...options,
    target,
    headers: { ...plain, ...headers },
  });
}

/**
 * Asks for a page.
 *
 * @param to A port of 127.0.0.1, or a client that is connected.
 * @param target Its target, as sent.
 * @param options What differs from a plain GET.
 * @returns The response.
 */
export async function get(
  to: number | RawClient,
  target: string,
  options: RequestOptions = {},
): Promise<RawResponse> {
  if (typeof to === "number") {
    using client = await RawClient.connect(to);
    return await get(client, target, options);
  }
  await to.sendBytes(formatPlain(target, options));
  return await to.readResponse(options.method);
}

/** A client that has asked for a large page, and takes it as it likes. */
export class Download implements Disposable {
  /** Bytes that have come, those of the head too. */
  received = 0;
  /** Resolves when the server has ended the connection, or it is lost. */
  readonly ended: Promise<void>;
  #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("data", ({ length }) => this.received += length);
    this.ended = new Promise((resolve) => socket.once("close", resolve));
  }

  /**
   * Asks, and takes nothing but what comes first.
   *
   * @param port A port of 127.0.0.1.
   * @param request The request, as sent.
   * @returns The client, which has got something.
   */
  static async start(port: number, request: string): Promise<Download> {
    const socket = connect(port, "127.0.0.1");
    const first = new Promise((resolve) => socket.once("data", resolve));
    const download = new Download(socket);
    socket.write(request);
    await first;
    socket.pause();
    return download;
  }

  /** Takes all that comes. */
  resume(): void {
    this.#socket.resume();
  }

  /** Vanishes. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
