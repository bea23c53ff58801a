/**
 * Makes messages of a client's data frames, RFC 6455 sections 5.4 and 5.6.
 *
 * Payloads are unmasked where they lie and moved together, over the headers
 * between them: all messages of one read become one buffer without being
 * copied elsewhere. Only a message that a read leaves unfinished is, and one
 * that is compressed becomes another elsewhere.
 *
 * @module
 */

import { giveMemory, takeAtLeast } from "../../memory/buffer_pool.ts";
import { endOfCharacters, isValidUtf8 } from "../utf8.ts";
import type { IncomingMessages } from "../engine.ts";
import type { Decompressed, MessageCompression } from "./compression.ts";
import { lacksEnding } from "./ending.ts";
import { InflatedMessages } from "./inflated_messages.ts";
import type { ProtocolFailure } from "./close.ts";
import { OPCODE_BINARY, OPCODE_CONTINUATION, OPCODE_TEXT } from "./frames.ts";
import { unmask } from "./mask.ts";

const NO_BYTES = new Uint8Array();
const NO_VIEW = new DataView(NO_BYTES.buffer);
/** The shortest header of a frame from a client: 2 bytes, and 4 of its mask. */
const MIN_HEADER = 6;
/**
 * Buffers up to this many bytes are kept for the next message. Longer ones are
 * shared by all connections.
 */
const KEEP_LIMIT = 0x2_0000;

/** The smallest buffer, in bytes: one size serves all small messages. */
const MIN_CAPACITY = 256;
/** Bytes: so many that were decompressed are handed out before the next ones are. */
const mostTogether = 256 * 1024;
/**
 * Nothing is added to these: the first element makes a new array. One that
 * grows takes room for more, and most reads have one message.
 */
const noEnds: number[] = [];
const noBatches: IncomingMessages[] = [];
/** The turns of a batch of texts. */
const ALL_TEXT: readonly number[] = Object.freeze([0]);

type Batch = {
  -readonly [Key in keyof IncomingMessages]: IncomingMessages[Key];
};

/** Reads the messages of one connection. Its methods do nothing more after a failure. */
export class MessageReader {
  /** How the client broke the protocol; those messages that were complete before are still given. */
  failure: ProtocolFailure | undefined;

  /**
   * Why the read is to be interrupted, with {@linkcode pauseRead} and then {@linkcode
   * proceed}: a message is decompressed in part, or others that were are enough
   * for now.
   */
  pause: "partial" | "enough" | undefined;

  readonly #maxMessage: number;
  /** What decompresses messages, if they may be compressed. */
  #compression: MessageCompression | undefined;

  /**
   * Bytes that are added to messages that do not end with them; may be empty.
   */
  #ending: Uint8Array = NO_BYTES;

  // The message that is being read: `#opcode` is 0 between two. Its bytes lie
  // in the assembly if it began in an earlier read, else from `#start` to
  // `#out` in `#bytes`; of a text, the first `#checked` are known to be valid.
  readonly #assembly = new MessageAssembly();
  #opcode = 0;
  #compressed = false;
  #final = false;
  #fragmented = false;
  #assembled = false;
  #announced = 0;
  #start = 0;
  #checked = 0;

  // The read: its messages lie from `#batchStart` to `#out`. Those from index
  // `#unchecked` on are texts yet to be checked, all at once; -1: there are none.
  // The type of the one before them all counts as binary.
  #bytes: Uint8Array = NO_BYTES;
  #view: DataView = NO_VIEW;
  #batches: IncomingMessages[] = noBatches;
  #inflated: InflatedMessages | undefined;
  #batchStart = 0;
  #out = 0;
  #ends: number[] = noEnds;
  #turns: number[] | undefined;
  #lastOpcode = OPCODE_BINARY;
  #unchecked = -1;
  /** Whether each message so far ends with `#ending`. */
  #ended = true;
  /** Where the payload ends that was taken last: bytes before it are free from `#out` on. */
  #taken = 0;

  /** Constructs a new instance that takes messages of at most `maxMessage` bytes. */
  constructor(maxMessage: number) {
    this.#maxMessage = maxMessage;
  }

  /** Bytes allocated for an unfinished message and for those to come. */
  get held(): number {
    return this.#assembly.capacity;
  }

  /** Whether a message has begun that is not complete. */
  get isBegun(): boolean {
    return this.#opcode !== 0;
  }

  /** Drops the buffers that are kept for reuse. */
  trim(): void {
    this.#assembly.trim();
  }

  /** Gives memory back: nothing uses the messages any more that were handed out. */
  taken(): void {
    this.#assembly.taken();
  }

  /**
   * Adds bytes to the end of messages that lack it, where there is room for
   * them: the header of each frame leaves some when payloads are moved
   * together, and messages that are copied elsewhere are given some.
   *
   * @param ending The bytes; more than a header leaves, or such that text would
   * have to be checked without them, are never added.
   */
  addEnding(ending: Uint8Array): void {
    const isShort = ending.length <= MIN_HEADER;
    const isAscii = ending.every((byte) => byte < 0x80);
    this.#ending = isShort && isAscii ? ending : NO_BYTES;
  }

  /**
   * Takes messages that are compressed, too.
   *
   * @param compression What decompresses them.
   */
  decompressWith(compression: MessageCompression): void {
    this.#compression = compression;
  }

  /** Begins with the bytes of a read, given as both kinds of view. */
  beginRead(bytes: Uint8Array, view: DataView): void {
    this.#bytes = bytes;
    this.#view = view;
  }

  /**
   * Begins with a data frame.
   *
   * @param opcode Its opcode: continuation, text or binary.
   * @param final Whether it is the last one of its message.
   * @param compressed Whether its message is compressed, if it begins one.
   * @param length Length of its payload in bytes.
   * @param position Offset of its payload in the bytes of the read.
   */
  startFrame(
    opcode: number,
    final: boolean,
    compressed: boolean,
    length: number,
    position: number,
  ): void {
    if (opcode === OPCODE_CONTINUATION) {
      if (this.#opcode === 0) {
        this.fail(1002, "Continuation frame without a message to continue");
        return;
      }
      this.#fragmented = true;
    } else {
      if (this.#opcode !== 0) {
        this.fail(1002, "Message begins before the one before it is complete");
        return;
      }
      this.#opcode = opcode;
      this.#compressed = compressed;
      this.#fragmented = !final;
      this.#assembled = false;
      this.#announced = 0;
      this.#checked = 0;
      if (this.#ends.length === 0) {
        this.#batchStart = this.#out = Math.max(
          position - this.#ending.length,
          0,
        );
      }
      this.#start = this.#out;
      this.#taken = position;
    }
    this.#final = final;
    this.#announced += length;
    // What cannot be compressed becomes larger by five bytes for each 16 KiB or so.
    const most = this.#compressed
      ? this.#maxMessage + (this.#maxMessage >> 10) + 64
      : this.#maxMessage;
    if (this.#announced > most) {
      this.fail(1009, `Message is over ${this.#maxMessage} bytes`);
    }
  }

  /**
   * Takes some of the frame's payload.
   *
   * @param position Its offset in the bytes of the read.
   * @param length Its length in bytes.
   * @param mask The mask for its first byte.
   */
  takePayload(position: number, length: number, mask: number): void {
    if (!this.#assembled) {
      unmask(this.#view, position, this.#out, length, mask);
      this.#out += length;
      this.#taken = position + length;
      return;
    }
    const offset = this.#assembly.length;
    this.#assemble(position, position + length);
    unmask(this.#assembly.view, offset, offset, length, mask);
  }

  /** Ends the frame: all of its payload has been taken. */
  endFrame(): void {
    if (this.#assembled || this.#fragmented) {
      this.#endFragment();
      return;
    }
    if (this.#compressed) {
      this.#endCompressed();
      return;
    }
    if (this.#opcode === OPCODE_TEXT) {
      if (
        this.#start < this.#out && (this.#bytes[this.#start]! & 0xc0) === 0x80
      ) {
        // Joined to the text before it, it could look like the rest of a
        // character.
        this.#failText();
        return;
      }
      if (this.#unchecked < 0) this.#unchecked = this.#ends.length;
    } else if (this.#unchecked >= 0) {
      this.checkTexts();
      if (this.failure !== undefined) return;
    }
    this.#endMessage();
    this.#opcode = 0;
  }

  /** Decompresses the message, which is whole. */
  #endCompressed(): void {
    this.checkTexts();
    if (this.failure !== undefined) return;
    this.#endBatch();
    const payload = this.#assembled
      ? this.#assembly.take()
      : this.#bytes.subarray(this.#start, this.#out);
    const inflated = this.#inflated ??= new InflatedMessages();
    const most = this.#maxMessage;
    this.#inflate(this.#compression!.decompress(payload, inflated, most));
  }

  /** Goes on after a pause. */
  proceed(): void {
    const isPartial = this.pause === "partial";
    this.pause = undefined;
    if (!isPartial) return;
    const inflated = this.#inflated!;
    this.#inflate(this.#compression!.proceed(inflated, this.#maxMessage));
  }

  #inflate(result: Decompressed): void {
    if (result === "partial") {
      this.pause = "partial";
      return;
    }
    const inflated = this.#inflated!;
    const isText = this.#opcode === OPCODE_TEXT;
    if (result !== "whole") {
      this.fail(result.code, result.reason);
    } else if (isText && !isValidUtf8(inflated.last())) {
      this.#failText();
    } else {
      inflated.end(isText, this.#ending, this.#maxMessage);
      if (inflated.length >= mostTogether) {
        this.#endInflated();
        this.pause = "enough";
      }
    }
    this.#opcode = 0;
  }

  /** Ends the batch of those messages that were compressed. */
  #endInflated(): void {
    const batch = this.#inflated?.take();
    this.#inflated = undefined;
    if (batch !== undefined) this.#addBatch(batch);
  }

  #addBatch(batch: IncomingMessages): void {
    if (this.#batches.length === 0) this.#batches = [batch];
    else this.#batches.push(batch);
  }

  /** Ends the batch of those messages that lie in the bytes of the read. */
  #endBatch(): void {
    if (this.#ends.length === 0) return;
    const length = this.#ends.at(-1)!;
    const start = this.#bytes.byteOffset + this.#batchStart;
    const data = new Uint8Array(this.#bytes.buffer, start, length);
    const turns = this.#turns;
    const batch: Batch = { data, ends: this.#ends };
    if (turns !== undefined) batch.turns = turns;
    if (this.#ending.length > 0 && this.#ended) batch.ended = true;
    this.#addBatch(batch);
    this.#ends = noEnds;
    this.#turns = undefined;
    this.#ended = true;
    this.#lastOpcode = OPCODE_BINARY;
  }

  /** Adds the message to those that lie in the bytes of the read. */
  #endMessage(): void {
    if (this.#inflated !== undefined) this.#endInflated();
    if (this.#ending.length > 0) this.#end();
    if (this.#opcode !== this.#lastOpcode) {
      this.#lastOpcode = this.#opcode;
      (this.#turns ??= []).push(this.#ends.length);
    }
    const end = this.#out - this.#batchStart;
    if (this.#ends.length === 0) this.#ends = [end];
    else this.#ends.push(end);
  }

  /**
   * Adds the ending to the message, if the message lacks it and there is room.
   */
  #end(): void {
    const ending = this.#ending;
    const { length } = ending;
    const bytes = this.#bytes;
    const end = this.#out;
    if (!lacksEnding(bytes, this.#start, end, ending)) return;
    if (
      this.#taken - end < length ||
      end + length - this.#start > this.#maxMessage
    ) {
      this.#ended = false;
      return;
    }
    for (let at = 0; at < length; at++) bytes[end + at] = ending[at]!;
    this.#out = end + length;
  }

  /**
   * Checks those texts that wait for it: before anything is done that must not
   * happen if one of them is not valid.
   *
   * All of them are checked at once. This is sound, as none starts within a
   * character: where the whole is valid, every part is.
   */
  checkTexts(): void {
    const first = this.#unchecked;
    if (first < 0) return;
    this.#unchecked = -1;
    const base = this.#batchStart;
    let start = base + (first === 0 ? 0 : this.#ends[first - 1]!);
    if (isValidUtf8(this.#bytes, start, base + this.#ends.at(-1)!)) return;
    for (let index = first; index < this.#ends.length; index++) {
      const end = base + this.#ends[index]!;
      if (!isValidUtf8(this.#bytes, start, end)) {
        this.#ends.length = index;
        this.#failText();
        return;
      }
      start = end;
    }
  }

  /** Ends reading with a failure, unless a text before it is not valid. */
  fail(code: ProtocolFailure["code"], reason: string): void {
    this.checkTexts();
    this.failure ??= { code, reason };
  }

  /**
   * Interrupts the read.
   *
   * @returns The messages so far, in batches, in order; those that were
   * decompressed may follow later.
   */
  pauseRead(): IncomingMessages[] {
    const batches = this.#batches;
    this.#batches = noBatches;
    return batches;
  }

  /**
   * Ends the read.
   *
   * @param last Whether no other read follows: an unfinished message is dropped.
   * @returns The messages, in batches, in order.
   */
  endRead(last: boolean): IncomingMessages[] {
    this.checkTexts();
    if (!last && this.failure === undefined && this.#opcode !== 0) {
      this.#checkFragments(false);
      if (this.failure === undefined && !this.#assembled) {
        this.#assemble(this.#start, this.#out);
        this.#assembled = true;
      }
    }
    this.#endBatch();
    this.#endInflated();
    const batches = this.#batches;
    // Nothing of a read is kept while the connection is quiet.
    this.#bytes = NO_BYTES;
    this.#view = NO_VIEW;
    this.#batches = noBatches;
    if (last || this.failure !== undefined) this.#assembly.drop();
    return batches;
  }

  /** Appends bytes of the read to the assembly. */
  #assemble(start: number, end: number): void {
    // Where more fragments may follow, their length is not known.
    const limit = this.#final ? this.#announced : this.#maxMessage;
    const room = limit + this.#ending.length;
    this.#assembly.append(this.#bytes, start, end, room);
  }

  /** Ends a frame of a message that has several, or came in several reads. */
  #endFragment(): void {
    this.checkTexts();
    if (this.failure === undefined) this.#checkFragments(this.#final);
    if (this.failure !== undefined || !this.#final) return;
    if (this.#compressed) return this.#endCompressed();
    if (this.#assembled) {
      const ended = this.#ending.length > 0 && this.#endAssembled();
      const data = this.#assembly.take();
      const batch: Batch = { data, ends: [data.length] };
      if (this.#opcode === OPCODE_TEXT) batch.turns = ALL_TEXT;
      if (ended) batch.ended = true;
      this.#addBatch(batch);
    } else {
      this.#endMessage();
    }
    this.#opcode = 0;
  }

  /** Adds the ending to the assembled message, and tells whether it has one now. */
  #endAssembled(): boolean {
    const assembly = this.#assembly;
    const ending = this.#ending;
    const { length } = assembly;
    if (!lacksEnding(assembly.bytes(), 0, length, ending)) return true;
    const ended = length + ending.length;
    if (ended > this.#maxMessage) return false;
    assembly.append(ending, 0, ending.length, ended);
    return true;
  }

  /** Checks what has come of a text since the last time, but for a character that lacks bytes. */
  #checkFragments(whole: boolean): void {
    if (this.#opcode !== OPCODE_TEXT || this.#compressed) return;
    const data = this.#assembled ? this.#assembly.bytes() : this.#bytes;
    const base = this.#assembled ? 0 : this.#start;
    const end = this.#assembled ? data.length : this.#out;
    const start = base + this.#checked;
    const stop = whole ? end : endOfCharacters(data, start, end);
    if (!isValidUtf8(data, start, stop)) this.#failText();
    this.#checked = stop - base;
  }

  #failText(): void {
    this.fail(1007, "Text is not valid UTF-8");
  }
}

/**
 * The bytes of one message. It takes at most four times as many as have come,
 * whatever the header claims. It keeps two buffers of at most 128 KiB, which
 * messages use in turn: one can still be in use elsewhere while the next
 * message begins.
 */
class MessageAssembly {
  /** The buffer; its first {@linkcode length} bytes are those of the message. */
  view: DataView<ArrayBuffer> = NO_VIEW;
  /** How many bytes of the message have come. */
  length = 0;

  #spare: DataView<ArrayBuffer> = NO_VIEW;
  /** The long buffer of the message that was taken last. */
  #lent: DataView<ArrayBuffer> = NO_VIEW;

  /** Bytes allocated, for the message and for the next ones. */
  get capacity(): number {
    return this.view.byteLength + this.#spare.byteLength;
  }

  /**
   * Appends bytes.
   *
   * @param bytes Of them, those from `start` to `end` are appended.
   * @param start Offset of the first one.
   * @param end Offset after the last one.
   * @param limit What the message comes to at most, in bytes.
   */
  append(bytes: Uint8Array, start: number, end: number, limit: number): void {
    const needed = this.length + end - start;
    if (needed > this.view.byteLength) {
      const capacity = Math.max(Math.min(2 * needed, limit), MIN_CAPACITY);
      const grown = capacity <= KEEP_LIMIT
        ? new Uint8Array(capacity)
        : takeAtLeast(capacity);
      grown.set(this.bytes());
      giveBack(this.view);
      this.view = new DataView(grown.buffer);
    }
    const target = new Uint8Array(this.view.buffer, this.length);
    target.set(bytes.subarray(start, end));
    this.length = needed;
  }

  /** The message as far as it has come. */
  bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, 0, this.length);
  }

  /**
   * Hands the message out, and starts another one in another buffer.
   *
   * @returns The message. Its bytes are valid until {@linkcode taken} is called,
   * or another message is handed out.
   */
  take(): Uint8Array {
    const message = this.bytes();
    const used = this.view;
    this.view = this.#spare;
    const isKept = used.byteLength <= KEEP_LIMIT;
    this.#spare = isKept ? used : NO_VIEW;
    if (!isKept) this.#lent = used;
    this.length = 0;
    return message;
  }

  /** Gives back what the message takes that was handed out: nothing uses it any more. */
  taken(): void {
    if (this.#lent === NO_VIEW) return;
    giveBack(this.#lent);
    this.#lent = NO_VIEW;
  }

  /** Drops the buffers that are kept for later. */
  trim(): void {
    this.#spare = NO_VIEW;
    if (this.length === 0) this.view = NO_VIEW;
  }

  /** Drops the message and all buffers. */
  drop(): void {
    this.length = 0;
    giveBack(this.view);
    this.trim();
  }
}

/** Returns a buffer to all connections, if it is a long one. */
function giveBack({ buffer, byteLength }: DataView<ArrayBuffer>): void {
  if (byteLength > KEEP_LIMIT) giveMemory(new Uint8Array(buffer));
}
