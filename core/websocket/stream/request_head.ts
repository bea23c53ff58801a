/**
 * Reads the head of a request as WebSocket clients send it, without an HTTP
 * parser.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { sliceTrimmed } from "../token.ts";

/** The head of a GET request without a body. */
export interface RequestHeadText {
  /** Its target: a path, and perhaps a query string. */
  readonly target: string;
  /** Names and values of its fields in turn, as sent; each character is a byte. */
  readonly fields: readonly string[];
  /** Its length in bytes. */
  readonly length: number;
}

/** Most fields of a head that is read here. */
const maxFields = 128;

/**
 * A whole head, RFC 9112 sections 3 and 5, without anything that a recipient may
 * tolerate: one space between the words of the request line, CRLF at the end of
 * each line, a colon right after each name, no line folding, no control
 * characters. Group 1 is the target, in origin form; group 2 is the field lines.
 */
const HEAD =
  /^GET (\/[!"$-~]*) HTTP\/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n)*)\r\n/;

/** Fields of a request with a body, or with an expectation. */
const MORE = /^(?:content-length|transfer-encoding|expect)$/i;

/**
 * Reads the head of a request that is complete and plain: `GET`, HTTP/1.1, a
 * path as its target, no body. `node:http` handles any other one, so that only
 * one parser decides about unusual requests.
 *
 * @param bytes What was read of a connection so far.
 * @returns The head; `undefined` if `node:http` is to read it.
 *
 * @example Usage
 * ```ts
 * import { readRequestHead } from "./request_head.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const head = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n";
 * assertEquals(readRequestHead(new TextEncoder().encode(`${head}...`)), {
 *   target: "/chat",
 *   fields: ["Host", "a", "Upgrade", "x"],
 *   length: head.length,
 * });
 * ```
 */
export function readRequestHead(
  bytes: Uint8Array,
): RequestHeadText | undefined {
  const { buffer, byteOffset, length } = bytes;
  const text = Buffer.from(buffer, byteOffset, length).toString("latin1");
  const match = HEAD.exec(text);
  if (match === null) return undefined;
  const [head, target = "", lines = ""] = match;
  const fields: string[] = [];
  for (let start = 0; start < lines.length;) {
    const colon = lines.indexOf(":", start);
    const end = lines.indexOf("\r", colon);
    const name = lines.slice(start, colon);
    if (MORE.test(name)) return undefined;
    fields.push(name, sliceTrimmed(lines, colon + 1, end));
    start = end + "\r\n".length;
  }
  return fields.length > maxFields * 2
    ? undefined
    : { target, fields, length: head.length };
}
