/**
 * A WebSocket client without manners, for tests: it writes the handshake and
 * the frames by hand, does nothing by itself, and can be as slow, broken or
 * abrupt as a test needs.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { isConnectionLost } from "./lost.ts";
import { ByteReader } from "./reader.ts";
import { type ClientFrame, close, frame } from "./websocket_client_frames.ts";

/** Opcodes, RFC 6455 section 5.2. */
export const opcodes = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** A frame from the server. */
export interface ServerFrame {
  /** Opcode, 0 to 15. */
  readonly opcode: number;
  /** FIN. */
  readonly final: boolean;
  /** Its payload. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** A close frame from the server. */
export interface ServerClose {
  /** Its code; 1005 if it has none. */
  readonly code: number;
  /** Its reason. */
  readonly reason: string;
}

/** A response from the server. */
export interface RawResponse {
  /** HTTP status. */
  readonly status: number;
  /** Header fields. */
  readonly headers: Headers;
  /** The body, if it has a length. */
  readonly body: string;
}

/** What a handshake asks for. */
export interface RequestOptions {
  /**
   * Method.
   *
   * @default {"GET"}
   */
  readonly method?: string;
  /**
   * Request target, as sent.
   *
   * @default {"/"}
   */
  readonly target?: string;
  /** Header fields that replace those of a good handshake; `null`: left out; several: repeated. */
  readonly headers?: Readonly<
    Record<string, string | readonly string[] | null>
  >;
}

const key = "dGhlIHNhbXBsZSBub25jZQ==";

/** The handshake's answer to the key, RFC 6455 section 4.2.2. */
const accept = createHash("sha1")
  .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/**
 * Formats a request that opens a WebSocket.
 *
 * @param options What differs from a good one.
 */
export function formatRequest(options: RequestOptions = {}): string {
  const { method = "GET", target = "/" } = options;
  const headers: RequestOptions["headers"] = {
    Host: "bridge.test",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": key,
    ...options.headers,
  };
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) continue;
    const values = typeof value === "string" ? [value] : value;
    for (const value of values) text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}

/**
 * Sends one request over a connection of its own.
 *
 * @param port Port on 127.0.0.1.
 * @param options What is asked for.
 * @returns The response.
 */
export async function request(
  port: number,
  options: RequestOptions = {},
): Promise<RawResponse> {
  using client = await RawClient.connect(port);
  return await client.request(options);
}

/** What a client writes to and reads from: a `Deno.Conn`, or what can do the same. */
export interface RawConnection {
  /** Reads what has arrived; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes, and says how many. */
  write(data: Uint8Array): Promise<number>;
  /** Ends our side. */
  closeWrite(): Promise<void>;
  /** Gives it up. */
  close(): void;
}

/** A client on a socket. */
export class RawClient implements Disposable {
  readonly #connection: RawConnection;
  readonly #reader: ByteReader;
  #disposed = false;

  /** @param connection A connection to the server, of its own. */
  constructor(connection: RawConnection) {
    this.#connection = connection;
    this.#reader = new ByteReader(connection);
  }

  /**
   * Connects, and sends nothing.
   *
   * @param port Port on 127.0.0.1.
   * @returns The client.
   */
  static async connect(port: number): Promise<RawClient> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    return new RawClient(connection);
  }

  /**
   * Connects to a Unix socket, and sends nothing.
   *
   * @param path Its path.
   * @returns The client.
   */
  static async connectUnix(path: string): Promise<RawClient> {
    return new RawClient(await Deno.connect({ transport: "unix", path }));
  }

  /**
   * Opens a WebSocket.
   *
   * @param port Port on 127.0.0.1.
   * @param options What is asked for.
   * @returns The client.
   * @throws {Error} If the server refuses.
   */
  static async open(
    port: number,
    options: RequestOptions = {},
  ): Promise<RawClient> {
    const client = await RawClient.connect(port);
    try {
      await client.upgrade(options);
      return client;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Makes a WebSocket of the connection.
   *
   * @param options What is asked for.
   * @returns The header fields of the response.
   * @throws {Error} If the server refuses.
   */
  async upgrade(options: RequestOptions = {}): Promise<Headers> {
    const { status, headers, body } = await this.request(options);
    if (status !== 101) {
      throw new Error(`Cannot open a WebSocket: status ${status}, "${body}"`);
    }
    if (headers.get("sec-websocket-accept") !== accept) {
      throw new Error("Cannot open a WebSocket: the key's answer is wrong");
    }
    return headers;
  }

  /**
   * Sends a request and reads the response.
   *
   * @param options What is asked for.
   * @returns The response; its body if it has a length or is chunked.
   */
  async request(options: RequestOptions = {}): Promise<RawResponse> {
    await this.sendBytes(formatRequest(options));
    return await this.readResponse(options.method);
  }

  /**
   * Reads a response.
   *
   * @param method What was asked with.
   */
  async readResponse(method = "GET"): Promise<RawResponse> {
    const status = Number((await this.#reader.line()).split(" ")[1]);
    const headers = new Headers();
    for (;;) {
      const line = await this.#reader.line();
      if (line === "") break;
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const body = status === 101 || method === "HEAD"
      ? ""
      : await this.#readBody(headers);
    return { status, headers, body };
  }

  async #readBody(headers: Headers): Promise<string> {
    const decoder = new TextDecoder();
    if (headers.get("transfer-encoding") !== "chunked") {
      const length = Number(headers.get("content-length") ?? 0);
      return decoder.decode(await this.#reader.exactly(length));
    }
    let body = "";
    for (;;) {
      const length = parseInt(await this.#reader.line(), 16);
      body += decoder.decode(await this.#reader.exactly(length));
      await this.#reader.line();
      if (length === 0) return body;
    }
  }

  /**
   * Sends bytes as they are.
   *
   * @param data The bytes, or text for its UTF-8.
   */
  async sendBytes(data: Uint8Array | string): Promise<void> {
    let rest = typeof data === "string" ? encoder.encode(data) : data;
    while (rest.length > 0) {
      rest = rest.subarray(await this.#connection.write(rest));
    }
  }

  /** Sends a frame, valid or not. */
  async sendFrame(init: ClientFrame): Promise<void> {
    await this.sendBytes(frame(init));
  }

  /**
   * Sends a message in one frame: a string as text, bytes as binary.
   *
   * @param payload The message.
   */
  async send(payload: Uint8Array | string): Promise<void> {
    const opcode = typeof payload === "string" ? opcodes.text : opcodes.binary;
    await this.sendFrame({ opcode, payload });
  }

  /** Sends a close frame. */
  async sendClose(code?: number, reason?: string): Promise<void> {
    await this.sendBytes(close(code, reason));
  }

  /**
   * Reads a frame of any kind.
   *
   * @returns The frame, or `null` at the end of the connection.
   */
  async readFrame(): Promise<ServerFrame | null> {
    if (!await this.#reader.has(2)) return null;
    const [first, second] = await this.#reader.exactly(2);
    let length = second! & 0x7f;
    if (second! >= 0x80) throw new Error("The server masked a frame");
    if (length === 126) {
      length = view(await this.#reader.exactly(2)).getUint16(0);
    } else if (length === 127) {
      length = Number(view(await this.#reader.exactly(8)).getBigUint64(0));
    }
    return {
      opcode: first! & 0x0f,
      final: first! >= 0x80,
      payload: await this.#reader.exactly(length),
    };
  }

  /**
   * Reads a message in one frame. Pings before it, which come where the machine
   * is busy, are passed over.
   *
   * @returns The message: text as a string, binary as bytes.
   * @throws {Error} If something else comes.
   */
  async read(): Promise<string | Uint8Array> {
    let frame = await this.readFrame();
    while (frame?.opcode === opcodes.ping) frame = await this.readFrame();
    if (frame?.final && frame.opcode === opcodes.binary) return frame.payload;
    if (frame?.final && frame.opcode === opcodes.text) {
      return strictDecoder.decode(frame.payload);
    }
    throw new Error(`A message was to come, not ${describe(frame)}`);
  }

  /**
   * Reads a close frame.
   *
   * @throws {Error} If something else comes.
   */
  async readClose(): Promise<ServerClose> {
    const frame = await this.readFrame();
    if (frame?.opcode !== opcodes.close) {
      throw new Error(`A close frame was to come, not ${describe(frame)}`);
    }
    return parseClose(frame.payload);
  }

  /**
   * Reads, and drops, what comes before the end.
   *
   * @returns The close frame, or `null` if the connection ends without one, by
   * a reset too.
   */
  async readToClose(): Promise<ServerClose | null> {
    try {
      for (;;) {
        const frame = await this.readFrame();
        if (frame === null) return null;
        if (frame.opcode === opcodes.close) return parseClose(frame.payload);
      }
    } catch (error) {
      if (isConnectionLost(error)) return null;
      throw error;
    }
  }

  /**
   * Waits for the end of the connection.
   *
   * @throws {Error} If the server sends something before.
   */
  async readEnd(): Promise<void> {
    try {
      const frame = await this.readFrame();
      if (frame !== null) {
        throw new Error(`The end was to come, not ${describe(frame)}`);
      }
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
    }
  }

  /** Sends nothing more, but goes on reading. */
  async closeWrite(): Promise<void> {
    await this.#connection.closeWrite();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#connection.close();
  }
}

/**
 * Opens a WebSocket whose connection can be reset, and that reads nothing more
 * than the handshake.
 *
 * @param port Port on 127.0.0.1.
 * @returns The socket.
 */
export async function openResettable(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(formatRequest());
  const head: Buffer = await new Promise((resolve) =>
    socket.once("data", resolve)
  );
  if (!head.toString("latin1").startsWith("HTTP/1.1 101 ")) {
    socket.destroy();
    throw new Error("Cannot open a WebSocket");
  }
  return socket;
}

/**
 * Builds a binary message in one frame, masked word by word: for bulk.
 *
 * @param payload Its length is a multiple of four.
 * @param mask The mask's four bytes, as a word in the machine's order.
 */
export function bulkFrame(
  payload: Uint8Array<ArrayBuffer>,
  mask: number,
): Uint8Array<ArrayBuffer> {
  const header = frame({
    opcode: opcodes.binary,
    length: BigInt(payload.length),
    mask: [...new Uint8Array(Uint32Array.of(mask).buffer)],
  });
  const words = new Uint32Array(
    payload.slice().buffer,
    0,
    payload.length / 4,
  );
  for (let index = 0; index < words.length; index++) words[index]! ^= mask;
  const bytes = new Uint8Array(header.length + payload.length);
  bytes.set(header);
  bytes.set(new Uint8Array(words.buffer), header.length);
  return bytes;
}

function parseClose(payload: Uint8Array<ArrayBuffer>): ServerClose {
  return payload.length === 0 ? { code: 1005, reason: "" } : {
    code: view(payload).getUint16(0),
    reason: strictDecoder.decode(payload.subarray(2)),
  };
}

function describe(frame: ServerFrame | null): string {
  if (frame === null) return "the end of the connection";
  const { opcode, final, payload } = frame;
  const start = new TextDecoder().decode(payload.subarray(0, 100));
  return `opcode ${opcode}, FIN ${final}, ${payload.length} bytes: ${
    JSON.stringify(start)
  }`;
}

function view(bytes: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", {
  fatal: true,
  ignoreBOM: true,
});
