/**
 * Reads the answers of directories: which peer they name. Nothing in them is
 * trusted; what they name is checked once more where it is opened. No error
 * quotes an answer: a client may have asked for something that is not its own,
 * and errors are logged.
 *
 * @module
 */

import type { PeerInfo } from "../../core/api.ts";
import {
  formatHost,
  hasScheme,
  parseAddress,
  type PeerAddress,
} from "../../core/net/address.ts";

/** Most peers of one answer; further ones are left out. */
export const maxPeers = 16;

/** Fields of an answer that are handed on as they are, if they are text. */
const TEXT_FIELDS = [
  "framing",
  "framingConfig",
  "protocol",
  "proxyProtocol",
  "tlsCa",
  "tlsFingerprint",
  "tlsName",
] as const;

/**
 * Parses the text of an answer.
 *
 * @param text JSON, as {@linkcode toPeer} reads it, if it begins with `{` or
 * `[`; otherwise `HOST:PORT`, `unix_socket:PATH` or an address with a scheme,
 * several separated by commas. White space around it is ignored.
 * @returns The peer; `undefined` if the text is empty, or `null`.
 * @throws {SyntaxError} If it names none.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseAnswer } from "./answer.ts";
 *
 * assertEquals(parseAnswer("db.test:5432\n"), { address: "tcp://db.test:5432" });
 * assertEquals(parseAnswer('{"host": "::1", "port": 23, "framing": "binary"}'), {
 *   address: "tcp://[::1]:23",
 *   framing: "binary",
 * });
 * ```
 */
export function parseAnswer(text: string): PeerInfo | undefined {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed === "null") return undefined;
  if (!/^[{[]/.test(trimmed) || /^\[[0-9a-f:.]+\]:\d+$/i.test(trimmed)) {
    return withAddresses(parsePeers(trimmed));
  }
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch {
    throw new SyntaxError("the answer is not JSON");
  }
  return toPeer(value);
}

/**
 * Makes a peer of what a directory holds: a JSON value, or fields by name.
 *
 * @param value An object with `address` or `peer`, a text as for
 * {@linkcode parseAnswer} or a list of them; or with `host` and `port`, where
 * `host` may have the port, too; and perhaps `framing`, `framingConfig` and the
 * other fields of a {@linkcode PeerInfo}. A name may also be written as
 * `framing-config` or `framing_config`. Or a list of peers, of which the first
 * one says the other fields.
 * @returns The peer; `undefined` for `null`, and an empty list.
 * @throws {SyntaxError} If it names none, or a field is not what it has to be.
 */
export function toPeer(value: unknown): PeerInfo | undefined {
  if (value === null || value === undefined) return undefined;
  const items = (Array.isArray(value) ? value : [value]).slice(0, maxPeers);
  if (items.length === 0) return undefined;
  const fields = items.map(toFields);
  const peer = withAddresses(fields.flatMap(addressesOf));
  if (peer === undefined) throw new SyntaxError("the answer names no peer");
  return { ...peer, ...othersOf(fields[0]!) };
}

type Fields = Readonly<Record<string, unknown>>;

/** The fields of an object, by the names that a {@linkcode PeerInfo} has. */
function toFields(item: unknown): Fields {
  if (typeof item === "string") return { address: item };
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    throw new SyntaxError("the answer is neither an object nor a text");
  }
  return Object.fromEntries(
    Object.entries(item).map(([name, field]) => [
      name.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      field,
    ]),
  );
}

function addressesOf(fields: Fields): string[] {
  const { address = fields.peer, host, port } = fields;
  if (address !== undefined && address !== null) {
    const list = Array.isArray(address) ? address : [address];
    return list.slice(0, maxPeers).flatMap((each) => {
      if (typeof each === "string") return parsePeers(each);
      throw new SyntaxError("the answer's address is not text");
    });
  }
  if (typeof host !== "string") {
    throw new SyntaxError("the answer has neither an address nor a host");
  }
  if (port === undefined || port === null) return [parsePeer(host)];
  if (typeof port !== "string" && typeof port !== "number") {
    throw new SyntaxError("the answer's port is not a number");
  }
  return [toAddress(host, `${port}`)];
}

function othersOf(fields: Fields): Omit<PeerInfo, "address"> {
  const others: Record<string, string> = {};
  for (const name of TEXT_FIELDS) {
    const value = fields[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== "string") {
      throw new SyntaxError(`the answer's ${name} is not text`);
    }
    others[name] = value;
  }
  return others;
}

/**
 * Makes a peer of addresses.
 *
 * @param addresses The addresses, in the order in which they are to be tried.
 * @returns The peer; `undefined` if there is no address.
 */
export function withAddresses(
  addresses: readonly string[],
): PeerInfo | undefined {
  const [first, ...others] = addresses.slice(0, maxPeers);
  if (first === undefined) return undefined;
  return { address: others.length === 0 ? first : [first, ...others] };
}

/** A path may have commas: one that comes first is the only peer. */
function parsePeers(text: string): string[] {
  const isPath = /^\s*unix/i.test(text);
  return (isPath ? [text] : text.split(",")).map(parsePeer);
}

/**
 * Parses one peer: an address with a scheme, or as websockify has them, `HOST` or
 * `unix_socket`, its last colon, and what follows.
 */
function parsePeer(text: string): string {
  const peer = text.trim();
  if (hasScheme(peer)) return checkAddress(peer);
  const colon = peer.lastIndexOf(":");
  if (colon <= 0) throw new SyntaxError("the answer is not HOST:PORT");
  return toAddress(peer.slice(0, colon), peer.slice(colon + 1));
}

function toAddress(host: string, port: string): string {
  if (host === "unix_socket") {
    const path = port.trim();
    // What begins with @ is a file for websockify.
    return checkAddress(`unix://${path.startsWith("@") ? "./" : ""}${path}`);
  }
  if (hasScheme(host)) return checkAddress(`${host}:${port}`);
  // Only an IPv6 literal gets brackets: no other host has a colon.
  const name = /^[0-9a-f:.]+(?:%.*)?$/i.test(host) ? formatHost(host) : host;
  return checkAddress(`tcp://${name}:${port}`);
}

function checkAddress(address: string): string {
  let parsed: PeerAddress;
  try {
    parsed = parseAddress(address);
  } catch {
    throw new SyntaxError("the answer has an address that cannot be parsed");
  }
  if ("hostname" in parsed && parsed.port === undefined) {
    throw new SyntaxError("the answer has an address without a port");
  }
  return address;
}
