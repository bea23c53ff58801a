/**
 * The frames that a server sends, as bytes: RFC 6455 section 5. They are not
 * masked (section 5.1) and not fragmented (section 5.4).
 *
 * @module
 */

import { joinBytes } from "../../memory/join_bytes.ts";
import type { OutgoingMessages } from "../engine.ts";
import type { MessageCompression } from "./compression.ts";

/** The frame continues a message: an opcode of RFC 6455 section 5.2, as the next ones. */
export const OPCODE_CONTINUATION = 0x0;
/** The frame starts a text message, section 5.6. */
export const OPCODE_TEXT = 0x1;
/** The frame starts a binary message, section 5.6. */
export const OPCODE_BINARY = 0x2;
/** The frame closes the connection, section 5.5.1. */
export const OPCODE_CLOSE = 0x8;
/** The frame asks for an answer, section 5.5.2. */
export const OPCODE_PING = 0x9;
/** The frame answers a ping, section 5.5.3. */
export const OPCODE_PONG = 0xa;

/** Most bytes that the payload of a control frame has, RFC 6455 section 5.5. */
export const MAX_CONTROL_PAYLOAD = 125;

/** RSV1: the frame begins a message that is compressed, RFC 7692 section 6. */
export const RSV1 = 0x40;

/** FIN: the frame is the last one of its message, RFC 6455 section 5.2. */
const FINAL = 0x80;

/** From this many bytes on, `set` costs less than copying word by word. */
const SET_LIMIT = 256;

/**
 * Encodes messages as one buffer that holds a frame for each, so that many
 * small ones cost a single write. For a large one see {@linkcode encodeInPlace}.
 *
 * @param messages The messages; those that are text have to be valid UTF-8.
 * @returns The frames, one after another; empty if there are no messages.
 *
 * @example Usage
 * ```ts
 * import { encodeMessages } from "./frames.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const data = new TextEncoder().encode("Hello");
 * const messages = [{ start: 0, end: 5, text: true }];
 * assertEquals(
 *   encodeMessages({ data, messages }),
 *   new Uint8Array([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
 * );
 * ```
 */
export function encodeMessages(messages: OutgoingMessages): Uint8Array {
  const { data } = messages;
  let size = 0;
  for (const { start, end } of messages.messages) {
    size += headerSize(end - start) + end - start;
  }
  const frames = new Uint8Array(size);
  const from = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const to = new DataView(frames.buffer);
  let offset = 0;
  for (const { start, end, text } of messages.messages) {
    const length = end - start;
    offset = writeHeader(
      frames,
      offset,
      text ? OPCODE_TEXT : OPCODE_BINARY,
      length,
    );
    if (length < SET_LIMIT) {
      copyWords(from, start, to, offset, length);
    } else {
      frames.set(data.subarray(start, end), offset);
    }
    offset += length;
  }
  return frames;
}

/**
 * Encodes messages as {@linkcode encodeMessages} does, each compressed where that
 * makes it smaller.
 *
 * @param messages The messages; those that are text have to be valid UTF-8.
 * @param compression What compresses them.
 * @returns The frames, one after another.
 */
export function encodeCompressed(
  { data, messages }: OutgoingMessages,
  compression: MessageCompression,
): Uint8Array {
  // What compressing needs beyond the message itself, of the last one.
  let most = 4;
  for (const { start, end } of messages) {
    most += headerSize(end - start) + end - start;
  }
  const frames = new Uint8Array(most);
  let offset = 0;
  for (const message of messages) {
    const { start, end, text } = message;
    const opcode = text ? OPCODE_TEXT : OPCODE_BINARY;
    const payload = offset + headerSize(end - start);
    const size = compression.compress(data, message, frames, payload);
    if (size < 0) {
      writeHeader(frames, offset, opcode, end - start);
      frames.set(data.subarray(start, end), payload);
      offset = payload + end - start;
    } else {
      offset = writeHeader(frames, offset, RSV1 | opcode, size);
      if (offset < payload) {
        frames.copyWithin(offset, payload, payload + size);
      }
      offset += size;
    }
  }
  // What waits to be sent keeps no room that it does not need.
  return offset < most / 2
    ? frames.slice(0, offset)
    : frames.subarray(0, offset);
}

/**
 * Encodes the only message of some as a frame where it lies: its header is
 * written into the bytes before it.
 *
 * @param messages A single message; if it is text, it has to be valid UTF-8.
 * @returns The frame, a part of `messages.data`; `undefined` if there is no room
 * for its header.
 *
 * @example Usage
 * ```ts
 * import { encodeInPlace } from "./frames.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const data = new Uint8Array([0, 0, 0x48, 0x69]);
 * const messages = [{ start: 2, end: 4, text: true }];
 * assertEquals(
 *   encodeInPlace({ data, messages, headroom: 2 }),
 *   new Uint8Array([0x81, 0x02, 0x48, 0x69]),
 * );
 * ```
 */
export function encodeInPlace(
  { data, messages, headroom = 0 }: OutgoingMessages,
): Uint8Array | undefined {
  const { start, end, text } = messages[0]!;
  const size = headerSize(end - start);
  if (size > headroom) return undefined;
  const opcode = text ? OPCODE_TEXT : OPCODE_BINARY;
  writeHeader(data, start - size, opcode, end - start);
  return data.subarray(start - size, end);
}

/**
 * Encodes a close frame, RFC 6455 section 5.5.1.
 *
 * @param code Close code, section 7.4. 1005, which says that there is none
 * (section 7.1.5), makes a frame without a payload; so do 1006 and 1015, which
 * never go over the wire (section 7.4.1).
 * @param reason Why; what goes beyond 123 bytes of UTF-8 is cut off, between
 * two characters.
 * @returns The frame.
 *
 * @example Usage
 * ```ts
 * import { encodeClose } from "./frames.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeClose(1000, ""), new Uint8Array([0x88, 2, 0x03, 0xe8]));
 * assertEquals(encodeClose(1005, ""), new Uint8Array([0x88, 0]));
 * ```
 */
export function encodeClose(code: number, reason: string): Uint8Array {
  if (code === 1005 || code === 1006 || code === 1015) {
    return encodeControl(OPCODE_CLOSE, new Uint8Array());
  }
  const text = new TextEncoder().encode(cutReason(reason));
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >>> 8;
  payload[1] = code;
  payload.set(text, 2);
  return encodeControl(OPCODE_CLOSE, payload);
}

/**
 * Cuts a close reason to what a close frame has room for, RFC 6455 section 5.5.
 *
 * @param reason The reason.
 * @returns What of it goes into 123 bytes of UTF-8, cut between two characters.
 *
 * @example Usage
 * ```ts
 * import { cutReason } from "./frames.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(cutReason("€".repeat(100)), "€".repeat(41));
 * ```
 */
export function cutReason(reason: string): string {
  const room = new Uint8Array(MAX_CONTROL_PAYLOAD - 2);
  const { read } = new TextEncoder().encodeInto(reason, room);
  return reason.slice(0, read);
}

/**
 * Encodes a ping, RFC 6455 section 5.5.2.
 *
 * @param data What the client is to send back; at most 125 bytes.
 * @returns The frame.
 * @throws {RangeError} If `data` is longer than that.
 *
 * @example Usage
 * ```ts
 * import { encodePing } from "./frames.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodePing(new Uint8Array([7])), new Uint8Array([0x89, 1, 7]));
 * ```
 */
export function encodePing(data: Uint8Array): Uint8Array {
  return encodeControl(OPCODE_PING, data);
}

/**
 * Encodes pongs, the answers to pings, RFC 6455 section 5.5.3.
 *
 * @param payloads What came with each ping; at most 125 bytes.
 * @returns The frames, one after another.
 * @throws {RangeError} If one of `payloads` is longer than that.
 *
 * @example Usage
 * ```ts
 * import { encodePongs } from "./frames.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   encodePongs([new Uint8Array([7]), new Uint8Array()]),
 *   new Uint8Array([0x8a, 1, 7, 0x8a, 0]),
 * );
 * ```
 */
export function encodePongs(payloads: readonly Uint8Array[]): Uint8Array {
  const frames = payloads.map((data) => encodeControl(OPCODE_PONG, data));
  return frames.length === 1 ? frames[0]! : joinBytes(frames);
}

/** Encodes a control frame, RFC 6455 section 5.5. */
function encodeControl(opcode: number, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_CONTROL_PAYLOAD) {
    throw new RangeError(
      `Cannot encode a control frame: its payload has ${payload.length} bytes, and ${MAX_CONTROL_PAYLOAD} are the most`,
    );
  }
  const frame = new Uint8Array(2 + payload.length);
  frame[0] = FINAL | opcode;
  frame[1] = payload.length;
  frame.set(payload, 2);
  return frame;
}

/** The length of a frame's header without a mask, in bytes. */
function headerSize(length: number): number {
  return length < 126 ? 2 : length < 0x1_0000 ? 4 : 10;
}

/**
 * Writes the header of a message that is one frame; the length takes the
 * fewest bytes that hold it, as RFC 6455 section 5.2 demands. Returns the
 * offset after it.
 */
function writeHeader(
  bytes: Uint8Array,
  offset: number,
  opcode: number,
  length: number,
): number {
  bytes[offset] = FINAL | opcode;
  if (length < 126) {
    bytes[offset + 1] = length;
    return offset + 2;
  }
  if (length < 0x1_0000) {
    bytes[offset + 1] = 126;
    bytes[offset + 2] = length >>> 8;
    bytes[offset + 3] = length;
    return offset + 4;
  }
  bytes[offset + 1] = 127;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset + 2, 8);
  view.setBigUint64(0, BigInt(length));
  return offset + 10;
}

/** Copies few bytes: word by word, which needs no view of them as `set` does. */
function copyWords(
  source: DataView,
  from: number,
  target: DataView,
  to: number,
  length: number,
): void {
  let end = from + (length & ~7);
  while (from < end) {
    target.setInt32(to, source.getInt32(from, true), true);
    target.setInt32(to + 4, source.getInt32(from + 4, true), true);
    from += 8;
    to += 8;
  }
  end = from + (length & 7);
  while (from < end) target.setUint8(to++, source.getUint8(from++));
}
