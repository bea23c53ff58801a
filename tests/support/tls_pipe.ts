/**
 * A connection with TLS that goes over no network, so that a test decides in
 * which pieces its bytes arrive. The client's side is that of `node:tls`.
 *
 * @module
 */

import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

/** Options for {@linkcode TlsPipe}. */
export interface TlsPipeOptions {
  /**
   * Most bytes that the server reads or writes at once.
   *
   * @default {Infinity}
   */
  readonly most?: number;
  /** What the client does differently. */
  readonly client?: ConnectionOptions;
}

/** Both ends of a connection. */
export class TlsPipe {
  /** The client, which begins at once. */
  readonly client: TLSSocket;
  /** The server's end, without TLS, for what takes a `Deno.Conn`. */
  readonly connection: Deno.Conn;
  /** Whether the server has closed its end. */
  isClosed = false;
  /** Bytes that the server has written. */
  written = 0;
  #arrived: (Uint8Array | null)[] = [];
  #wanted: (() => void) | undefined;
  #lower: Duplex;

  /**
   * Constructs a new instance.
   *
   * @param options How it is cut, and what the client wants.
   */
  constructor({ most = Infinity, client = {} }: TlsPipeOptions = {}) {
    this.#lower = new Duplex({
      read(): void {},
      write: (chunk: Uint8Array, _encoding, done): void => {
        this.arrive(chunk.slice());
        done();
      },
    });
    this.connection = {
      remoteAddr: { transport: "tcp", hostname: "::ffff:1.2.3.4", port: 5 },
      localAddr: { transport: "tcp", hostname: "::1", port: 6 },
      read: (buffer: Uint8Array) =>
        this.#read(buffer.subarray(0, Math.min(most, buffer.length))),
      write: (bytes: Uint8Array) => {
        if (this.isClosed) return Promise.reject(new Deno.errors.BadResource());
        const part = bytes.slice(0, Math.min(most, bytes.length));
        this.written += part.length;
        this.#lower.push(part);
        return Promise.resolve(part.length);
      },
      closeWrite: () => {
        this.#lower.push(null);
        return Promise.resolve();
      },
      close: (): void => {
        this.isClosed = true;
        this.#lower.push(null);
        this.#wanted?.();
      },
    } as unknown as Deno.Conn;
    this.client = connect({
      socket: this.#lower,
      rejectUnauthorized: false,
      ...client,
    });
    this.client.on("error", () => {});
  }

  /**
   * Lets bytes arrive at the server as they are.
   *
   * @param bytes The bytes; `null`: the end, without one of TLS.
   */
  arrive(bytes: Uint8Array | null): void {
    this.#arrived.push(bytes);
    this.#wanted?.();
  }

  /**
   * Sends bytes from the client, in records of their own.
   *
   * @param bytes The bytes.
   * @returns A promise that resolves when they are on their way.
   */
  async send(bytes: Uint8Array): Promise<void> {
    // Deno's client would drop more of one write when it ends.
    const most = 32 * 1024;
    for (let at = 0; at < bytes.length; at += most) {
      await new Promise<void>((resolve) => {
        this.client.write(bytes.slice(at, at + most), () => resolve());
      });
    }
  }

  async #read(buffer: Uint8Array): Promise<number | null> {
    while (this.#arrived.length === 0 && !this.isClosed) {
      await new Promise<void>((resolve) => this.#wanted = resolve);
    }
    if (this.isClosed) throw new Deno.errors.Interrupted();
    const piece = this.#arrived.shift()!;
    if (piece === null) {
      this.#arrived.unshift(null);
      return null;
    }
    const count = Math.min(piece.length, buffer.length);
    buffer.set(piece.subarray(0, count));
    if (count < piece.length) this.#arrived.unshift(piece.subarray(count));
    return count;
  }
}
