/**
 * The frames of the load generator's clients: it builds those that clients
 * send, and counts those that arrive, without a look at their payload.
 *
 * @module
 */

const MASK = Uint8Array.of(0x5a, 0xc3, 0x17, 0x9e);
const CLOSE_OPCODE = 8;
/** The close frame of a client that leaves, with code 1000. */
export const CLOSE = maskedFrame(
  Uint8Array.of(1000 >> 8, 1000 & 0xff),
  CLOSE_OPCODE,
);

/** Counts what arrives from a bridge. */
export interface PayloadCounter {
  /** Bytes of payload that arrived. */
  readonly bytes: number;
  /** Messages that arrived in whole; on a plain TCP connection, reads. */
  readonly messages: number;
  /** Whether the server sent a close frame. */
  readonly closed: boolean;
  /** Takes the next bytes of the connection. */
  push(data: Uint8Array): void;
}

/**
 * Builds a binary message as a client sends it: one frame, masked.
 *
 * @param payload What it carries.
 * @param opcode Opcode of the frame, 0 to 15.
 * @returns The frame's bytes.
 */
export function maskedFrame(payload: Uint8Array, opcode = 2): Uint8Array {
  const header = frameHeader(payload.length, opcode);
  const frame = new Uint8Array(header.length + MASK.length + payload.length);
  frame.set(header);
  frame.set(MASK, header.length);
  const start = header.length + MASK.length;
  for (let i = 0; i < payload.length; i++) {
    frame[start + i] = payload[i]! ^ MASK[i & 3]!;
  }
  return frame;
}

/** Counts the bytes of a connection that has no frames. */
export class ByteCounter implements PayloadCounter {
  bytes = 0;
  messages = 0;
  readonly closed = false;

  push(data: Uint8Array): void {
    this.bytes += data.length;
    this.messages++;
  }
}

/** Counts a server's data frames, and skips over their payload. */
export class FrameCounter implements PayloadCounter {
  bytes = 0;
  messages = 0;
  closed = false;
  /** Bytes of the current frame's payload that are still to come. */
  #rest = 0;
  /** Whether the current frame ends a data message. */
  #final = false;
  #data = false;
  /** The start of a header that a read cut in two. */
  readonly #cut = new Uint8Array(10);
  #cutLength = 0;

  push(data: Uint8Array): void {
    let at = 0;
    while (at < data.length) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, data.length - at);
        at += taken;
        this.#take(taken);
      } else if (this.#cutLength > 0 || data.length - at < 10) {
        // Byte by byte, as this happens at most once in a read.
        this.#cut[this.#cutLength++] = data[at++]!;
        if (this.#cutLength === headerLength(this.#cut, 0, this.#cutLength)) {
          this.#cutLength = 0;
          this.#begin(this.#cut, 0);
        }
      } else {
        const length = headerLength(data, at, 2);
        this.#begin(data, at);
        at += length;
      }
    }
  }

  #begin(data: Uint8Array, at: number): void {
    const opcode = data[at]! & 0x0f;
    this.#data = opcode < CLOSE_OPCODE;
    this.#final = this.#data && (data[at]! & 0x80) !== 0;
    if (opcode === CLOSE_OPCODE) this.closed = true;
    const short = data[at + 1]! & 0x7f;
    let length = short;
    if (short >= 126) {
      length = 0;
      const size = short === 126 ? 2 : 8;
      for (let i = 0; i < size; i++) length = length * 256 + data[at + 2 + i]!;
    }
    this.#rest = length;
    if (length === 0) this.#take(0);
  }

  #take(length: number): void {
    this.#rest -= length;
    if (this.#data) this.bytes += length;
    if (this.#rest === 0 && this.#final) this.messages++;
  }
}

function frameHeader(length: number, opcode: number): Uint8Array {
  const first = 0x80 | opcode;
  if (length < 126) return Uint8Array.of(first, 0x80 | length);
  const header = new Uint8Array(length < 65536 ? 4 : 10);
  const view = new DataView(header.buffer);
  header[0] = first;
  header[1] = 0x80 | (length < 65536 ? 126 : 127);
  if (length < 65536) view.setUint16(2, length);
  else view.setBigUint64(2, BigInt(length));
  return header;
}

/** Length of a server's frame header, or 0 if too few of its bytes have arrived. */
function headerLength(data: Uint8Array, at: number, known: number): number {
  if (known < 2) return 0;
  const short = data[at + 1]! & 0x7f;
  return short < 126 ? 2 : short === 126 ? 4 : 10;
}
