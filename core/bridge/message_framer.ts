/**
 * Makes messages for a client from the bytes of a peer: runs a framing
 * function, and owns and limits the bytes that it holds back.
 *
 * @module
 */

import type { CreateFraming, Frame, Framer, PeerInfo } from "../api.ts";
import { CloseError } from "../errors.ts";
import { headroom, largestSize } from "../memory/buffer_pool.ts";
import { ReadBuffer } from "../memory/read_buffer.ts";
import { largestRead } from "../memory/read_buffer.ts";
import { isValidUtf8 } from "../websocket/utf8.ts";
import type { OutgoingMessage, OutgoingMessages } from "../websocket/engine.ts";
import { openEncoder, type StreamEncoder } from "./message_encoder.ts";

/** The messages that a read has completed. */
export interface FramedRead extends OutgoingMessages {
  /** Why no further message can be framed; the messages are those before. */
  readonly failure?: CloseError | undefined;
}

/** What the bridge needs of a framer, in this thread or in a plugin. */
export interface StreamFramer {
  /**
   * Returns memory for the next read. Memory and messages returned before are
   * no longer valid.
   *
   * @param minimum The least room that will do, in bytes.
   */
  room(minimum: number): Uint8Array<ArrayBuffer>;
  /**
   * Returns memory for another read whose bytes belong to those of the last
   * one. The earlier bytes may be framed while that read waits; it then counts
   * as the next read, and no other memory may be requested before it ends.
   *
   * @param count Bytes that were read and not yet framed.
   * @returns The room; `undefined` if there are so many that more need not come
   * with them.
   */
  more(count: number): Uint8Array<ArrayBuffer> | undefined;
  /**
   * Frames what was read.
   *
   * @param count Number of bytes; 0 only for an empty datagram.
   */
  push(count: number): FramedRead | Promise<FramedRead>;
  /**
   * Returns what is held back, as a last message, when the peer has ended its
   * side.
   */
  end(): FramedRead | Promise<FramedRead>;
  /**
   * Encodes the client's messages for the peer; absent: the peer gets them as
   * they are.
   */
  readonly encoder?: StreamEncoder | undefined;
  /** Releases what the framing function holds. A second call does nothing. */
  close(): void;
}

/** Options for {@linkcode MessageFramer}. */
export interface MessageFramerOptions {
  /**
   * Most bytes that the framing function may hold back, and that a message may
   * have which it makes.
   */
  readonly maxMessage: number;
}

/** The framing functions that can be used, by name. */
export type FramingTable = Readonly<
  Record<string, CreateFraming | IsolatedFraming>
>;

/** A framing function that runs in a plugin, with its own limits. */
export interface IsolatedFraming {
  /**
   * Makes the framer of a connection.
   *
   * @param config Its configuration.
   * @returns The framer.
   * @throws {Error} If it rejects its configuration, or is not available now.
   */
  open(config: string): Promise<StreamFramer>;
}

/** The framing function of a peer for which the backend names none. */
export const defaultFraming = "auto";

/**
 * Makes the framer of a connection.
 *
 * @param info The peer.
 * @param framings The framing functions.
 * @param options Limits.
 * @returns The framer.
 * @throws {TypeError} If there is no framing function of that name.
 * @throws {Error} If it rejects its configuration.
 */
export function openFramer(
  info: PeerInfo,
  framings: FramingTable,
  options: MessageFramerOptions,
): StreamFramer | Promise<StreamFramer> {
  const { framing = defaultFraming, framingConfig = "" } = info;
  const entry = Object.hasOwn(framings, framing)
    ? framings[framing]
    : undefined;
  if (entry === undefined) {
    const names = Object.keys(framings).join(", ");
    throw new TypeError(`unknown framing "${framing}"; there is ${names}`);
  }
  return typeof entry === "function"
    ? new MessageFramer(entry(framingConfig), options)
    : entry.open(framingConfig);
}

/**
 * Returns the most bytes that the messages of one read may have.
 *
 * @param maxMessage Most bytes that the framing function may hold back.
 */
export function mostFramed(maxMessage: number): number {
  // What was held back, the last read, and the messages in place of them.
  return maxMessage + largestSize + mostLarger(maxMessage);
}

const none: OutgoingMessage[] = [];
const nothing: FramedRead = { data: new Uint8Array(0), messages: none };

function added(
  messages: OutgoingMessage[],
  message: OutgoingMessage,
): OutgoingMessage[] {
  if (messages.length === 0) return [message];
  messages.push(message);
  return messages;
}

/** Runs a framing function on the bytes of one peer. */
export class MessageFramer implements StreamFramer {
  readonly encoder: StreamEncoder | undefined;
  #framer: Framer;
  #maxMessage: number;
  #buffer = new ReadBuffer();
  #closed = false;

  /**
   * Constructs a new instance.
   *
   * @param framer The framing function of the connection.
   * @param options Limits.
   * @throws {TypeError} If the framer is malformed.
   */
  constructor(framer: Framer, options: MessageFramerOptions) {
    this.#framer = framer;
    this.#maxMessage = options.maxMessage;
    if (framer.encode !== undefined || framer.append !== undefined) {
      this.encoder = openEncoder(framer, options);
    }
  }

  room(minimum: number): Uint8Array<ArrayBuffer> {
    return this.#buffer.room(minimum);
  }

  more(count: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#buffer.more(count);
  }

  /**
   * Returns the bytes that were read and are not yet framed.
   *
   * @param count Number of bytes.
   */
  fresh(count: number): Uint8Array<ArrayBuffer> {
    return this.#buffer.fresh(count);
  }

  push(count: number): FramedRead {
    const buffer = this.#buffer;
    buffer.commit(count);
    if (count === 0 && buffer.length === 0) return this.#emptyDatagram();
    const framed = this.#frame(count);
    // Bulk data without framing: one large message is not copied.
    if (
      count >= largestRead && framed.messages.length === 1 &&
      buffer.length === 0
    ) buffer.readBulk();
    if (framed.failure !== undefined || buffer.length <= this.#maxMessage) {
      return framed;
    }
    const why = `message from the peer exceeds ${this.#maxMessage} bytes`;
    return { ...framed, failure: new CloseError(1009, why) };
  }

  end(): FramedRead {
    if (this.#buffer.length === 0) return nothing;
    return this.#frame(undefined);
  }

  /**
   * Asks the framing function for one message after another.
   *
   * @param fresh How many of the bytes held are new; `undefined`: none, as the
   * peer has ended its side.
   */
  #frame(fresh: number | undefined): FramedRead {
    const buffer = this.#buffer;
    // An array that grows takes room for more: nearly always, there is one.
    let messages: OutgoingMessage[] = none;
    let larger: LargerMessages | undefined;
    let failure: CloseError | undefined;
    let hasText = false;
    try {
      while (buffer.length > 0) {
        const frame = fresh === undefined
          ? this.#atEnd(buffer.view())
          : this.#framer.frame(buffer.view(), Math.min(fresh, buffer.length));
        if (frame === null) break;
        checkFrame(frame, buffer.length);
        const { length, type, start, end, message } = frame;
        const first = buffer.start;
        buffer.consume(length);
        if (type === "discard") continue;
        const text = type === "text";
        if (message === undefined) {
          messages = added(messages, {
            start: first + (start ?? 0),
            end: first + (end ?? length),
            text,
          });
        } else {
          checkMessage(message, this.#maxMessage);
          if (message.length <= length) buffer.bytes.set(message, first);
          else {
            larger ??= new LargerMessages(this.#maxMessage);
            larger.add(messages.length, message);
          }
          messages = added(messages, {
            start: first,
            end: first + message.length,
            text,
          });
        }
        hasText ||= text;
      }
    } catch (error) {
      failure = error instanceof CloseError
        ? error
        : new CloseError(1011, "framing function failed", { cause: error });
    }
    const data = larger?.moveAll(buffer.bytes, messages) ?? buffer.bytes;
    return {
      data,
      messages: hasText ? demoteInvalidText(data, messages) : messages,
      // The bytes before it have been sent, or were never used.
      headroom: messages[0]?.start ?? 0,
      failure,
    };
  }

  #atEnd(data: Uint8Array): Frame {
    return this.#framer.end?.(data) ?? {
      length: data.length,
      type: this.#framer.remainder === "text" ? "text" : "binary",
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#buffer.release();
    this.#framer.close?.();
  }

  /**
   * An empty datagram becomes an empty message, without the framing function.
   */
  #emptyDatagram(): FramedRead {
    const { bytes: data, start } = this.#buffer;
    const text = this.#framer.remainder === "text";
    return { data, messages: [{ start, end: start, text }] };
  }
}

/**
 * Messages that replace fewer bytes than they have, and so do not fit into
 * their place.
 */
class LargerMessages {
  #most: number;
  #bytes = 0;
  #byIndex = new Map<number, Uint8Array>();

  constructor(maxMessage: number) {
    this.#most = mostLarger(maxMessage);
  }

  /** Keeps a copy of the message that has this index among those of the read. */
  add(index: number, message: Uint8Array): void {
    this.#bytes += message.length;
    if (this.#bytes > this.#most) {
      const why = `messages of one read exceed ${this.#most} bytes`;
      throw new CloseError(1009, why);
    }
    this.#byIndex.set(index, message.slice());
  }

  /**
   * Copies all messages of the read into one new buffer.
   *
   * @param data Holds the other messages.
   * @param messages The messages; their places are changed.
   * @returns The memory.
   */
  moveAll(data: Uint8Array, messages: OutgoingMessage[]): Uint8Array {
    let room = headroom;
    for (const { start, end } of messages) room += end - start;
    const moved = new Uint8Array(room);
    let offset = headroom;
    for (const [index, { start, end, text }] of messages.entries()) {
      moved.set(this.#byIndex.get(index) ?? data.subarray(start, end), offset);
      messages[index] = { start: offset, end: offset += end - start, text };
    }
    return moved;
  }
}

/** Most bytes of the messages that replace fewer bytes. */
function mostLarger(maxMessage: number): number {
  // One as large as may be, and each byte of a read as the three of U+FFFD.
  return maxMessage + 3 * largestSize;
}

/**
 * Checks a framing function's answer, which is not trusted.
 *
 * @param frame The answer.
 * @param held Number of bytes that it was given.
 * @throws {RangeError} If it consumes or sends bytes that are not among them.
 * @throws {TypeError} If its type is not valid.
 */
export function checkFrame(
  { length, type, start, end }: Frame,
  held: number,
): void {
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
  if (start !== undefined || end !== undefined) {
    checkPart(start ?? 0, end ?? length, length);
  }
}

function checkPart(start: number, end: number, length: number): void {
  if (
    !Number.isInteger(start) || !Number.isInteger(end) || start < 0 ||
    end < start || end > length
  ) {
    throw new RangeError(
      `Cannot frame a message: the framing function answered ${start} to ${end} of ${length} bytes`,
    );
  }
}

/**
 * Checks a message that a framing function has made.
 *
 * @param message The message.
 * @param most Most bytes that it may have.
 * @throws {TypeError} If it is not a message.
 * @throws {CloseError} If it is too large.
 */
export function checkMessage(message: unknown, most: number): void {
  if (!(message instanceof Uint8Array)) {
    throw new TypeError(
      "Cannot frame a message: the framing function answered a message that is not a Uint8Array",
    );
  }
  if (message.length > most) {
    const why = `message from the peer exceeds ${most} bytes`;
    throw new CloseError(1009, why);
  }
}

/**
 * Turns text messages that are not valid UTF-8 into binary ones. It checks many
 * messages at once where possible: pieces of valid UTF-8 are valid if they are
 * cut between characters.
 */
function demoteInvalidText(
  data: Uint8Array,
  messages: readonly OutgoingMessage[],
): readonly OutgoingMessage[] {
  const first = messages[0]!.start;
  const last = messages[messages.length - 1]!.end;
  const allValid = isValidUtf8(data, first, last);
  if (allValid && messages.length === 1) return messages;
  return demoteSome(data, messages, allValid);
}

function demoteSome(
  data: Uint8Array,
  messages: readonly OutgoingMessage[],
  allValid: boolean,
): readonly OutgoingMessage[] {
  const last = messages[messages.length - 1]!.end;
  function isValid({ start, end }: OutgoingMessage): boolean {
    if (start === end) return true;
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

/** Whether a byte continues a UTF-8 character (RFC 3629 section 3). */
function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
