/**
 * What encrypts and decrypts below `node:tls`, without its streams: bytes in,
 * bytes out.
 *
 * @module
 */

import process from "node:process";
import { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";

/** A certificate and its key, as the codec reads them. */
export type CodecContext = Readonly<Record<string, unknown>>;

/** Receives what a codec says, while bytes are given to it. */
export interface CodecHandler {
  /**
   * Called when a client has said hello.
   *
   * @param name The name that it asks for (SNI); empty: none.
   * @returns What it is shown.
   */
  onHello(name: string): CodecContext;
  /** Called after the handshake. */
  onSecure(): void;
  /**
   * Called with what was decrypted.
   *
   * @param bytes The bytes; their memory is reused after the call.
   */
  onData(bytes: Uint8Array): void;
  /** Called when the client has ended its side. */
  onEnd(): void;
  /** Called when a handshake has failed, or a record was not valid. */
  onError(error: Error): void;
}

/** What was encrypted. */
export type Records = Uint8Array<ArrayBuffer>;

/** The server's side of a TLS connection. */
export interface TlsCodec {
  /** Decrypts what the client sent. */
  receive(bytes: Uint8Array): void;
  /** Encrypts bytes; returns 0 on success. */
  writeBuffer(request: object, bytes: Uint8Array): number;
  /** Adds our end. */
  shutdown(request: object): number;
  /** Takes what is to be sent. */
  drainEncOut(): Records;
  /** Tells the version that was agreed upon. */
  getProtocol(into: { protocol?: string }): number;
  /** The client's certificate, DER, and those after it; `null` if there is none. */
  getPeerCertificateChain(): { certificates: Uint8Array[] } | null;
  /** What is wrong with the client's certificate; empty: nothing. */
  verifyError(): string;
  /** Whether the session was begun on an earlier connection. */
  isSessionReused(): boolean;
}

/** The members of a handle of `node:tls` that are used here, too. */
interface TlsHandle extends TlsCodec {
  attachJsStream(): number;
  setHandle(handle: object): void;
  enableClientHelloCb(): void;
  useUserBuffer(memory: Uint8Array): void;
  start(): number;
  readStart(): number;
  readStop(): number;
  destroySsl(): void;
  getServername(): string | null;
  finishAccept(context: CodecContext, protocol: string): number;
}

type TlsHandleConstructor = new (kind: number, provider: number) => TlsHandle;

/** A handle with its handler. */
type HandledCodec = TlsHandle & { handler: CodecHandler };

/** What makes codecs in this version of Deno. */
interface Codecs {
  readonly Codec: new (kind: number, provider: number) => HandledCodec;
}

/** The kind of handle that is a server's side. */
const serverKind = 1;

/** The protocol of all connections (RFC 7301). */
const protocol = "http/1.1";

/**
 * Most bytes to encrypt at once: it would drop what exceeds them until the next
 * write.
 */
export const mostEncrypted = 48 * 1024;

/** Bytes of a client's hello that are looked at at once. */
const helloStep = 4096;

/** What was decrypted is put here, a piece after another. */
const plaintext = new Uint8Array(64 * 1024);

/** Passed for what has no effect. */
const nothing = {};
const noBytes = new Uint8Array();

/** Looked up at the first use; `null` if this version of Deno has none. */
let codecs: Codecs | null | undefined;

/**
 * Whether this version of Deno has codecs, which it does not document.
 *
 * @returns Whether {@linkcode createCodec} may be called.
 */
export function hasCodecs(): boolean {
  return (codecs ??= findCodecs()) !== null;
}

/**
 * Creates a codec, to which nothing was given yet.
 *
 * @param handler Receives what it says.
 * @returns The codec; the caller releases it.
 */
export function createCodec(handler: CodecHandler): TlsCodec {
  const { Codec } = (codecs ??= findCodecs())!;
  const codec = new Codec(serverKind, 0);
  codec.handler = handler;
  codec.attachJsStream();
  codec.setHandle(codec);
  codec.enableClientHelloCb();
  codec.useUserBuffer(plaintext);
  codec.start();
  codec.readStart();
  return codec;
}

/**
 * Gives the first bytes to a codec.
 *
 * @param codec The codec, whose handler has not had a hello yet.
 * @param bytes The bytes.
 */
export function receiveHello(codec: TlsCodec, bytes: Uint8Array): void {
  codec.receive(bytes);
  // It takes more only when it is given more.
  for (let rest = bytes.length; rest > helloStep; rest -= helloStep) {
    codec.receive(noBytes);
  }
}

/**
 * Encrypts bytes.
 *
 * @param codec The codec, after its handshake.
 * @param bytes The bytes.
 * @returns What is to be sent.
 */
export function encrypt(codec: TlsCodec, bytes: Uint8Array): Records {
  for (let at = 0; at < bytes.length; at += mostEncrypted) {
    codec.writeBuffer(
      nothing,
      bytes.length > mostEncrypted
        ? bytes.subarray(at, at + mostEncrypted)
        : bytes,
    );
  }
  return codec.drainEncOut();
}

/**
 * Ends our side of a codec (RFC 8446 section 6.1).
 *
 * @param codec The codec, after its handshake.
 * @returns What is to be sent.
 */
export function encryptEnd(codec: TlsCodec): Records {
  codec.shutdown(nothing);
  return codec.drainEncOut();
}

/**
 * Frees the memory of what was encrypted. Each time it is new memory, which
 * would be kept until there are many megabytes of it: bulk would cost three
 * times as much.
 *
 * @param records What was sent; it is empty from then on.
 */
export function freeRecords({ buffer }: Records): void {
  buffer.transfer(0);
}

/**
 * Releases the memory of a codec, not while it calls its handler.
 *
 * @param codec The codec, which is not used any more.
 */
export function releaseCodec(codec: TlsCodec): void {
  const handle = codec as TlsHandle;
  handle.readStop();
  // It would keep itself alive otherwise if it has had no hello.
  handle.setHandle(nothing);
  handle.destroySsl();
}

/**
 * Converts a certificate and its key.
 *
 * @param context As `node:tls` has them.
 * @param asksForCertificate Whether clients are asked for certificates.
 * @returns What a codec reads.
 */
export function toCodecContext(
  context: SecureContext,
  asksForCertificate: boolean,
): CodecContext {
  return {
    ...context.context,
    requestCert: asksForCertificate,
    // What a request needs is decided when its path is known.
    rejectUnauthorized: false,
  };
}

/** Finds them below a socket of `node:tls`. */
function findCodecs(): Codecs | null {
  const stream = new Duplex({ read(): void {} });
  const socket = new TLSSocket(stream, { isServer: true });
  socket.on("error", () => {});
  const { _handle: handle } = socket as unknown as { _handle?: TlsHandle };
  const Handle = handle?.constructor as TlsHandleConstructor | undefined;
  socket.destroy();
  const state = findState();
  const isComplete = methods.every((name) =>
    typeof Handle?.prototype[name] === "function"
  );
  return isComplete && state !== undefined
    ? { Codec: defineCodec(Handle!, state) }
    : null;
}

const methods: readonly (keyof TlsHandle)[] = [
  "attachJsStream",
  "destroySsl",
  "drainEncOut",
  "enableClientHelloCb",
  "finishAccept",
  "getPeerCertificateChain",
  "getProtocol",
  "getServername",
  "isSessionReused",
  "readStart",
  "readStop",
  "receive",
  "setHandle",
  "shutdown",
  "start",
  "useUserBuffer",
  "verifyError",
  "writeBuffer",
];

/** Finds where handles say how much they have read. */
function findState(): Int32Array | undefined {
  const { binding } = process as unknown as {
    binding?: (name: string) => { streamBaseState?: unknown };
  };
  try {
    const state = binding?.("stream_wrap").streamBaseState;
    return state instanceof Int32Array ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Its callbacks have the names that the handle calls. */
function defineCodec(
  Handle: TlsHandleConstructor,
  state: Int32Array,
): new (kind: number, provider: number) => HandledCodec {
  return class Codec extends Handle {
    declare handler: CodecHandler;

    onclienthello(): void {
      const context = this.handler.onHello(this.getServername() ?? "");
      if (this.finishAccept(context, protocol) === 0) return;
      this.handler.onError(new Error("TLS cannot be spoken with this client"));
    }

    onhandshakedone(): void {
      this.handler.onSecure();
    }

    onread(): void {
      const count = state[0]!;
      if (count > 0) this.handler.onData(plaintext.subarray(0, count));
      else this.handler.onEnd();
    }

    onerror(error: Error): void {
      this.handler.onError(error);
    }
  };
}
