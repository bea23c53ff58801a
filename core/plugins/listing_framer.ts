/**
 * Lists the answers of a framing function in an isolate, and reads the list in
 * the server.
 *
 * @module
 */

import type { Frame, Framer } from "../api.ts";
import { checkFrame, checkMessage } from "../bridge/message_framer.ts";
import { CloseError } from "../errors.ts";
import type { Bulk } from "./messages.ts";

/** The types of a frame, as they are numbered. */
const types = ["binary", "text", "discard"] as const;
/** Added to the number of the type: two numbers follow, where a part starts and ends. */
const hasPart = 4;
/** Added to the number of the type: the length of a message follows, which is among the bytes. */
const hasMessage = 8;
/** Numbers that are sent as they are; more are packed. */
const shortList = 32;

/** A framing function whose answers are listed. */
export class ListingFramer implements Framer {
  readonly encode?: (
    message: Uint8Array,
    type: "text" | "binary",
  ) => Uint8Array;
  readonly append?: Uint8Array;
  #framer: Framer;
  #maxMessage: number;
  #numbers: number[] = [];
  #messages: Uint8Array[] = [];
  #messageBytes = 0;

  /**
   * Constructs a new instance.
   *
   * @param framer The framing function.
   * @param maxMessage Most bytes that a message may have which it makes.
   * @throws {TypeError} If it is no framer.
   */
  constructor(framer: Framer, maxMessage: number) {
    if (typeof framer?.frame !== "function") {
      throw new TypeError("it made nothing that has a frame()");
    }
    this.#framer = framer;
    this.#maxMessage = maxMessage;
    const { encode, append } = framer;
    if (encode !== undefined) {
      this.encode = (message, type) => framer.encode!(message, type);
    }
    if (append !== undefined) this.append = append;
  }

  /**
   * Takes the list, which then starts again.
   *
   * @returns For each answer its length, its type, and what else there is.
   */
  take(): Bulk {
    const numbers = this.#numbers;
    const messages = this.#messages;
    this.#numbers = [];
    const list = {
      numbers: numbers.length > shortList ? Uint32Array.from(numbers) : numbers,
    };
    if (messages.length === 0) return list;
    const bytes = new Uint8Array(this.#messageBytes);
    let offset = 0;
    for (const message of messages) {
      bytes.set(message, offset);
      offset += message.length;
    }
    this.#messages = [];
    this.#messageBytes = 0;
    return { ...list, bytes };
  }

  frame(data: Uint8Array, fresh: number): Frame | null {
    const frame = this.#framer.frame(data, fresh);
    return frame === null ? null : this.#note(frame, data);
  }

  end(data: Uint8Array): Frame {
    const frame = this.#framer.end?.(data) ?? {
      length: data.length,
      type: this.#framer.remainder === "text" ? "text" : "binary",
    };
    return this.#note(frame, data);
  }

  #note(frame: Frame, data: Uint8Array): Frame {
    // Each field is read once: a getter could answer something else the next
    // time.
    const { length, type, start, end, message } = frame;
    checkFrame(
      {
        length,
        type,
        ...start !== undefined && { start },
        ...end !== undefined && { end },
      },
      data.length,
    );
    const number = types.indexOf(type);
    if (message !== undefined) {
      checkMessage(message, this.#maxMessage);
      this.#numbers.push(length, number + hasMessage, message.length);
      this.#messages.push(message.slice());
      this.#messageBytes += message.length;
    } else if (start !== undefined || end !== undefined) {
      this.#numbers.push(length, number + hasPart, start ?? 0, end ?? length);
    } else {
      this.#numbers.push(length, number);
    }
    // The server decides what is sent, and whether as text.
    return { length, type: "discard" };
  }

  close(): void {
    this.#framer.close?.();
  }
}

/** A framing function that gives the listed answers. */
export class ListedFramer implements Framer {
  #plugin: string;
  #list: Bulk = { numbers: [] };
  #next = 0;
  #offset = 0;

  /**
   * Constructs a new instance.
   *
   * @param plugin Name of the plugin, for errors.
   */
  constructor(plugin: string) {
    this.#plugin = plugin;
  }

  /**
   * Takes the answers for the next read.
   *
   * @param list The answers; `StreamFramer` checks them.
   */
  give(list: Bulk): void {
    this.#list = list;
    this.#next = 0;
    this.#offset = 0;
  }

  frame(): Frame | null {
    const { numbers } = this.#list;
    if (this.#next >= numbers.length) {
      const { failure } = this.#list;
      if (failure === undefined) return null;
      throw toError(this.#plugin, failure);
    }
    const length = numbers[this.#next++]!;
    const kind = numbers[this.#next++]!;
    // `StreamFramer` refuses an unknown type.
    const type = types[kind & 3]!;
    if ((kind & hasMessage) !== 0) {
      const from = this.#offset;
      this.#offset += numbers[this.#next++] ?? 0;
      const message = this.#list.bytes?.subarray(from, this.#offset);
      return { length, type, ...message && { message } };
    }
    if ((kind & hasPart) === 0) return { length, type };
    const start = numbers[this.#next++]!;
    return { length, type, start, end: numbers[this.#next++]! };
  }

  end(): Frame {
    const frame = this.frame();
    if (frame !== null) return frame;
    throw new TypeError(
      "Cannot frame what is left: the plugin does not say what becomes of it",
    );
  }
}

/**
 * Makes an error of why a plugin's framing function failed.
 *
 * @param plugin Name of the plugin.
 * @param failure Why.
 */
export function toError(
  plugin: string,
  { tooLarge, why }: NonNullable<Bulk["failure"]>,
): Error {
  const text = `plugin "${plugin}": ${why}`;
  return tooLarge
    ? new CloseError(1009, "message too large", { cause: new Error(text) })
    : new Error(text);
}
