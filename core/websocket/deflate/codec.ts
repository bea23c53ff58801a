/**
 * permessage-deflate, RFC 7692: the messages of one WebSocket, compressed.
 *
 * @module
 */

import type { OutgoingMessage } from "../engine.ts";
import type { ProtocolFailure } from "../protocol/close.ts";
import type {
  Decompressed,
  MessageCompression,
} from "../protocol/compression.ts";
import type { InflatedMessages } from "../protocol/inflated_messages.ts";
import type { DeflateParameters } from "./offer.ts";
import { type Context, createDeflater, createInflater } from "./zlib.ts";

/** Bytes: a shorter message is sent as it is, for little can be saved. */
const leastLength = 32;

/** Bytes: a longer message is sent as it is, for it would stop all others for long. */
const mostLength = 2 * 1024 * 1024;

/** Messages that are sent as they are, at most, before another one is tried. */
const mostSkipped = 64;

/** What a compressed message ends with, and is sent without: RFC 7692 section 7.2.1. */
const tail = new Uint8Array([0x00, 0x00, 0xff, 0xff]);

const notValid: ProtocolFailure = {
  code: 1007,
  reason: "Compressed message is not valid",
};

/** What is known of the messages of a type: how many are not tried, and will not be after the next that fails. */
interface Attempts {
  skip: number;
  next: number;
}

/** The compression of one WebSocket. */
export class DeflateCodec implements MessageCompression {
  #parameters: DeflateParameters;
  #level: number;
  #deflater: Context | undefined;
  #inflater: Context | undefined;
  /** The message that is partial. */
  #inflation: Inflation | undefined;
  #text: Attempts = { skip: 0, next: 1 };
  #binary: Attempts = { skip: 0, next: 1 };

  /**
   * Constructs a new instance. Contexts are made when they are first used.
   *
   * @param parameters What was agreed upon.
   * @param level 1, the fastest, to 9, the smallest.
   */
  constructor(parameters: DeflateParameters, level: number) {
    this.#parameters = parameters;
    this.#level = level;
  }

  compress(
    data: Uint8Array,
    { start, end, text }: OutgoingMessage,
    target: Uint8Array,
    at: number,
  ): number {
    const length = end - start;
    if (length < leastLength || length > mostLength) return -1;
    // What is compressed already, as images are, is mostly binary, and so are those around it.
    const attempts = text ? this.#text : this.#binary;
    if (attempts.skip > 0) {
      attempts.skip--;
      return -1;
    }
    const deflater = this.#deflaterToUse();
    const room = length + tail.length;
    deflater.write(data.subarray(start, end), target, at, room);
    const size = room - deflater.roomLeft - tail.length;
    if (deflater.roomLeft > 0) {
      attempts.next = 1;
      return size;
    }
    // The client will not see it, so that what follows must not refer to it.
    deflater.reset();
    attempts.skip = attempts.next;
    attempts.next = Math.min(2 * attempts.next, mostSkipped);
    return -1;
  }

  decompress(
    payload: Uint8Array,
    into: InflatedMessages,
    maxMessage: number,
  ): Decompressed {
    const { clientBits, clientTakeover } = this.#parameters;
    const inflater = clientTakeover
      ? this.#inflater ??= createInflater(clientBits)
      : takeInflater(clientBits);
    this.#inflation = { inflater, rest: payload, isTail: false, ends: 0 };
    return this.proceed(into, maxMessage);
  }

  proceed(into: InflatedMessages, maxMessage: number): Decompressed {
    const result = inflate(this.#inflation!, into, maxMessage);
    if (result !== "partial") this.#endInflation();
    return result;
  }

  trim(): void {
    // A compressor may forget at any time what it has sent; a decompressor may not.
    this.#deflater?.close();
    this.#deflater = undefined;
  }

  close(): void {
    this.trim();
    this.#endInflation();
    this.#inflater?.close();
    this.#inflater = undefined;
  }

  #deflaterToUse(): Context {
    const { serverBits, memoryLevel, serverTakeover } = this.#parameters;
    const make = (): Context =>
      createDeflater(serverBits, memoryLevel, this.#level);
    if (serverTakeover) return this.#deflater ??= make();
    return sharedDeflater(`${serverBits} ${memoryLevel} ${this.#level}`, make);
  }

  #endInflation(): void {
    const inflater = this.#inflation?.inflater;
    this.#inflation = undefined;
    if (inflater !== undefined && inflater !== this.#inflater) {
      giveInflater(this.#parameters.clientBits, inflater);
    }
  }
}

/** Compressors of WebSockets that keep none of their own, by their parameters. */
const sharedDeflaters = new Map<string, Context>();

/** Takes a compressor that serves all WebSockets of the thread, without what went through it before. */
function sharedDeflater(key: string, make: () => Context): Context {
  let context = sharedDeflaters.get(key);
  if (context === undefined) sharedDeflaters.set(key, context = make());
  else context.reset();
  return context;
}

/** A decompressor that no message needs now, for WebSockets that keep none of their own, by its window. */
const freeInflaters = new Map<number, Context>();

/** Takes a decompressor until its message is whole: others may have theirs meanwhile. */
function takeInflater(bits: number): Context {
  const context = freeInflaters.get(bits);
  if (context === undefined) return createInflater(bits);
  freeInflaters.delete(bits);
  context.reset();
  return context;
}

function giveInflater(bits: number, context: Context): void {
  if (context.isBroken || freeInflaters.has(bits)) context.close();
  else freeInflaters.set(bits, context);
}

/** A message that is being decompressed. */
interface Inflation {
  readonly inflater: Context;
  /** What is left of its payload, and then of the tail. */
  rest: Uint8Array;
  isTail: boolean;
  /** How many streams have ended within it. */
  ends: number;
}

/** Decompresses a message, one step at most. */
function inflate(
  inflation: Inflation,
  into: InflatedMessages,
  maxMessage: number,
): Decompressed {
  const { inflater } = inflation;
  const most = into.length + largestStep;
  let taken = 0;
  while (into.length < most && taken < largestStep) {
    const input = inflation.rest.subarray(0, largestStep);
    into.reserve(Math.min(4 * input.length, largestStep) + 1);
    // One byte too many tells that the message is too large.
    const room = Math.min(
      into.bytes.length - into.length,
      maxMessage + 1 - into.written,
      largestStep,
    );
    inflater.write(input, into.bytes, into.length, room);
    if (inflater.isBroken) return notValid;
    const { roomLeft, inputLeft } = inflater;
    into.length += room - roomLeft;
    if (into.written > maxMessage) {
      return { code: 1009, reason: `Message is over ${maxMessage} bytes` };
    }
    taken += input.length - inputLeft;
    inflation.rest = inflation.rest.subarray(input.length - inputLeft);
    if (roomLeft === 0) continue;
    if (inputLeft > 0) {
      // The client has ended its stream (RFC 7692 section 7.2.3.4) with this message.
      inflater.reset();
      if (inflation.isTail) return "whole";
      if (++inflation.ends > mostEnds) return notValid;
    } else if (inflation.rest.length === 0) {
      if (inflation.isTail) return "whole";
      inflation.rest = tail;
      inflation.isTail = true;
    }
  }
  return "partial";
}

/** Streams that end within one message, at most: each costs more than its two bytes. */
const mostEnds = 16;

/**
 * Bytes that a step takes, and twice as many that it gives, at most: a client
 * might send little that becomes much, and takes a few milliseconds at a time.
 */
const largestStep = 256 * 1024;
