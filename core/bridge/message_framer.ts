/**
 * From the bytes of a peer to messages for a client: runs a framing function,
 * owns and caps what it holds back.
 *
 * @module
 */

import type { Frame, Framer } from "../api.ts";
import { CloseError } from "../errors.ts";
import { ReadBuffer } from "../memory/read_buffer.ts";
import { largestRead } from "../memory/read_size.ts";
import { isValidUtf8 } from "../websocket/utf8.ts";
import type { OutgoingMessage, OutgoingMessages } from "../websocket/engine.ts";

/** The messages that a read has completed. */
export interface FramedRead extends OutgoingMessages {
  /** Why nothing can be framed any more; the messages are those before. */
  readonly failure?: CloseError | undefined;
}

/** What the bridge needs of a framer, wherever that runs. */
export interface StreamFramer {
  /**
   * Offers room for the next read. What was given before is no longer valid.
   *
   * @param minimum The least room that will do, in bytes.
   */
  room(minimum: number): Uint8Array<ArrayBuffer>;
  /**
   * Frames what was read into the room offered last.
   *
   * @param count Number of bytes read; 0 only for an empty datagram.
   */
  push(count: number): FramedRead | Promise<FramedRead>;
  /** Gives what is held back, as a last message, at the end of the peer's stream. */
  end(): FramedRead | Promise<FramedRead>;
  /** Releases what the framing function holds. A second call does nothing. */
  close(): void;
}

/** Options for {@linkcode MessageFramer}. */
export interface MessageFramerOptions {
  /** Most bytes that the framing function may hold back. */
  readonly maxMessage: number;
}

const nothing: FramedRead = { data: new Uint8Array(0), messages: [] };

/** Runs a framing function over what is read from one peer. */
export class MessageFramer implements StreamFramer {
  #framer: Framer;
  #maxMessage: number;
  #buffer = new ReadBuffer();
  #closed = false;

  /**
   * Constructs a new instance.
   *
   * @param framer The framing function of the connection.
   * @param options Limits.
   */
  constructor(framer: Framer, options: MessageFramerOptions) {
    this.#framer = framer;
    this.#maxMessage = options.maxMessage;
  }

  room(minimum: number): Uint8Array<ArrayBuffer> {
    return this.#buffer.room(minimum);
  }

  push(count: number): FramedRead {
    const buffer = this.#buffer;
    buffer.commit(count);
    if (count === 0 && buffer.length === 0) return this.#emptyDatagram();
    const messages: OutgoingMessage[] = [];
    let failure: CloseError | undefined;
    let hasText = false;
    try {
      while (buffer.length > 0) {
        const frame = this.#framer.frame(
          buffer.view(),
          Math.min(count, buffer.length),
        );
        if (frame === null) break;
        checkFrame(frame, buffer.length);
        const { length, type } = frame;
        const start = buffer.start;
        buffer.consume(length);
        if (type === "discard") continue;
        const text = type === "text";
        hasText ||= text;
        messages.push({ start, end: start + length, text });
      }
    } catch (error) {
      failure = new CloseError(1011, "framing function failed", {
        cause: error,
      });
    }
    if (buffer.length > this.#maxMessage) {
      failure ??= new CloseError(
        1009,
        `message from the peer exceeds ${this.#maxMessage} bytes`,
      );
    }
    const data = buffer.bytes;
    // A plain relay of much: one large message goes out from where it lies.
    if (
      count >= largestRead && messages.length === 1 && buffer.length === 0
    ) buffer.readBulk();
    return {
      data,
      messages: hasText ? demoteInvalidText(data, messages) : messages,
      // What lies before has been sent, or was never used.
      headroom: messages[0]?.start ?? 0,
      failure,
    };
  }

  end(): FramedRead {
    const { bytes: data, start, end } = this.#buffer;
    if (start === end) return nothing;
    this.#buffer.consume(end - start);
    const text = this.#framer.remainder === "text" &&
      isValidUtf8(data, start, end);
    return { data, messages: [{ start, end, text }], headroom: start };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#buffer.release();
    this.#framer.close?.();
  }

  /** No framing function can be asked about no bytes; the client gets a message like it. */
  #emptyDatagram(): FramedRead {
    const { bytes: data, start } = this.#buffer;
    return { data, messages: [{ start, end: start, text: false }] };
  }
}

/** A framing function's answer is checked, never trusted. */
function checkFrame({ length, type }: Frame, held: number): void {
  if (!Number.isInteger(length) || length < 1 || length > held) {
    throw new RangeError(
      `Cannot frame a message: the framing function answered length ${length} with ${held} bytes held`,
    );
  }
  if (type !== "text" && type !== "binary" && type !== "discard") {
    throw new TypeError(
      `Cannot frame a message: the framing function answered type "${type}"`,
    );
  }
}

/**
 * Makes binary messages of the text messages that are not valid UTF-8. Many
 * messages are checked in one go where it can be: pieces of valid UTF-8 are
 * valid if they are cut between characters.
 */
function demoteInvalidText(
  data: Uint8Array,
  messages: readonly OutgoingMessage[],
): readonly OutgoingMessage[] {
  const first = messages[0]!.start;
  const last = messages[messages.length - 1]!.end;
  const allValid = isValidUtf8(data, first, last);
  if (allValid && messages.length === 1) return messages;
  function isValid({ start, end }: OutgoingMessage): boolean {
    return allValid
      ? !isContinuation(data[start]!) &&
        (end === last || !isContinuation(data[end]!))
      : messages.length > 1 && isValidUtf8(data, start, end);
  }
  let demoted: OutgoingMessage[] | undefined;
  for (const [index, message] of messages.entries()) {
    if (!message.text || isValid(message)) continue;
    demoted ??= messages.slice();
    demoted[index] = { ...message, text: false };
  }
  return demoted ?? messages;
}

/** Whether a byte goes on with a character of UTF-8 (RFC 3629 section 3). */
function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
