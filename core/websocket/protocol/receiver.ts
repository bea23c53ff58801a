/**
 * The receiving side of RFC 6455 for a server: bytes in, events out.
 *
 * @module
 */

import type { IncomingMessages } from "../engine.ts";
import {
  decodeClose,
  type ProtocolFailure,
  type ReceivedClose,
} from "./close.ts";
import {
  MAX_CONTROL_PAYLOAD,
  OPCODE_BINARY,
  OPCODE_CLOSE,
  OPCODE_PING,
  OPCODE_PONG,
  OPCODE_TEXT,
  RSV1,
} from "./frames.ts";
import type { MessageCompression } from "./compression.ts";
import { rotateMask, unmask } from "./mask.ts";
import { MessageReader } from "./message_reader.ts";

const NO_BYTES = new Uint8Array();
const NO_VIEW = new DataView(NO_BYTES.buffer);

/** Options for {@linkcode Receiver}. */
export interface ReceiverOptions {
  /** The largest message that is taken, in bytes. */
  readonly maxMessage: number;
}

/** The result of one read from a client. */
export interface ReceiverEvents {
  /** The messages that are complete now, in order; each batch has at least one. */
  readonly messages: readonly IncomingMessages[];
  /**
   * The payloads of pings, each of which needs a pong as its answer. They are
   * copies. Of more than 64 pings, the first 63 and the last are answered,
   * which is enough (RFC 6455 section 5.5.3).
   */
  readonly pongs: readonly Uint8Array[];
  /** Whether a pong came. */
  readonly ponged: boolean;
  /** The client's close frame; nothing that follows it is looked at. */
  readonly close?: ReceivedClose;
  /** How the client broke the protocol; nothing that follows is looked at. */
  readonly failure?: ProtocolFailure;
}

/**
 * Checks options.
 *
 * @param options The options.
 * @throws {RangeError} If `maxMessage` is not a whole number of at least 0.
 */
export function checkReceiverOptions({ maxMessage }: ReceiverOptions): void {
  if (Number.isSafeInteger(maxMessage) && maxMessage >= 0) return;
  throw new RangeError(
    `Cannot read WebSocket frames: "maxMessage" must be a whole number of at least 0: current value is ${maxMessage}`,
  );
}

/** The longest header: 2 bytes, 8 of length and 4 of mask. */
const MAX_HEADER = 14;

/** Most pings of one read that are answered: an answer may cost more than a ping. */
const MOST_PONGS = 64;

const NO_PONGS: readonly Uint8Array[] = Object.freeze([]);

const NOTHING: ReceiverEvents = Object.freeze({
  messages: Object.freeze([]),
  pongs: NO_PONGS,
  ponged: false,
});

/**
 * Reads what a client sends on one connection, after the handshake.
 *
 * It holds what has come of an unfinished message, in up to four times as
 * much memory, and two buffers of at most 128 KiB for reuse; beside these, 14 bytes
 * of a header and 125 of a control frame at the most; see {@linkcode Receiver.trim}.
 *
 * @example A masked frame, cut in two
 * ```ts
 * import { Receiver } from "./receiver.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const receiver = new Receiver({ maxMessage: 1024 });
 * const first = receiver.receive(new Uint8Array([0x82, 0x82, 1, 2, 3, 4, 0x61]));
 * assertEquals(first.messages, []);
 * const second = receiver.receive(new Uint8Array([0x60]));
 * assertEquals(second.messages, [{ data: new Uint8Array([0x60, 0x62]), ends: [2] }]);
 * ```
 */
export class Receiver {
  readonly #header = new FrameHeader();
  readonly #messages: MessageReader;
  #over = false;
  /** The read that is interrupted, and how much of it is done. */
  #paused:
    | { readonly bytes: Uint8Array; readonly position: number }
    | undefined;

  // What is still to come of the payload that is being read, -1 between two
  // frames, and the mask for it.
  #remaining = -1;
  #mask = 0;

  // The payload of a control frame: many connections have none for hours.
  #control = NO_BYTES;
  #controlView = NO_VIEW;
  #controlLength = 0;
  #pongs: Uint8Array[] | undefined;
  #ponged = false;
  #close: ReceivedClose | undefined;

  /**
   * Constructs a new instance.
   *
   * @throws {RangeError} If `maxMessage` is not a whole number of at least 0.
   */
  constructor(options: ReceiverOptions) {
    checkReceiverOptions(options);
    this.#messages = new MessageReader(options.maxMessage);
  }

  /**
   * Whether it is between two messages, with nothing of a read to come: another
   * one could take its place.
   */
  get isIdle(): boolean {
    return this.#remaining < 0 && !this.#over && !this.isPaused &&
      !this.#header.isBegun && !this.#messages.isBegun;
  }

  /** Bytes allocated for an unfinished message and for those to come. */
  get held(): number {
    return this.#messages.held;
  }

  /**
   * Drops the buffers that are kept for reuse: for a connection that has gone
   * quiet. Messages that were handed out stay as they are.
   */
  trim(): void {
    this.#messages.trim();
  }

  /**
   * Gives memory back that others may use: nothing uses the messages any more
   * that were handed out, and the read is not {@linkcode isPaused}.
   */
  taken(): void {
    this.#messages.taken();
  }

  /**
   * Adds bytes to messages that do not end with them where that costs nothing:
   * not to all of them.
   *
   * @param ending The bytes.
   */
  addEnding(ending: Uint8Array): void {
    this.#messages.addEnding(ending);
  }

  /**
   * Takes messages that are compressed, too (RFC 7692).
   *
   * @param compression What decompresses them.
   */
  decompressWith(compression: MessageCompression): void {
    this.#header.allowsCompression = true;
    this.#messages.decompressWith(compression);
  }

  /**
   * Takes the bytes of one read.
   *
   * @param chunk The bytes. They are changed, and hold the messages: they must
   * not be changed while the messages are in use.
   * @returns What happened. Its messages are valid until the next call. After a
   * close frame or a failure, there are no further events. If the read
   * {@linkcode isPaused}, {@linkcode proceed} has to be called before the next.
   */
  receive(chunk: Uint8Array): ReceiverEvents {
    if (this.#over) return NOTHING;
    // Node's sockets return a Buffer: code that handles both classes is slower
    // with either.
    const { buffer, byteOffset, length } = chunk;
    const bytes = chunk.constructor === Uint8Array
      ? chunk
      : new Uint8Array(buffer, byteOffset, length);
    const view = new DataView(buffer, byteOffset, length);
    this.#messages.beginRead(bytes, view);
    return this.#read(bytes, 0);
  }

  /**
   * Whether the read is interrupted, as decompressing its messages takes longer
   * than others should wait.
   */
  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  /**
   * Takes some more of the read that is interrupted.
   *
   * @returns What happened, as {@linkcode receive} does.
   */
  proceed(): ReceiverEvents {
    const { bytes, position } = this.#paused!;
    this.#paused = undefined;
    this.#messages.proceed();
    if (this.#messages.failure !== undefined) this.#over = true;
    return this.#messages.pause !== undefined
      ? this.#pause(bytes, position)
      : this.#read(bytes, position);
  }

  #read(bytes: Uint8Array, position: number): ReceiverEvents {
    const { length } = bytes;
    while (!this.#over) {
      if (this.#remaining < 0) {
        position = this.#header.take(bytes, position);
        this.#startFrame(position);
        if (this.#remaining < 0) break;
      }
      const taken = Math.min(this.#remaining, length - position);
      if (taken > 0) this.#takePayload(bytes, position, taken);
      position += taken;
      if (this.#remaining > 0) break;
      this.#remaining = -1;
      this.#endFrame();
      if (this.#messages.pause !== undefined) {
        return this.#pause(bytes, position);
      }
    }
    return this.#tell(this.#messages.endRead(this.#over));
  }

  #pause(bytes: Uint8Array, position: number): ReceiverEvents {
    this.#paused = { bytes, position };
    return this.#tell(this.#messages.pauseRead());
  }

  /** Begins with the frame whose header has been read; -1: it has not. */
  #startFrame(position: number): void {
    const { opcode, final, compressed, length, mask, problem } = this.#header;
    if (problem !== undefined) {
      this.#messages.fail(1002, problem);
    } else if (position < 0) {
      return;
    } else if (opcode < OPCODE_CLOSE) {
      this.#messages.startFrame(opcode, final, compressed, length, position);
    } else {
      this.#controlLength = 0;
    }
    if (this.#messages.failure !== undefined) {
      this.#over = true;
      return;
    }
    this.#remaining = length;
    this.#mask = mask;
  }

  #takePayload(bytes: Uint8Array, position: number, length: number): void {
    if (this.#header.opcode < OPCODE_CLOSE) {
      this.#messages.takePayload(position, length, this.#mask);
    } else {
      const control = this.#roomForControl();
      for (let index = 0; index < length; index++) {
        control[this.#controlLength++] = bytes[position + index]!;
      }
    }
    this.#remaining -= length;
    if (this.#remaining > 0) this.#mask = rotateMask(this.#mask, length);
  }

  #roomForControl(): Uint8Array {
    if (this.#control.length === 0) {
      this.#control = new Uint8Array(MAX_CONTROL_PAYLOAD);
      this.#controlView = new DataView(this.#control.buffer);
    }
    return this.#control;
  }

  #endFrame(): void {
    if (this.#header.opcode < OPCODE_CLOSE) this.#messages.endFrame();
    else this.#endControl();
    if (this.#messages.failure !== undefined) this.#over = true;
  }

  /** Ends a control frame, RFC 6455 section 5.5. */
  #endControl(): void {
    // What follows a text that is not valid gets no answer.
    this.#messages.checkTexts();
    if (this.#messages.failure !== undefined) return;
    const { opcode, mask } = this.#header;
    if (opcode === OPCODE_PONG) {
      this.#ponged = true;
      return;
    }
    unmask(this.#controlView, 0, 0, this.#controlLength, mask);
    if (opcode === OPCODE_PING) {
      this.#addPing(this.#pongs ??= []);
    } else {
      const payload = this.#takeControl();
      const close = decodeClose(payload);
      if ("failure" in close) {
        this.#messages.fail(close.failure.code, close.failure.reason);
      } else {
        this.#close = close;
        this.#over = true;
      }
    }
  }

  #addPing(pings: Uint8Array[]): void {
    const last = pings[MOST_PONGS - 1];
    if (last?.length !== this.#controlLength) {
      pings[Math.min(pings.length, MOST_PONGS - 1)] = this.#takeControl();
      return;
    }
    // The pings of a flood are alike: overwriting the last one needs no memory.
    for (let index = 0; index < last.length; index++) {
      last[index] = this.#control[index]!;
    }
  }

  #takeControl(): Uint8Array {
    return this.#control.slice(0, this.#controlLength);
  }

  /** Tells what has happened, beside the messages. */
  #tell(messages: readonly IncomingMessages[]): ReceiverEvents {
    const failure = this.#messages.failure;
    const events: {
      -readonly [Key in keyof ReceiverEvents]: ReceiverEvents[Key];
    } = {
      messages,
      pongs: this.#pongs ?? NO_PONGS,
      ponged: this.#ponged,
    };
    if (this.#close !== undefined) events.close = this.#close;
    if (failure !== undefined) {
      events.failure = failure;
      this.#over = true;
    }
    this.#pongs = undefined;
    this.#ponged = false;
    return events;
  }
}

/**
 * Reads the headers of frames (RFC 6455 section 5.2), one after another, in
 * pieces of any size.
 */
class FrameHeader {
  /** Whether the frame is the last one of its message (FIN). */
  final = false;
  /** One of the opcodes that RFC 6455 defines. */
  opcode = 0;
  /** Whether the frame begins a message that is compressed (RSV1, RFC 7692 section 6). */
  compressed = false;
  /** Whether messages may be compressed. */
  allowsCompression = false;
  /** Length of the payload in bytes; not exact above 2^53. */
  length = 0;
  /** The mask as `unmask` takes it. */
  mask = 0;
  /** Why the header is not valid, in words; `undefined` as long as it is. */
  problem: string | undefined;

  /** The bytes of a header that is not whole; most connections never need them. */
  #pending: Uint8Array | undefined;
  #pendingLength = 0;

  /** Whether some bytes of a header have come, and not all. */
  get isBegun(): boolean {
    return this.#pendingLength > 0;
  }

  /**
   * Takes bytes until a header is whole. They are kept if it is not, and the
   * next call continues with those that follow.
   *
   * @param bytes What came from the client.
   * @param position Offset at which the header starts or continues.
   * @returns The offset after the header; -1 if bytes are lacking, or if there
   * is a {@linkcode problem}.
   */
  take(bytes: Uint8Array, position: number): number {
    if (this.#pendingLength === 0) {
      const end = this.#parse(bytes, position, bytes.length);
      if (end >= 0 || this.problem !== undefined) return end;
    }
    const pending = this.#pending ??= new Uint8Array(MAX_HEADER);
    while (position < bytes.length) {
      pending[this.#pendingLength++] = bytes[position++]!;
      const end = this.#parse(pending, 0, this.#pendingLength);
      if (this.problem !== undefined) return -1;
      if (end >= 0) {
        this.#pendingLength = 0;
        return position;
      }
    }
    return -1;
  }

  /** Reads the header that starts at `start`, of whose bytes those before `end` are there. */
  #parse(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < 2) return -1;
    const first = bytes[start]!;
    const second = bytes[start + 1]!;
    if ((first & 0x70) !== 0 || second < 0x80 || (first & 0x0f) > 2) {
      this.problem = describeProblem(first, second, this.allowsCompression);
      if (this.problem !== undefined) return -1;
    }
    let length = second & 0x7f;
    let position = start + 2;
    if (length >= 126) {
      position += length === 126 ? 2 : 8;
      if (end < position) return -1;
      const shortest = length === 126 ? 126 : 0x1_0000;
      length = 0;
      for (let index = start + 2; index < position; index++) {
        length = length * 0x100 + bytes[index]!;
      }
      if (length < shortest) {
        this.problem = "Length is not in the shortest form";
        return -1;
      }
      if (position === start + 10 && bytes[start + 2]! >= 0x80) {
        this.problem = "Length has its highest bit set";
        return -1;
      }
    }
    if (end < position + 4) return -1;
    this.final = first >= 0x80;
    this.compressed = (first & RSV1) !== 0;
    this.opcode = first & 0x0f;
    this.length = length;
    this.mask = bytes[position]! | bytes[position + 1]! << 8 |
      bytes[position + 2]! << 16 | bytes[position + 3]! << 24;
    return position + 4;
  }
}

/** Says what the first two bytes of a header break, if anything. */
function describeProblem(
  first: number,
  second: number,
  allowsCompression: boolean,
): string | undefined {
  const opcode = first & 0x0f;
  // No extension is ever negotiated that would give the others a meaning
  // (section 5.2), and this one only where a message begins (RFC 7692 section 6).
  const beginsMessage = opcode === OPCODE_TEXT || opcode === OPCODE_BINARY;
  const meaningful = allowsCompression && beginsMessage ? RSV1 : 0;
  if ((first & 0x70 & ~meaningful) !== 0) return "Reserved bits are set";
  if ((opcode > 2 && opcode < 8) || opcode > 10) {
    return `Opcode ${opcode} is reserved`;
  }
  // Section 5.1: the server closes the connection upon a frame that is not masked.
  if (second < 0x80) return "Frame is not masked";
  if (opcode < 8) return undefined;
  // Section 5.5: control frames have at most 125 bytes and are not fragmented.
  if (first < 0x80) return "Control frame is fragmented";
  if ((second & 0x7f) > MAX_CONTROL_PAYLOAD) {
    return `Control frame is over ${MAX_CONTROL_PAYLOAD} bytes`;
  }
  return undefined;
}
