/**
 * The `native` engine: `Deno.serve` and `Deno.upgradeWebSocket`.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { toInternetRemote } from "./address.ts";
import type { RemoteAddress } from "./api.ts";
import { MessageQueue } from "./message_queue.ts";
import type {
  EngineLimits,
  EngineOptions,
  EngineServer,
  OutgoingMessages,
  ServerWebSocket,
  WebSocketEngine,
  WebSocketHandler,
  WebSocketUpgrade,
} from "./websocket.ts";

/** While more than this many bytes wait to be sent, there is no room for more. */
const highWaterMark = 1024 * 1024;

/** Milliseconds without progress after which a close no longer waits for the client. */
const closeTimeout = 10_000;

/** The engine on top of `Deno.upgradeWebSocket`. */
export const nativeEngine: WebSocketEngine = {
  pausesClients: false,
  maxMessage: 64 * 1024 * 1024,
  listen,
};

function listen(options: EngineOptions): EngineServer {
  const { listen, port, handle } = options;
  const where = listen.transport === "unix"
    ? { path: listen.path }
    : { hostname: listen.hostname, port };

  async function answer(
    request: Request,
    info: Deno.ServeHandlerInfo,
  ): Promise<Response> {
    const { method, headers } = request;
    const answer = await handle({
      method,
      headers,
      target: targetOf(request.url),
      remote: toRemote(info.remoteAddr),
      signal: request.signal,
    });
    return answer instanceof Response
      ? answer
      : upgrade(request, answer, options);
  }

  const server = Deno.serve({ ...where, onListen: () => {} }, answer);
  const { addr } = server;
  return {
    port: addr.transport === "tcp" ? addr.port : 0,
    async close(): Promise<void> {
      await server.shutdown();
    },
  };
}

/** The request's target as sent: `new URL` would normalise it. */
function targetOf(url: string): string {
  const path = url.indexOf("/", url.indexOf("://") + 3);
  return path < 0 ? "/" : url.slice(path);
}

function toRemote(address: Deno.Addr): RemoteAddress {
  return address.transport === "tcp" || address.transport === "udp"
    ? toInternetRemote(address.hostname, address.port)
    : { address: "path" in address ? address.path : address.transport };
}

function upgrade(
  request: Request,
  accepted: WebSocketUpgrade,
  options: EngineOptions,
): Response {
  try {
    // Deno sends the ping after half of its idle time-out.
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: options.limits().ping * 2,
    });
    if (accepted.protocol !== undefined) {
      response.headers.set("sec-websocket-protocol", accepted.protocol);
    }
    new NativeWebSocket(socket, accepted, options);
    return response;
  } catch (error) {
    accepted.abandon();
    throw error;
  }
}

class NativeWebSocket implements ServerWebSocket {
  #socket: WebSocket;
  #limits: EngineLimits;
  /** Until it is open; it holds the request, which is not needed any longer then. */
  #accepted: WebSocketUpgrade | undefined;
  #handler: WebSocketHandler | undefined;
  #queue: MessageQueue | undefined;
  #ended = Promise.withResolvers<void>();
  #hasEnded = false;
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #error = "";

  constructor(
    socket: WebSocket,
    accepted: WebSocketUpgrade,
    options: EngineOptions,
  ) {
    this.#socket = socket;
    this.#accepted = accepted;
    this.#limits = options.limits();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#onOpen();
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onerror = (event) => {
      if (event instanceof ErrorEvent) this.#error = event.message;
    };
    socket.onclose = (event) => this.#onClose(event);
  }

  #onOpen(): void {
    const handler = this.#accepted!.open(this);
    this.#accepted = undefined;
    this.#handler = handler;
    this.#queue = new MessageQueue((messages) => handler.receive(messages));
  }

  send({ data, messages }: OutgoingMessages): void | Promise<void> {
    const socket = this.#socket;
    for (const { start, end, text } of messages) {
      const bytes = data.subarray(start, end);
      // Deno copies what it is given.
      socket.send(
        text ? decoder.decode(bytes) : bytes as Uint8Array<ArrayBuffer>,
      );
    }
    if (socket.bufferedAmount > highWaterMark) {
      return this.#drained(highWaterMark, Infinity);
    }
  }

  close(code: number, reason: string): void {
    if (this.#closing !== undefined || this.#hasEnded) return;
    this.#closing = { code, reason };
    this.#close(code, reason);
  }

  async #close(code: number, reason: string): Promise<void> {
    // A message that comes after the close frame was queued would make Deno
    // drop the connection, and with it what the client has not yet taken.
    await this.#drained(0, closeTimeout);
    if (this.#hasEnded) return;
    this.#socket.close(code, reason);
    const timer = setTimeout(() => {
      this.#end(code, reason, "server");
    }, closeTimeout);
    await this.#ended.promise;
    clearTimeout(timer);
  }

  /**
   * Waits until no more than `level` bytes wait to be sent, the WebSocket has
   * ended, or nothing was sent for `patience` milliseconds.
   *
   * There is no event for it. A turn of the event loop costs least and is what
   * a fast client needs; a slow one is looked at every few milliseconds.
   */
  async #drained(level: number, patience: number): Promise<void> {
    let amount = this.#socket.bufferedAmount;
    let turns = 0;
    let waited = 0;
    while (amount > level && !this.#hasEnded && waited < patience) {
      if (turns < 8) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      } else {
        const milliseconds = Math.min(turns - 7, 10);
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        waited += milliseconds;
      }
      const now = this.#socket.bufferedAmount;
      turns = now < amount ? 0 : turns + 1;
      if (now < amount) waited = 0;
      amount = now;
    }
  }

  #receive(data: string | ArrayBuffer): void {
    const { maxMessage, maxBuffer } = this.#limits;
    const queue = this.#queue;
    if (queue === undefined || this.#hasEnded) return;
    // A UTF-16 unit is one to three bytes of UTF-8.
    const message = typeof data === "string"
      ? data.length * 3 > maxMessage ? encoder.encode(data) : data
      : new Uint8Array(data);
    if (message.length > maxMessage) {
      this.#giveUp(1009, `message exceeds ${maxMessage} bytes`);
    } else {
      queue.push(message);
      if (queue.waiting > maxBuffer) {
        this.#giveUp(1013, `more than ${maxBuffer} bytes wait for the peer`);
      }
    }
  }

  /** Ends the WebSocket without waiting for anything. */
  #giveUp(code: number, reason: string): void {
    this.#socket.close(code, reason);
    this.#queue?.clear();
    this.#end(code, reason, "server");
  }

  /** It comes twice after a ping was not answered. */
  async #onClose({ code, reason }: CloseEvent): Promise<void> {
    this.#accepted?.abandon();
    this.#accepted = undefined;
    if (this.#hasEnded || this.#handler === undefined) return;
    if (this.#closing !== undefined) {
      this.#end(this.#closing.code, this.#closing.reason, "server");
      return;
    }
    this.#hasEnded = true;
    this.#ended.resolve();
    this.#handler.ending();
    await this.#queue!.empty;
    if (code === 1001 && this.#error !== "") {
      this.#handler.end({ code, reason: this.#error, by: "server" });
    } else if (code === 0) {
      this.#handler.end({ code: 1006, reason: this.#error, by: "client" });
    } else {
      this.#handler.end({ code, reason, by: "client" });
    }
  }

  #end(code: number, reason: string, by: "client" | "server"): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#ended.resolve();
    this.#handler!.end({ code, reason, by });
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
