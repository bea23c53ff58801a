/**
 * Converts requests of `node:http`, and checks what it does not check.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { RemoteAddress } from "../../api.ts";
import { RequestError } from "../../errors.ts";
import { toInternetRemote } from "../../net/address.ts";
import { parseRequest, parseTarget, RawHeaders } from "../request.ts";
import { TOKEN } from "../request.ts";
import type { ClientCertificate, HttpRequest, RequestHead } from "../engine.ts";
import { HttpConnection } from "./http_connection.ts";

/** Bytes: the largest head of a request, as Deno's own server has it. */
export const maxHead = 64 * 1024;

/** Most header fields of a request, as Deno's own server has it. */
const maxFields = 128;

/**
 * Converts a request of `node:http`.
 *
 * @param request The request.
 * @returns What it says.
 */
export function readRequest(request: IncomingMessage): RequestHead {
  const { method = "", url = "", rawHeaders, socket } = request;
  const fault = refusalOf(socket) ?? findHeadFault(request);
  return parseRequest({
    method,
    ...parseTarget(url),
    headers: new RawHeaders(rawHeaders),
    ...addressesOf(socket),
    ...certificateOf(socket),
    ...(fault !== undefined && { fault }),
  });
}

/**
 * Converts a request that `node:http` could not parse.
 *
 * @param socket Its connection.
 * @param error What `node:http` says of it.
 * @returns The request, which has little but its fault; `undefined` if the
 * client cannot be answered over HTTP.
 */
export function readMalformed(
  socket: Duplex,
  error: ParseError,
): RequestHead | undefined {
  const fault = faultOf(error);
  const [, method = "", target = ""] = lineOf(error) ?? [];
  return fault && parseRequest({
    method,
    target,
    headers: new Headers(),
    ...addressesOf(socket),
    fault: refusalOf(socket) ?? fault,
  });
}

/** An error of the parser of `node:http`. */
export interface ParseError extends Error {
  /** Which one. */
  readonly code?: string;
  /** What was parsed. */
  readonly rawPacket?: Uint8Array;
  /** How much of that was understood. */
  readonly bytesParsed?: number;
}

/**
 * Completes a request on whose connection no WebSocket can be opened.
 *
 * @param stream Its socket, or what is closed with it.
 * @returns Its signal, and how it is not accepted.
 */
export function notUpgradable(
  stream: Duplex | ServerResponse,
): Pick<HttpRequest, "signal" | "accept"> {
  const controller = new AbortController();
  stream.once("close", () => {
    controller.abort(new Error("The client is gone"));
  });
  return { signal: controller.signal, accept: () => undefined };
}

/** The certificate that a client has shown with TLS. */
function certificateOf(
  { clientCertificate: certificate }: Duplex & Certified,
): Pick<RequestHead, "certificate"> {
  return certificate === undefined ? {} : { certificate };
}

/** Returns the refusal of every request on a connection. */
function refusalOf(socket: Duplex): RequestError | undefined {
  return socket instanceof HttpConnection ? socket.refusal : undefined;
}

/** Finds faults that the parser lets pass. */
function findHeadFault(
  { httpVersion, rawHeaders }: IncomingMessage,
): RequestError | undefined {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return malformed();
  // All of them count: the last one may be the one that matters.
  if (rawHeaders.length <= maxFields * 2) return undefined;
  return new RequestError(
    431,
    `request has more than ${maxFields} header fields`,
  );
}

function faultOf(error: ParseError): RequestError | undefined {
  const { code = "" } = error;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new RequestError(408, "request took too long");
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return new RequestError(
      431,
      `request head is larger than ${maxHead} bytes`,
    );
  }
  if (!code.startsWith("HPE_")) return undefined;
  return hasUnknownMethod(error)
    ? new RequestError(405, "method not allowed: use GET", {
      headers: { allow: "GET" },
    })
    : malformed();
}

function malformed(): RequestError {
  return new RequestError(400, "malformed request");
}

/** Whether the only fault is a method that the parser does not know. */
function hasUnknownMethod(error: ParseError): boolean {
  const method = lineOf(error)?.[1];
  return method !== undefined && (error.bytesParsed ?? 0) <= method.length;
}

/** A request line, RFC 9112 section 3. */
const LINE = new RegExp(`^(${TOKEN}) (/[!-~]*) HTTP/1\\.[01]\\r\\n`);

/** The request line, if what was parsed begins with one: method and target. */
function lineOf({ rawPacket }: ParseError): RegExpExecArray | null {
  const start = rawPacket?.subarray(0, longestLine) ?? new Uint8Array();
  return LINE.exec(new TextDecoder("latin1").decode(start));
}

/** Longest line of a malformed request that is logged, in bytes. */
const longestLine = 8192;

/** The addresses of both ends. */
export function addressesOf(
  socket: Duplex & Addresses,
): Pick<RequestHead, "remote" | "local"> {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return {
    remote: toRemote(remoteAddress, remotePort),
    local: toRemote(localAddress, localPort),
  };
}

/** What a socket of `node:net`, or one that looks like it, has. */
interface Addresses {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** What the socket of a client that has shown a certificate has, too. */
interface Certified {
  readonly clientCertificate?: ClientCertificate;
}

function toRemote(address?: string, port?: number): RemoteAddress {
  return address === undefined || port === undefined
    ? { address: "unix" }
    : toInternetRemote(address, port);
}
