/**
 * A client's connection with TLS.
 *
 * @module
 */

import { giveMemory, headroom, takeMemory } from "../../memory/buffer_pool.ts";
import { ReadSize } from "../../memory/read_buffer.ts";
import type { ClientCertificate } from "../engine.ts";
import type { ClientAuthorities } from "./client_certificate.ts";
import type { ClientConnection } from "./client_connection.ts";
import {
  type CodecContext,
  type CodecHandler,
  createCodec,
  encrypt,
  encryptEnd,
  freeRecords,
  mostEncrypted,
  receiveHello,
  type Records,
  releaseCodec,
  type TlsCodec,
} from "./tls_codec.ts";

/** Most bytes that a write takes. */
const mostWritten = 4 * mostEncrypted;

/** Most bytes that are read at once of the connection below. */
const mostRead = 256 * 1024;

const nothing = new Uint8Array();

/** What clients are shown, and asked for. */
export interface TlsSettings {
  /** Finds the certificate for the name that a client asks for (SNI); empty: none. */
  readonly contextFor: (name: string) => CodecContext;
  /** Clients are asked for certificates of these; absent: for none. */
  readonly authorities?: ClientAuthorities | undefined;
}

/**
 * The state from the first byte on. From every state, `close()` leads to
 * `closed`.
 *
 * ```
 * handshake ── it is done ──► open ── the client has ended its side ──► ended
 *     └────── a fault ──────────┴──► failed
 * ```
 */
type State = "handshake" | "open" | "ended" | "failed" | "closed";

/** What is being sent. */
type Sending =
  /** Nothing is. */
  | "idle"
  /** A write is. */
  | "writing"
  /** Our end is sent, or is being sent. */
  | "ended";

/**
 * A connection with TLS, which is read and written as one without: one read and
 * one write at a time. It reads no more than was asked for from the connection
 * below.
 */
export class TlsConnection implements ClientConnection, CodecHandler {
  readonly remoteAddr: Deno.Addr;
  readonly localAddr: Deno.Addr;
  #connection: Deno.Conn;
  #settings: TlsSettings;
  #codec: TlsCodec = createCodec(this);
  #certificate: ClientCertificate | undefined;
  #state: State = "handshake";
  #hasHello = false;
  #sending: Sending = "idle";
  #error: Error | undefined;
  #readSize = new ReadSize(mostRead);
  /** Where a read wants its bytes, and how many it has. */
  #target: Uint8Array = nothing;
  #filled = 0;
  /** What was decrypted and did not fit. */
  #rest: Uint8Array = nothing;

  /**
   * Constructs a new instance.
   *
   * @param connection The connection below, which it owns from then on.
   * @param settings What the client is shown.
   */
  constructor(connection: Deno.Conn, settings: TlsSettings) {
    this.#connection = connection;
    this.#settings = settings;
    this.remoteAddr = connection.remoteAddr;
    this.localAddr = connection.localAddr;
  }

  /** The certificate that the client has shown. */
  get certificate(): ClientCertificate | undefined {
    return this.#certificate;
  }

  /**
   * Performs the handshake.
   *
   * @param memory Memory to read into, and what was read already.
   * @param length How much that is.
   * @returns Whether it was successful; otherwise the caller closes the
   * connection.
   */
  async open(memory: Uint8Array, length: number): Promise<boolean> {
    try {
      for (let count: number | null = length; count !== null;) {
        const bytes = memory.subarray(0, count);
        if (this.#hasHello) this.#codec.receive(bytes);
        else receiveHello(this.#codec, bytes);
        if (this.#state === "open" && this.#isWhole()) break;
        await this.#send(this.#codec.drainEncOut());
        if (this.#state !== "handshake") break;
        count = await this.#connection.read(memory);
        if (this.#state !== "handshake") break;
      }
    } catch {
      // The client has left, or it was closed.
      return false;
    }
    if (this.#state !== "open") return false;
    this.#certificate = this.#settings.authorities?.read(this.#codec);
    return true;
  }

  read(target: Uint8Array): Promise<number | null> {
    const { length } = this.#rest;
    if (length > 0) {
      const count = Math.min(length, target.length);
      target.set(
        count < length ? this.#rest.subarray(0, count) : this.#rest,
      );
      this.#rest = count < length ? this.#rest.subarray(count) : nothing;
      return Promise.resolve(count);
    }
    this.#target = target;
    this.#filled = 0;
    return this.#readOn();
  }

  write(bytes: Uint8Array): Promise<number> {
    const part = bytes.length > mostWritten
      ? bytes.subarray(0, mostWritten)
      : bytes;
    const records = encrypt(this.#codec, part);
    if (records.length < part.length) {
      return Promise.reject(new Error("TLS cannot encrypt"));
    }
    this.#sending = "writing";
    return this.#connection.write(records).then((written) => {
      if (written < records.length) {
        return this.#send(records, written).then(() => {
          this.#sending = "idle";
          return part.length;
        });
      }
      freeRecords(records);
      this.#sending = "idle";
      return part.length;
    });
  }

  async closeWrite(): Promise<void> {
    if (this.#state === "closed") return;
    this.#sending = "ended";
    await this.#send(encryptEnd(this.#codec));
    await this.#connection.closeWrite();
  }

  close(): void {
    if (this.#state === "closed") return;
    const isEnding = (this.#state === "open" || this.#state === "ended") &&
      this.#sending === "idle";
    this.#state = "closed";
    if (isEnding) {
      // What the system has room for is sent at once. The client may be gone.
      this.#connection.write(encryptEnd(this.#codec)).catch(() => {});
    }
    this.#connection.close();
    releaseCodec(this.#codec);
    this.#readSize.release();
  }

  onHello(name: string): CodecContext {
    this.#hasHello = true;
    return this.#settings.contextFor(name);
  }

  onSecure(): void {
    this.#state = "open";
  }

  onData(bytes: Uint8Array): void {
    const room = this.#target.length - this.#filled;
    const count = Math.min(room, bytes.length);
    if (count > 0) {
      this.#target.set(
        count < bytes.length ? bytes.subarray(0, count) : bytes,
        this.#filled,
      );
      this.#filled += count;
    }
    if (count === bytes.length) return;
    const rest = new Uint8Array(this.#rest.length + bytes.length - count);
    rest.set(this.#rest);
    rest.set(bytes.subarray(count), this.#rest.length);
    this.#rest = rest;
  }

  onEnd(): void {
    if (this.#state === "open") this.#state = "ended";
  }

  onError(error: Error): void {
    this.#error ??= error;
    this.#state = "failed";
  }

  /** Whether the client is not waiting for what is left of the handshake. */
  #isWhole(): boolean {
    const version: { protocol?: string } = {};
    this.#codec.getProtocol(version);
    // What is left are tickets, which go out with the first bytes.
    return version.protocol === "TLSv1.3";
  }

  /** Reads of the connection below until there is something. */
  #readOn(): Promise<number | null> {
    if (this.#state === "failed") return Promise.reject(this.#error);
    if (this.#state !== "open") return Promise.resolve(null);
    const target = this.#target;
    const size = this.#readSize.bytes;
    // What is decrypted takes the place of what was read.
    if (target.length >= size) {
      return this.#connection.read(target).then((length) =>
        this.#take(target, length)
      );
    }
    const memory = takeMemory(size);
    return this.#connection.read(memory).then((length) => {
      const result = this.#take(memory, length);
      giveMemory(memory);
      return result;
    });
  }

  /** Handles what was read of the connection below. */
  #take(
    memory: Uint8Array,
    length: number | null,
  ): number | null | Promise<number | null> {
    if (length === null || this.#state !== "open") return null;
    this.#codec.receive(memory.subarray(0, length));
    this.#readSize.follow(length - headroom);
    if (this.#filled > 0) {
      this.#target = nothing;
      return this.#filled;
    }
    // Part of a record, or what is not data: an alert may be the answer. The next
    // write sends it, too.
    if (this.#sending !== "idle") return this.#readOn();
    const alert = this.#codec.drainEncOut();
    if (alert.length === 0) return this.#readOn();
    return this.#send(alert).then(() => this.#readOn());
  }

  /** Sends what was encrypted, from a place in it on. */
  async #send(records: Records, start = 0): Promise<void> {
    for (let at = start; at < records.length;) {
      at += await this.#connection.write(records.subarray(at));
    }
    freeRecords(records);
  }
}
