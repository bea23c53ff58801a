/**
 * The `json` framing function for services that have one value on each line.
 *
 * @module
 */

import type { Frame, Framer } from "../../core/api.ts";
import { createDelimiterSearch } from "../delimiter.ts";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Makes a framer for JSON lines (NDJSON): each line is a text message, without
 * its end and the white space around it; empty lines are dropped. The content
 * of a line is not checked.
 *
 * A client's message becomes a line: line ends in it, which JSON only has
 * between values, become spaces, and one is added. A message of only white
 * space is dropped.
 *
 * @returns The framer.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createJsonLines } from "./lines.ts";
 *
 * const framer = createJsonLines();
 * const [data, message] = ['{"a":1}\r\n[2', '{\n  "a": 1\n}'].map((text) =>
 *   new TextEncoder().encode(text)
 * );
 *
 * assertEquals(framer.frame(data!, 11), {
 *   length: 9,
 *   type: "text",
 *   start: 0,
 *   end: 7,
 * });
 * assertEquals(
 *   new TextDecoder().decode(framer.encode!(message!, "text")),
 *   '{   "a": 1 }\n',
 * );
 * ```
 */
export function createJsonLines(): Framer {
  const find = createDelimiterSearch(new Uint8Array([LF]));
  return {
    frame(data: Uint8Array, fresh: number): Frame | null {
      const length = find(data, fresh);
      return length === 0 ? null : frameLine(data, length);
    },
    end: (data) => frameLine(data, data.length),
    encode: encodeLine,
  };
}

function frameLine(data: Uint8Array, length: number): Frame {
  let end = length;
  while (end > 0 && isSpace(data[end - 1]!)) end--;
  if (end === 0) return { length, type: "discard" };
  let start = 0;
  while (isSpace(data[start]!)) start++;
  return { length, type: "text", start, end };
}

function encodeLine(message: Uint8Array): Uint8Array {
  let end = message.length;
  while (end > 0 && isSpace(message[end - 1]!)) end--;
  if (end === 0) return message.subarray(0, 0);
  const line = new Uint8Array(end + 1);
  line.set(end === message.length ? message : message.subarray(0, end));
  for (const byte of [LF, CR]) {
    for (let at = line.indexOf(byte); at !== -1; at = line.indexOf(byte, at)) {
      line[at] = SPACE;
    }
  }
  line[end] = LF;
  return line;
}

/** White space of JSON (RFC 8259 section 2). */
function isSpace(byte: number): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB;
}
