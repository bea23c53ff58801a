/**
 * The `stomp` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";
import { parseWords } from "./words.ts";

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const ZERO = 0x30;

/** The header with the length of a body. */
const CONTENT_LENGTH = new TextEncoder().encode("content-length");

/** A larger length counts as this one. */
const MAX_BODY = 2 ** 31;

/**
 * Makes a framer for STOMP 1.0 to 1.2: each frame is a message, text if it is
 * valid UTF-8, and ends with the NUL after its body. A line end between frames,
 * which is a heart-beat, is a message of its own, and is sent at once.
 *
 * A body with a `content-length` may contain NULs; of several such headers, the
 * first one counts (STOMP 1.2, "Repeated Header Entries").
 *
 * The framer's `frame` throws a `SyntaxError` for a `content-length` that is
 * not a number, and for a body with one that is not followed by a NUL.
 *
 * @param config Empty.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is not empty.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createStomp } from "./stomp.ts";
 *
 * const framer = createStomp("");
 * const data = new TextEncoder().encode("\nRECEIPT\nreceipt-id:1\n\n\0");
 *
 * assertEquals(framer.frame(data, 24), { length: 1, type: "text" });
 * assertEquals(framer.frame(data.subarray(1), 23), { length: 23, type: "text" });
 * ```
 */
export function createStomp(config: string): Framer {
  parseWords(config, { framing: "stomp", words: [] });
  /** Where the line starts that is being read, and how far it was searched. */
  let line = 0;
  let scanned = 0;
  /** Length of the body; absent: it ends with a NUL. */
  let body: number | undefined;
  let inBody = false;

  function take(length: number): Frame {
    line = scanned = 0;
    body = undefined;
    inBody = false;
    return { length, type: "text" };
  }

  /**
   * Reads lines of the head, up to the empty one; returns whether that has
   * arrived.
   */
  function readHead(data: Uint8Array): boolean {
    for (;;) {
      const end = data.indexOf(LF, scanned);
      if (end === -1) {
        scanned = data.length;
        return false;
      }
      const last = end > line && data[end - 1] === CR ? end - 1 : end;
      const start = line;
      line = scanned = end + 1;
      if (last === start) return true;
      body ??= readContentLength(data, start, last);
    }
  }

  return {
    remainder: "text",
    frame(data: Uint8Array): Frame | null {
      // No frame begins with a line end: these are between frames.
      if (data[0] === LF) return take(1);
      if (data[0] === CR) return data.length === 1 ? null : take(2);
      if (!inBody) {
        inBody = readHead(data);
        if (!inBody) return null;
      }
      if (body === undefined) {
        const end = data.indexOf(NUL, scanned);
        scanned = data.length;
        return end === -1 ? null : take(end + 1);
      }
      const end = line + body;
      if (data.length <= end) return null;
      if (data[end] !== NUL) {
        throw new SyntaxError(
          `Cannot frame message: no NUL follows its body of ${body} bytes`,
        );
      }
      return take(end + 1);
    },
  };
}

/** Parses the length in a header line; `undefined` if it is another header. */
function readContentLength(
  data: Uint8Array,
  start: number,
  end: number,
): number | undefined {
  const { length } = CONTENT_LENGTH;
  if (data[start + length] !== COLON) return undefined;
  for (let index = 0; index < length; index++) {
    if (data[start + index] !== CONTENT_LENGTH[index]) return undefined;
  }
  let value = 0;
  let first = start + length + 1;
  // STOMP 1.0 does not say whether white space is allowed.
  while (first < end && data[first] === SPACE) first++;
  for (let index = first; index < end; index++) {
    const digit = data[index]! - ZERO;
    if (digit < 0 || digit > 9) value = NaN;
    value = value * 10 + digit;
  }
  if (!(value <= MAX_BODY) || first === end) {
    const text = new TextDecoder().decode(data.subarray(first, end));
    throw new SyntaxError(
      `Cannot frame message: its content-length "${text}" is not a length`,
    );
  }
  return value;
}
