/**
 * Runs a framing function as the bridge does: every read goes to it with what
 * it has not taken yet, and it is asked again while it finds a message.
 *
 * @module
 */

import type { Framer } from "../../core/api.ts";

/** A message that a framing function has found. */
export interface FramedMessage {
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** The type that the framing function answered. */
  readonly type: string;
}

/** What {@linkcode runFramer} gives. */
export interface FramerRun {
  /** The messages, in order. */
  readonly messages: readonly FramedMessage[];
  /** What was held back at the end. */
  readonly rest: Uint8Array;
}

/** What {@linkcode runFramerAsText} gives. */
export interface FramerTextRun {
  /** The messages, in order, decoded as UTF-8. */
  readonly messages: readonly string[];
  /** Their types. */
  readonly types: readonly string[];
  /** What was held back at the end, decoded as UTF-8. */
  readonly rest: string;
}

/** Gives a framer chunk after chunk. */
export function runFramer(
  framer: Framer,
  chunks: Iterable<Uint8Array>,
): FramerRun {
  const messages: FramedMessage[] = [];
  let buffer = new Uint8Array(1024);
  let start = 0;
  let end = 0;
  for (const chunk of chunks) {
    const needed = end - start + chunk.length;
    if (end + chunk.length > buffer.length) {
      const larger = new Uint8Array(Math.max(buffer.length, needed * 2));
      larger.set(buffer.subarray(start, end));
      buffer = larger;
      end -= start;
      start = 0;
    }
    buffer.set(chunk, end);
    end += chunk.length;
    while (end > start) {
      const held = end - start;
      const frame = framer.frame(
        buffer.subarray(start, end),
        Math.min(chunk.length, held),
      );
      if (frame === null) break;
      if (
        !Number.isInteger(frame.length) || frame.length < 1 ||
        frame.length > held
      ) {
        throw new RangeError(`Length ${frame.length} of ${held} bytes`);
      }
      const { length, type, message } = frame;
      if (type !== "discard") {
        const part = buffer.slice(
          start + (frame.start ?? 0),
          start + (frame.end ?? length),
        );
        messages.push({ bytes: message?.slice() ?? part, type });
      }
      start += length;
    }
  }
  return { messages, rest: buffer.slice(start, end) };
}

/** Like {@linkcode runFramer}, with what came out as text. */
export function runFramerAsText(
  framer: Framer,
  chunks: Iterable<Uint8Array>,
): FramerTextRun {
  const { messages, rest } = runFramer(framer, chunks);
  return {
    messages: messages.map(({ bytes }) => decode(bytes)),
    types: messages.map(({ type }) => type),
    rest: decode(rest),
  };
}

/** Encodes text as UTF-8. */
export function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Decodes UTF-8; bytes that are none become U+FFFD. */
export function decode(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Cuts bytes into pieces of one size. */
export function* cutEvery(
  bytes: Uint8Array,
  size: number,
): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.subarray(start, start + size);
  }
}

/** All ways to cut bytes: whole, in two at each place, and in pieces of 1 to 8 bytes. */
export function* cutEverywhere(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes];
  for (let place = 1; place < bytes.length; place++) {
    yield [bytes.subarray(0, place), bytes.subarray(place)];
  }
  for (let size = 1; size <= 8; size++) yield [...cutEvery(bytes, size)];
}
