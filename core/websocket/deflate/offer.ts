/**
 * How permessage-deflate is agreed upon, RFC 7692 section 7.1, within the memory
 * that a connection may take for it.
 *
 * @module
 */

import { RequestError } from "../../errors.ts";

/** What was agreed upon. */
export interface DeflateParameters {
  /** Base-2 logarithm of the window for what the server sends, 9 to 15. */
  readonly serverBits: number;
  /** zlib's `memLevel` for it, 1 to 8. */
  readonly memoryLevel: number;
  /** Whether a message of the server may refer to those before it. */
  readonly serverTakeover: boolean;
  /** Base-2 logarithm of the window for what the client sends, 8 to 15. */
  readonly clientBits: number;
  /** Whether a message of the client may refer to those before it. */
  readonly clientTakeover: boolean;
}

/** An offer that is accepted. */
export interface AcceptedOffer {
  /** What holds for the WebSocket. */
  readonly parameters: DeflateParameters;
  /** Value of the response's `Sec-WebSocket-Extensions`. */
  readonly response: string;
}

const name = "permessage-deflate";

/** The largest window, as a base-2 logarithm. */
const mostBits = 15;

/** The smallest window that zlib compresses with without a header. */
const leastBits = 9;

/** Bytes: what an inflater of zlib takes beside its window, and our own objects. */
const inflaterSize = 12 * 1024;

/**
 * Bytes: what a deflater takes beside what depends on its parameters, and our
 * own objects. The runtime's zlib is zlib-ng, whose hash table has 128 KiB
 * whatever the window and `memLevel` are.
 */
const deflaterSize = 146 * 1024;

/**
 * Chooses the first of a client's offers that can be accepted.
 *
 * @param field The request's `Sec-WebSocket-Extensions`; `null` if it has none.
 * @param memory Bytes that the contexts of one connection may take.
 * @returns The offer that is accepted; `undefined` if there is none.
 * @throws {RequestError} 400 if the field is malformed.
 *
 * @example What Chromium offers
 * ```ts
 * import { acceptOffer } from "./offer.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const offer = "permessage-deflate; client_max_window_bits";
 * assertEquals(acceptOffer(offer, 400_000)?.response, "permessage-deflate");
 * assertEquals(
 *   acceptOffer(offer, 0)?.response,
 *   "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
 * );
 * ```
 */
export function acceptOffer(
  field: string | null,
  memory: number,
): AcceptedOffer | undefined {
  if (field === null) return undefined;
  for (const extension of parseExtensions(field)) {
    if (extension.name !== name) continue;
    const offer = readOffer(extension.parameters);
    if (offer !== undefined) return answer(offer, memory);
  }
  return undefined;
}

/** An offer that is valid, and that zlib can satisfy. */
interface Offer {
  readonly serverBits: number | undefined;
  readonly serverTakeover: boolean;
  /** What the client's window may be limited to; `undefined`: the client cannot limit it. */
  readonly clientBits: number | undefined;
  readonly clientTakeover: boolean;
}

/** Reads an offer; `undefined`: it has to be declined, RFC 7692 section 7.1. */
function readOffer(
  parameters: readonly Parameter[],
): Offer | undefined {
  const found = new Map<string, string | undefined>();
  for (const { name, value } of parameters) {
    if (found.has(name) || !isValid(name, value)) return undefined;
    found.set(name, value);
  }
  const serverBits = found.get("server_max_window_bits");
  // zlib takes a window of 2^9 instead, which such a client could not follow.
  if (serverBits === "8") return undefined;
  return {
    serverBits: serverBits === undefined ? undefined : Number(serverBits),
    serverTakeover: !found.has("server_no_context_takeover"),
    clientBits: found.has("client_max_window_bits")
      ? Number(found.get("client_max_window_bits") ?? mostBits)
      : undefined,
    clientTakeover: !found.has("client_no_context_takeover"),
  };
}

function isValid(name: string, value: string | undefined): boolean {
  switch (name) {
    case "server_no_context_takeover":
    case "client_no_context_takeover":
      return value === undefined;
    case "server_max_window_bits":
      return value !== undefined && bits.test(value);
    case "client_max_window_bits":
      return value === undefined || bits.test(value);
    default:
      return false;
  }
}

/** 8 to 15, without a leading zero. */
const bits = /^(?:[89]|1[0-5])$/;

function answer(offer: Offer, memory: number): AcceptedOffer {
  const parameters = chooseParameters(offer, memory);
  let response = name;
  if (!parameters.serverTakeover) response += "; server_no_context_takeover";
  if (!parameters.clientTakeover) response += "; client_no_context_takeover";
  if (offer.serverBits !== undefined) {
    response += `; server_max_window_bits=${parameters.serverBits}`;
  }
  if (offer.clientBits !== undefined && parameters.clientBits < mostBits) {
    response += `; client_max_window_bits=${parameters.clientBits}`;
  }
  return { parameters, response };
}

/**
 * Chooses the largest windows that fit into the memory. Where none do, messages
 * of one side do not refer to those before them: first those of the client, as
 * most of what goes through a bridge comes from its peer; then those of the
 * server, whose context needs most; then those of both.
 */
function chooseParameters(offer: Offer, memory: number): DeflateParameters {
  for (const [server, client] of takeovers) {
    for (let bits = mostBits; bits >= leastBits; bits--) {
      const chosen = {
        serverBits: Math.min(bits, offer.serverBits ?? mostBits),
        memoryLevel: Math.min(bits - 7, 8),
        serverTakeover: server && offer.serverTakeover,
        clientBits: Math.min(
          offer.clientBits !== undefined && client ? bits : mostBits,
          offer.clientBits ?? mostBits,
        ),
        clientTakeover: client && offer.clientTakeover,
      };
      if (sizeOf(chosen) <= memory) return chosen;
    }
  }
  throw new Error("Contexts that are not kept take no memory");
}

/** Whether contexts are kept, of the server and of the client, best first. */
const takeovers = [
  [true, true],
  [true, false],
  [false, true],
  [false, false],
] as const;

/** Bytes that the contexts of a connection take, as measured with zlib-ng. */
function sizeOf(parameters: DeflateParameters): number {
  const { serverBits, memoryLevel, clientBits } = parameters;
  const server = parameters.serverTakeover
    ? 2 ** (serverBits + 2) + 2 ** (memoryLevel + 8) + deflaterSize
    : 0;
  const client = parameters.clientTakeover ? 2 ** clientBits + inflaterSize : 0;
  return server + client;
}

/** An extension that is offered. */
interface Extension {
  readonly name: string;
  readonly parameters: readonly Parameter[];
}

/** A parameter of an extension. */
interface Parameter {
  readonly name: string;
  readonly value: string | undefined;
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";

/** A parameter: a name, and perhaps a value, which may be in quotes. */
const parameter = new RegExp(
  `[ \\t]*;[ \\t]*(${token})(?:[ \\t]*=[ \\t]*(?:(${token})|"(${token})"))?`,
  "y",
);

/** The name of an extension, after elements of the list that are empty. */
const start = new RegExp(`[ \\t,]*(${token})`, "y");

/** What ends an extension. */
const end = /[ \t]*(?:,|$)/y;

/** Parses a list of extensions, RFC 6455 section 9.1; a value in quotes is a token, too. */
function parseExtensions(field: string): Extension[] {
  const extensions: Extension[] = [];
  let position = 0;
  function take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = position;
    const match = pattern.exec(field);
    if (match === null) return undefined;
    position = pattern.lastIndex;
    return match;
  }
  while (!/^[ \t,]*$/.test(field.slice(position))) {
    const name = take(start)?.[1];
    const parameters: Parameter[] = [];
    for (let match = take(parameter); match; match = take(parameter)) {
      parameters.push({ name: match[1]!, value: match[2] ?? match[3] });
    }
    if (name === undefined || take(end) === undefined) {
      throw new RequestError(
        400,
        "Sec-WebSocket-Extensions is not a list of extensions",
      );
    }
    extensions.push({ name, parameters });
  }
  return extensions;
}
