/**
 * Requests of HTTP: reads the head of a plain one, and makes the request that
 * the rest of the server gets of what an engine has read: its target, its
 * fields, what it asks for, and what is wrong with it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { RequestError } from "../errors.ts";
import { parseIp } from "../net/ip_address.ts";
import type { RequestHead, RequestHeaders } from "./engine.ts";

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
 * import { readRequestHead } from "./request.ts";
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

/** The destination of a request, according to its request line. */
export interface RequestTarget {
  /** A path, and perhaps a query string. */
  readonly target: string;
  /** The host that it names, where it was a whole URL. */
  readonly authority?: string;
}

/** What an engine reads of a request. */
export type RawRequest =
  & RequestTarget
  & Pick<
    RequestHead,
    "method" | "headers" | "remote" | "local" | "certificate" | "fault"
  >;

/**
 * Makes a request of what an engine has read.
 *
 * @param raw What it has read, and what it found wrong.
 * @returns The request.
 */
export function parseRequest(raw: RawRequest): RequestHead {
  const { method, target, remote, local, certificate } = raw;
  const asksForWebSocket = names(raw.headers, "upgrade", "websocket");
  const headers = asksForWebSocket ? raw.headers : withHost(raw);
  const fault = raw.fault ?? findFault(raw);
  const question = target.indexOf("?");
  return {
    method,
    target,
    endpoint: question < 0 ? target : target.slice(0, question),
    query: question < 0 ? "" : target.slice(question + 1),
    headers,
    asksForWebSocket,
    remote,
    ...(local !== undefined && { local }),
    ...(certificate !== undefined && { certificate }),
    ...(fault !== undefined && { fault }),
  };
}

/**
 * Where no `Host` names the host, the URL does: so it is in each request of
 * HTTP/2, which `native` speaks with TLS, for pages. The URL that Deno makes for
 * a Unix socket has no host.
 */
function withHost({ headers, authority }: RawRequest): RequestHeaders {
  if (
    authority === undefined || !isHost(authority) ||
    headers.get("host") !== null
  ) return headers;
  const complete = new Headers([...headers]);
  complete.set("host", authority);
  return complete;
}

/** The source of a regular expression for a token, RFC 9110 section 5.6.2. */
export const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";

const WHOLE = new RegExp(`^${TOKEN}$`);

/**
 * Reports whether a text is a token.
 *
 * @param text The text.
 */
export function isToken(text: string): boolean {
  return WHOLE.test(text);
}

/**
 * Cuts a part out of a text, without optional white space around it, RFC 9110
 * section 5.6.3. `trim` would cut off more.
 *
 * @param text The text.
 * @param start Offset of the part.
 * @param end Offset of its end.
 * @returns The part.
 */
export function sliceTrimmed(
  text: string,
  start: number,
  end: number,
): string {
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(character: number): boolean {
  return character === 0x20 || character === 0x09;
}

/**
 * Lists the elements of a field that is a comma-separated list, repeated or not.
 *
 * @param headers The header fields.
 * @param name Name of the field, in lower case.
 * @returns Its elements; none if it is missing.
 */
export function listOf(headers: RequestHeaders, name: string): string[] {
  return (headers.get(name) ?? "").split(",")
    .map((element) => sliceTrimmed(element, 0, element.length))
    .filter((element) => element !== "");
}

/**
 * Tells whether a field that is a list has an element, in any case.
 *
 * @param headers The header fields.
 * @param name Name of the field, in lower case.
 * @param element The element, in lower case.
 */
export function names(
  headers: RequestHeaders,
  name: string,
  element: string,
): boolean {
  return listOf(headers, name).some((each) => each.toLowerCase() === element);
}

/**
 * Header fields as they came. Few of them are ever asked for: a `Headers` is
 * made only where all of them are wanted.
 */
export class RawHeaders implements RequestHeaders {
  #raw: readonly string[];

  /**
   * Constructs a new instance.
   *
   * @param raw Names and values in turn.
   */
  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  get(name: string): string | null {
    let found: string | null = null;
    for (let index = 0; index < this.#raw.length; index += 2) {
      const field = this.#raw[index]!;
      if (field.length !== name.length || field.toLowerCase() !== name) {
        continue;
      }
      const value = this.#raw[index + 1]!;
      found = found === null ? value : found + separatorOf(name) + value;
    }
    return found;
  }

  [Symbol.iterator](): Iterator<[name: string, value: string]> {
    const headers = new Headers();
    for (let index = 0; index < this.#raw.length; index += 2) {
      headers.append(this.#raw[index]!, this.#raw[index + 1]!);
    }
    const cookies = this.get("cookie");
    if (cookies !== null) headers.set("cookie", cookies);
    return headers.entries();
  }
}

/** What joins the values of a field that has come more than once. */
function separatorOf(name: string): string {
  return name === "cookie" ? "; " : ", ";
}

/** A name or an address, IPv6 in brackets, and perhaps a port (RFC 9110 section 7.2). */
const HOST =
  /^(?:\[([0-9a-f:.]+)\]|[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*\.?)(?::(\d{0,5}))?$/i;

/**
 * Names the host that a request is for.
 *
 * @param headers Its header fields; `Host` was checked.
 * @returns The host in lower case, without a port, the brackets of IPv6 and a
 * dot at its end; empty if the client has not named it.
 *
 * @example Usage
 * ```ts
 * import { hostOf } from "./request.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(hostOf(new Headers({ host: "App.Example.:8001" })), "app.example");
 * assertEquals(hostOf(new Headers({ host: "[::1]:8001" })), "::1");
 * ```
 */
export function hostOf(headers: RequestHeaders): string {
  const [host = ""] = /^(?:\[[^\]]*\]|[^:]*)/.exec(headers.get("host") ?? "") ??
    [];
  return host.replace(/^\[|\]$|\.$/g, "").toLowerCase();
}

/** A path and perhaps a query string (RFC 9112 section 3.2.1): a fragment is never sent. */
const TARGET = /^\/[!"$-~]*$/;

/**
 * Tells whether a value is a host, as `Host` has it.
 *
 * @param value The value.
 */
export function isHost(value: string): boolean {
  const match = HOST.exec(value);
  if (match === null || Number(match[2] ?? 0) > 65535) return false;
  return match[1] === undefined ||
    match[1].includes(":") && parseIp(match[1]) !== undefined;
}

/**
 * Finds why a request must be refused: a proxy in front may have understood it
 * differently.
 */
function findFault(
  { method, target, authority, headers }: RawRequest,
): RequestError | undefined {
  const host = headers.get("host");
  if (host !== null && !isHost(host)) {
    return new RequestError(
      400,
      host.includes(",")
        ? "Host is named more than once"
        : "Host is not a host",
    );
  }
  // These have no path, and are refused for their method.
  if (method === "CONNECT" || method === "OPTIONS" && target === "*") {
    return undefined;
  }
  if (!TARGET.test(target)) {
    return new RequestError(400, "the target of the request is not a path");
  }
  if (
    authority !== undefined && host !== null &&
    authority.toLowerCase() !== host.toLowerCase()
  ) {
    return new RequestError(
      400,
      "the target of the request and its Host name different hosts",
    );
  }
  return undefined;
}

/** A whole URL, RFC 9112 section 3.2.2: `new URL` would normalise it. */
const ABSOLUTE = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)(.*)$/is;

/**
 * Parses the target of a request.
 *
 * @param target A path, a whole URL, `*` or, for CONNECT, a host.
 * @returns The path and perhaps a query string, as sent; and the host, if it is
 * a whole URL.
 */
export function parseTarget(target: string): RequestTarget {
  const match = ABSOLUTE.exec(target);
  if (match === null) return { target };
  const [, authority = "", path = ""] = match;
  return { authority, target: path.startsWith("/") ? path : `/${path}` };
}

/**
 * Parses the URL that `Deno.serve` has made of the target of a request. For a
 * path it puts a scheme and the `Host` field in front, whatever that is: the
 * path begins only behind it.
 *
 * @param request The request.
 * @returns As of {@linkcode parseTarget}.
 */
export function parseServedUrl(
  { method, url, headers }: Pick<Request, "method" | "url" | "headers">,
): RequestTarget {
  const rest = url.slice(url.indexOf("://") + "://".length);
  if (method === "CONNECT") return { target: rest };
  const host = headers.get("host") ?? "";
  if (host === "" || !rest.startsWith(`${host}/`)) return parseTarget(url);
  const target = rest.slice(host.length);
  if (target === "/*" && method === "OPTIONS") return { target: "*" };
  // A URL without a host is made a path.
  return EMPTY_AUTHORITY.test(target)
    ? parseTarget(target.slice(1))
    : { target };
}

const EMPTY_AUTHORITY = /^\/[a-z][a-z0-9+.-]*:\/\/(?:[/?#]|$)/i;
