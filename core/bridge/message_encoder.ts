/**
 * Encodes the messages of a client for its peer: runs the encoding half of a
 * framing function, and limits its output.
 *
 * @module
 */

import type { Framer } from "../api.ts";
import { CloseError } from "../errors.ts";
import { giveMemory, takeAtLeast } from "../memory/buffer_pool.ts";
import type { IncomingMessages } from "../websocket/engine.ts";
import { lacksEnding } from "../websocket/protocol/ending.ts";

/** Messages as the peer gets them. */
export interface EncodedMessages extends IncomingMessages {
  /** Why no further message can be encoded; the messages are those before. */
  readonly failure?: CloseError | undefined;
}

/** What the bridge needs of an encoder, in this thread or in a plugin. */
export interface StreamEncoder {
  /**
   * Encodes messages. The bytes are valid until {@linkcode written} is called,
   * which must happen before the next call, or until the connection has ended.
   *
   * @param messages Messages of the client, in order.
   */
  encode(
    messages: IncomingMessages,
  ): EncodedMessages | Promise<EncodedMessages>;
  /** Called when the returned bytes are no longer used. */
  written(): void;
  /**
   * Bytes to append to each message that does not end with them, if it does
   * only that.
   */
  readonly append?: Uint8Array;
}

/** Options for {@linkcode openEncoder}. */
export interface MessageEncoderOptions {
  /** Most bytes that a message may have once it is encoded. */
  readonly maxMessage: number;
}

/** The part of a framer that encodes the messages of a client. */
export type Encoding = Pick<Framer, "encode" | "append">;

/**
 * Makes the encoder of a connection.
 *
 * @param framer The framing function of the connection.
 * @param options Limits.
 * @returns The encoder; `undefined` if messages go to the peer unchanged.
 * @throws {TypeError} If the framer's `encode` or `append` is malformed.
 */
export function openEncoder(
  framer: Encoding,
  { maxMessage }: MessageEncoderOptions,
): StreamEncoder | undefined {
  const { encode, append } = framer;
  if (encode !== undefined) {
    if (typeof encode !== "function") {
      throw new TypeError(
        "Cannot use the framing function: its encode is not a function",
      );
    }
    return new MessageEncoder(framer, maxMessage);
  }
  if (append === undefined) return undefined;
  if (!(append instanceof Uint8Array)) {
    throw new TypeError(
      "Cannot use the framing function: its append is not a Uint8Array",
    );
  }
  // A copy, which a plugin cannot change.
  return append.length === 0
    ? undefined
    : new MessageAppender(append.slice(), maxMessage);
}

/** Lets a framing function encode each message. */
class MessageEncoder implements StreamEncoder {
  #framer: Encoding;
  #maxMessage: number;
  #memory = none;

  constructor(framer: Encoding, maxMessage: number) {
    this.#framer = framer;
    this.#maxMessage = maxMessage;
  }

  encode({ data, ends, turns = noTurns }: IncomingMessages): EncodedMessages {
    const encoded: number[] = [];
    let failure: CloseError | undefined;
    let start = 0;
    let length = 0;
    let isText = false;
    let turn = 0;
    try {
      for (let index = 0; index < ends.length; index++) {
        if (turns[turn] === index) {
          isText = !isText;
          turn++;
        }
        const end = ends[index]!;
        const bytes = this.#framer.encode!(
          data.subarray(start, end),
          isText ? "text" : "binary",
        );
        checkEncoded(bytes, this.#maxMessage);
        // A single message is not copied.
        if (ends.length === 1) return { data: bytes, ends: [bytes.length] };
        this.#makeRoom(length, bytes.length, data.length);
        this.#memory.set(bytes, length);
        length += bytes.length;
        encoded.push(length);
        start = end;
      }
    } catch (error) {
      failure = error instanceof CloseError
        ? error
        : new CloseError(1011, "framing function failed", { cause: error });
    }
    return { data: this.#memory.subarray(0, length), ends: encoded, failure };
  }

  /**
   * Makes room for more bytes after those that are there; at first for as many
   * as the messages have.
   */
  #makeRoom(held: number, more: number, expected: number): void {
    const wanted = held + more;
    if (wanted <= this.#memory.length) return;
    const memory = takeAtLeast(
      held === 0 ? Math.max(more, expected) : 2 * wanted,
    );
    memory.set(this.#memory.subarray(0, held));
    giveMemory(this.#memory);
    this.#memory = memory;
  }

  written(): void {
    giveMemory(this.#memory);
    this.#memory = none;
  }
}

/** Appends bytes to each message that does not end with them. */
class MessageAppender implements StreamEncoder {
  readonly append: Uint8Array;
  #maxMessage: number;
  #memory = none;

  constructor(ending: Uint8Array, maxMessage: number) {
    this.append = ending;
    this.#maxMessage = maxMessage;
  }

  encode(messages: IncomingMessages): EncodedMessages {
    const { data, ends, ended } = messages;
    if (ended === true) return messages;
    const ending = this.append;
    const most = this.#maxMessage;
    const last = ending[ending.length - 1]!;
    let index = 0;
    let start = 0;
    // Messages that all end with these bytes are not copied.
    while (
      index < ends.length && ends[index]! - start <= most &&
      !lacksEnding(data, start, ends[index]!, ending)
    ) start = ends[index++]!;
    if (index === ends.length) return messages;
    const room = data.length + (ends.length - index) * ending.length;
    const memory = this.#memory = takeAtLeast(room);
    const encoded = ends.slice(0, index);
    memory.set(data.subarray(0, start));
    const from = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const to = new DataView(memory.buffer);
    let length = start;
    let failure: CloseError | undefined;
    for (; index < ends.length; index++) {
      const end = ends[index]!;
      const lacksEnd = end === start || data[end - 1] !== last ||
        lacksEnding(data, start, end, ending);
      const size = end - start + (lacksEnd ? ending.length : 0);
      if (size > most) {
        failure = tooLarge(most);
        break;
      }
      if (end - start < setLimit) copyWords(from, start, end, to, length);
      else memory.set(data.subarray(start, end), length);
      length += end - start;
      if (lacksEnd) {
        for (let at = 0; at < ending.length; at++) {
          memory[length++] = ending[at]!;
        }
      }
      encoded.push(length);
      start = end;
    }
    return { data: memory.subarray(0, length), ends: encoded, failure };
  }

  written(): void {
    giveMemory(this.#memory);
    this.#memory = none;
  }
}

const none = new Uint8Array(0);
const noTurns: readonly number[] = [];
/** From this many bytes on, `set` is faster than copying word by word. */
const setLimit = 256;

/** Copies bytes word by word, which needs no view of them as `set` does. */
function copyWords(
  source: DataView,
  start: number,
  end: number,
  target: DataView,
  to: number,
): void {
  const whole = end - (end - start & 7);
  while (start < whole) {
    target.setBigUint64(to, source.getBigUint64(start, true), true);
    start += 8;
    to += 8;
  }
  while (start < end) target.setUint8(to++, source.getUint8(start++));
}

/** Checks the answer of a framing function. */
function checkEncoded(
  bytes: unknown,
  most: number,
): asserts bytes is Uint8Array {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      "Cannot encode a message: the framing function did not answer a Uint8Array",
    );
  }
  if (bytes.length > most) throw tooLarge(most);
}

function tooLarge(most: number): CloseError {
  return new CloseError(1009, `message for the peer exceeds ${most} bytes`);
}
