/**
 * Frames as a client sends them, valid or not: what the tests of the protocol
 * are fed. It shares no code with what it tests.
 */

import { Buffer } from "node:buffer";

/** A frame to be built. */
export interface ClientFrame {
  /** Opcode, 0 to 15. */
  readonly opcode: number;
  /** Payload before masking; a string stands for its UTF-8. */
  readonly payload?: Uint8Array | string;
  /** FIN; `true` if absent. */
  readonly final?: boolean;
  /** The three reserved bits, 0 to 7; 0 if absent. */
  readonly reserved?: number;
  /** The mask; `null`: the frame is not masked. */
  readonly mask?: readonly number[] | null;
  /** How many bytes the extended length takes: 0, 2 or 8; the fewest if absent. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** The length that the header gives; that of the payload if absent. */
  readonly length?: bigint;
}

const MASK = [0x37, 0xfa, 0x21, 0x3d];

/** Encodes a string as UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Joins byte strings. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Encodes one frame. */
export function frame(init: ClientFrame): Uint8Array {
  const { final = true, reserved = 0, mask = MASK } = init;
  const payload = typeof init.payload === "string"
    ? utf8(init.payload)
    : init.payload ?? new Uint8Array();
  const length = init.length ?? BigInt(payload.length);
  const lengthBytes = init.lengthBytes ??
    (length < 126n ? 0 : length < 65536n ? 2 : 8);
  const header = [
    (final ? 0x80 : 0) | (reserved << 4) | init.opcode,
    (mask === null ? 0 : 0x80) |
    (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127),
  ];
  for (let index = lengthBytes - 1; index >= 0; index--) {
    header.push(Number((length >> BigInt(8 * index)) & 0xffn));
  }
  header.push(...mask ?? []);
  const masked = payload.map((byte, index) =>
    mask === null ? byte : byte ^ mask[index % 4]!
  );
  return join(new Uint8Array(header), masked);
}

/** Encodes a text message as one frame. */
export function text(payload: Uint8Array | string): Uint8Array {
  return frame({ opcode: 1, payload });
}

/** Encodes a binary message as one frame. */
export function binary(payload: Uint8Array | string): Uint8Array {
  return frame({ opcode: 2, payload });
}

/** Encodes the frames of a message in fragments. */
export function fragments(
  opcode: number,
  ...payloads: readonly (Uint8Array | string)[]
): Uint8Array {
  return join(...payloads.map((payload, index) =>
    frame({
      opcode: index === 0 ? opcode : 0,
      final: index === payloads.length - 1,
      payload,
    })
  ));
}

/** Encodes a ping. */
export function ping(payload: Uint8Array | string = ""): Uint8Array {
  return frame({ opcode: 9, payload });
}

/** Encodes a pong. */
export function pong(payload: Uint8Array | string = ""): Uint8Array {
  return frame({ opcode: 10, payload });
}

/** Encodes a close frame; without a code, it has no payload. */
export function close(
  code?: number,
  reason: Uint8Array | string = "",
): Uint8Array {
  if (code === undefined) return frame({ opcode: 8 });
  const bytes = typeof reason === "string" ? utf8(reason) : reason;
  const payload = join(new Uint8Array([code >> 8, code & 0xff]), bytes);
  return frame({ opcode: 8, payload });
}

/** Bytes that repeat only after 251, so that each place of four is met. */
export function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + 3) % 251);
}

/** Printable ASCII. */
export function letters(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => 0x21 + index % 94);
}

/** Tells whether two byte strings are equal: for large ones, much faster than `assertEquals`. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
