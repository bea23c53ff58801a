/**
 * The header of a frame from a client, RFC 6455 section 5.2.
 *
 * @module
 */

import {
  MAX_CONTROL_PAYLOAD,
  OPCODE_BINARY,
  OPCODE_TEXT,
  RSV1,
} from "./frames.ts";

/** The longest header: 2 bytes, 8 of length and 4 of mask. */
const MAX_HEADER = 14;

/** Reads the headers of frames, one after another, in pieces of any size. */
export class FrameHeader {
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
