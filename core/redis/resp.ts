/**
 * The protocol of Redis, version 2 (RESP): commands to bytes, and bytes to
 * replies.
 *
 * @module
 */

/** A reply. */
export type Reply = string | number | null | ReplyError | readonly Reply[];

/** A reply that says that a command failed. */
export class ReplyError extends Error {
  /** Its first word, such as `WRONGTYPE`. */
  readonly code: string;

  /** @param message What the server said. */
  constructor(message: string) {
    super(message);
    this.name = "ReplyError";
    this.code = message.split(" ", 1)[0]!;
  }
}

/** The longest reply, in bytes, with all that is in it. */
export const maxReply = 96 * 1024;

/** Most elements of a reply. */
const MAX_ELEMENTS = 256;

/** How deep replies may be in replies. */
const MAX_DEPTH = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Encodes a command. The length of each argument precedes it: nothing in one is
 * ever taken for the end of it.
 *
 * @param args The command's name and arguments.
 * @returns Its bytes.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { encodeCommand } from "./resp.ts";
 *
 * const bytes = encodeCommand(["GET", "a\r\nb"]);
 *
 * assertEquals(
 *   new TextDecoder().decode(bytes),
 *   "*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n",
 * );
 * ```
 */
export function encodeCommand(
  args: readonly string[],
): Uint8Array<ArrayBuffer> {
  let text = `*${args.length}\r\n`;
  for (const argument of args) {
    text += `$${encoder.encode(argument).length}\r\n${argument}\r\n`;
  }
  return encoder.encode(text);
}

/** Takes replies out of the bytes of a connection. */
export class ReplyReader {
  #bytes = new Uint8Array(4096);
  #start = 0;
  #end = 0;

  /**
   * Takes bytes that have arrived.
   *
   * @param data The bytes; they are copied.
   * @returns The replies that are complete now, in order.
   * @throws {SyntaxError} If they are no replies.
   * @throws {RangeError} If a reply is too long.
   */
  push(data: Uint8Array): Reply[] {
    this.#append(data);
    const replies: Reply[] = [];
    for (;;) {
      const found = this.#parse(this.#start, 0);
      if (found === undefined) break;
      this.#start = found.end;
      replies.push(found.reply);
    }
    if (this.#end - this.#start > maxReply) throw tooLong();
    return replies;
  }

  #append(data: Uint8Array): void {
    const held = this.#end - this.#start;
    if (this.#bytes.length - this.#end < data.length) {
      const size = Math.max(this.#bytes.length, 2 * (held + data.length));
      const bytes = new Uint8Array(size);
      bytes.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = bytes;
      this.#start = 0;
      this.#end = held;
    }
    this.#bytes.set(data, this.#end);
    this.#end += data.length;
  }

  /** The reply that begins at a place, if all of it is there. */
  #parse(
    start: number,
    depth: number,
  ): { readonly reply: Reply; readonly end: number } | undefined {
    const line = this.#line(start);
    if (line === undefined) return undefined;
    const { text, end } = line;
    const rest = text.slice(1);
    switch (text[0]) {
      case "+":
        return { reply: rest, end };
      case "-":
        return { reply: new ReplyError(rest), end };
      case ":":
        return { reply: toInteger(rest), end };
      case "$":
        return this.#parseText(toInteger(rest), end);
      case "*":
        return this.#parseList(toInteger(rest), end, depth);
      default:
        throw new SyntaxError("it does not answer as Redis does");
    }
  }

  #parseText(
    length: number,
    start: number,
  ): { readonly reply: Reply; readonly end: number } | undefined {
    if (length === -1) return { reply: null, end: start };
    if (length < 0) throw new SyntaxError("a reply has a negative length");
    // Before any of it is kept.
    if (length > maxReply) throw tooLong();
    const end = start + length;
    if (this.#end < end + 2) return undefined;
    if (this.#bytes[end] !== 0x0d || this.#bytes[end + 1] !== 0x0a) {
      throw new SyntaxError("a reply is longer than it says");
    }
    let reply: string;
    try {
      reply = decoder.decode(this.#bytes.subarray(start, end));
    } catch {
      return {
        reply: new ReplyError("ERR the value is not UTF-8"),
        end: end + 2,
      };
    }
    return { reply, end: end + 2 };
  }

  #parseList(
    count: number,
    start: number,
    depth: number,
  ): { readonly reply: Reply; readonly end: number } | undefined {
    if (count === -1) return { reply: null, end: start };
    if (count < 0 || count > MAX_ELEMENTS || depth === MAX_DEPTH) {
      throw tooLong();
    }
    const reply: Reply[] = [];
    let end = start;
    while (reply.length < count) {
      const found = this.#parse(end, depth + 1);
      if (found === undefined) return undefined;
      reply.push(found.reply);
      end = found.end;
    }
    return { reply, end };
  }

  #line(
    start: number,
  ): { readonly text: string; readonly end: number } | undefined {
    const found = this.#bytes.subarray(start, this.#end).indexOf(0x0d);
    const end = start + found;
    if (found === -1 || end + 1 >= this.#end) return undefined;
    if (this.#bytes[end + 1] !== 0x0a) {
      throw new SyntaxError("it does not answer as Redis does");
    }
    const text = String.fromCharCode(
      ...this.#bytes.subarray(start, Math.min(end, start + 1000)),
    );
    return { text, end: end + 2 };
  }
}

function toInteger(text: string): number {
  const number = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (Number.isInteger(number)) return number;
  throw new SyntaxError("a reply has no length where it has to");
}

function tooLong(): RangeError {
  return new RangeError(`a reply is longer than ${maxReply} bytes`);
}
