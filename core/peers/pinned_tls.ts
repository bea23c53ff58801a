/**
 * TLS to a peer that is identified by its certificate itself, not by the
 * authority that has signed it. `Deno.startTls` refuses self-signed
 * certificates (as `CaUsedAsEndEntity`), so this uses `node:tls`.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { checkServerIdentity, connect, type TLSSocket } from "node:tls";
import { ConnectionDuplex } from "../net/connection_duplex.ts";
import { isVersion3, parseCertificates } from "../net/tls_trust.ts";

/** Bytes that are read at a time. */
const readSize = 64 * 1024;

/** The requirements on a peer's certificate. */
export interface Pin {
  /** SHA-256 of the certificates that the peer may have, in base64. */
  readonly fingerprints: readonly string[];
  /** The name to send (SNI); an IP address is not sent. */
  readonly name: string;
  /** Whether the certificate must be for that name, and valid today. */
  readonly isChecked: boolean;
}

/** A byte stream, as far as a peer needs it. */
export type PinnedConnection = Pick<
  Deno.Conn,
  "read" | "write" | "closeWrite" | "close"
>;

/**
 * Starts TLS with a peer. It writes no data before the peer's certificate is
 * verified.
 *
 * @param connection The connection; this function takes ownership.
 * @param pin The certificate.
 * @param signal Aborts the attempt.
 * @returns The same connection, with TLS.
 * @throws {Error} If the certificate is not the right one, the handshake fails,
 * or `signal`'s reason.
 */
export async function startPinnedTls(
  connection: Deno.TcpConn,
  pin: Pin,
  signal: AbortSignal,
): Promise<PinnedConnection> {
  const below = new Ciphertext(connection);
  const socket = connect({
    socket: below,
    servername: /^[\d.]+$|:/.test(pin.name) ? "" : pin.name,
    // The certificate is checked below. The peer's signature over the handshake
    // is verified nevertheless.
    rejectUnauthorized: false,
  });
  const stream = new TlsStream(socket, below);
  function abort(): void {
    stream.close();
  }
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await stream.secure;
    const { raw } = socket.getPeerCertificate(true);
    await checkCertificate(new Uint8Array(raw), socket, pin);
    signal.throwIfAborted();
    return stream;
  } catch (error) {
    stream.close();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function checkCertificate(
  der: Uint8Array<ArrayBuffer>,
  socket: TLSSocket,
  { fingerprints, name, isChecked }: Pin,
): Promise<void> {
  const fingerprint = await fingerprintOf(der);
  if (!fingerprints.includes(fingerprint)) {
    throw new Error(
      `the peer has another certificate: sha256/${fingerprint}`,
    );
  }
  if (!isVerifiable(der)) {
    throw new Error(
      "the peer's certificate is not of version 3, or malformed: whether the peer has its key cannot be found out; make a new one, with a name in it",
    );
  }
  if (!isChecked) return;
  const certificate = socket.getPeerCertificate(true);
  const { valid_from: from, valid_to: to } = certificate;
  const now = Date.now();
  if (!(Date.parse(from) <= now && now <= Date.parse(to))) {
    throw new Error(`the peer's certificate is valid from ${from} to ${to}`);
  }
  const mismatch = checkServerIdentity(name, certificate);
  if (mismatch !== undefined) {
    throw new Error(
      `the peer's certificate is not for "${name}": name what it is for with tls-name`,
      { cause: mismatch },
    );
  }
}

/**
 * Returns the fingerprint of a certificate.
 *
 * @param der The certificate.
 * @returns SHA-256 in base64.
 */
async function fingerprintOf(
  der: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
  return btoa(String.fromCharCode(...digest));
}

/**
 * Whether the signature over a handshake was verified with this certificate.
 * Deno (2.9) accepts any signature if the certificate is of version 1 or its
 * verifier cannot parse it: a copy of the certificate would be enough to
 * impersonate the peer.
 */
function isVerifiable(der: Uint8Array<ArrayBuffer>): boolean {
  const base64 = btoa(
    Array.from(der, (byte) => String.fromCharCode(byte)).join(""),
  );
  const pem =
    `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  try {
    // Deno parses authorities with the same verifier.
    Deno.createHttpClient({ caCerts: [pem] }).close();
  } catch {
    return false;
  }
  return isVersion3(der);
}

/**
 * Returns the fingerprints of certificates.
 *
 * @param pem The certificates.
 * @returns Their SHA-256, in base64.
 */
export async function fingerprintsOf(pem: string): Promise<string[]> {
  return await Promise.all(parseCertificates(pem).map(fingerprintOf));
}

/**
 * A connection as a Node.js stream, for TLS. Deno's TLS sockets continue to
 * read while they are paused, so this stream reads only when the peer is read.
 */
class Ciphertext extends ConnectionDuplex<Deno.TcpConn> {
  #memory = new Uint8Array(readSize);
  #isWanted = true;
  #isAsked = false;
  #isReading = false;

  constructor(connection: Deno.TcpConn) {
    super(connection);
  }

  /** Whether a read is requested now. */
  set isWanted(value: boolean) {
    this.#isWanted = value;
    if (value && this.#isAsked) this._read();
  }

  override _read(): void {
    this.#isAsked = true;
    if (this.#isReading || !this.#isWanted || this.destroyed) return;
    this.#isReading = true;
    this.#isAsked = false;
    this.conn.read(this.#memory).then((count) => {
      this.#isReading = false;
      this.push(count === null ? null : this.#memory.slice(0, count));
    }, (error) => this.destroy(error));
  }

  override _destroy(
    error: Error | null,
    done: (error?: Error | null) => void,
  ): void {
    this.conn.close();
    done(error);
  }
}

/** How a stream has ended: cleanly, or with an error. */
type StreamEnd = { readonly error: Error | undefined };

/** A TLS socket that is read only on request. */
class TlsStream implements PinnedConnection {
  /** Resolves when the handshake has completed. */
  readonly secure: Promise<void>;
  #socket: TLSSocket;
  #below: Ciphertext;
  #chunks: Uint8Array[] = [];
  #end: StreamEnd | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: TLSSocket, below: Ciphertext) {
    this.#socket = socket;
    this.#below = below;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.secure = promise;
    // A waiting caller gets the rejection; after the handshake, none waits.
    promise.catch(() => {});
    const finish = (error?: Error): void => {
      this.#end ??= { error };
      reject(error ?? new Error("the peer has closed the connection"));
      this.#wake?.();
    };
    socket.once("secureConnect", () => {
      below.isWanted = false;
      resolve();
    });
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      below.isWanted = false;
      this.#wake?.();
    });
    socket.once("end", () => finish());
    for (const stream of [socket, below]) {
      stream.on("error", finish);
      stream.once(
        "close",
        () => finish(new Deno.errors.ConnectionReset("connection closed")),
      );
    }
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#end !== undefined) {
        if (this.#end.error === undefined) return null;
        throw this.#end.error;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#below.isWanted = true;
      });
      this.#wake = undefined;
    }
    const chunk = this.#chunks[0]!;
    const count = Math.min(chunk.length, buffer.length);
    buffer.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    return count;
  }

  /** Writes in parts, so that the peer's progress is visible. */
  write(data: Uint8Array): Promise<number> {
    const part = data.subarray(0, readSize);
    return new Promise((resolve, reject) => {
      this.#socket.write(part, (error?: Error | null) => {
        if (error === null || error === undefined) resolve(part.length);
        else reject(error);
      });
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.end((error?: Error | null) => {
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    });
  }

  close(): void {
    this.#end ??= { error: new Deno.errors.BadResource("connection closed") };
    this.#socket.destroy();
    this.#below.destroy();
    this.#wake?.();
  }
}
