/**
 * The framing functions that give back, of what an echoing peer returns, the
 * messages that the client has sent: with what configurations, and for which
 * messages.
 *
 * @module
 */

import fc from "fast-check";
import { isValidUtf8 } from "../../core/websocket/utf8.ts";
import { encode } from "./framing_driver.ts";

/** A message of a client. */
export interface ClientMessage {
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether it is a text message; its bytes are valid UTF-8 then. */
  readonly text: boolean;
}

/** A framing function that is its own inverse. */
export interface InverseFraming {
  /** Its name. */
  readonly name: string;
  /** Its configuration. */
  readonly config: string;
  /** Whether a message comes back as text where it can. */
  readonly text: boolean;
  /** The messages that it can tell apart. */
  readonly bytes: fc.Arbitrary<Uint8Array<ArrayBuffer>>;
}

/** Any bytes, those often that mean something in one protocol or another. */
const byte = fc.oneof(
  fc.constantFrom(...encode('\r\n\0{}"ab,é€😀 ')),
  fc.nat(255),
);

/** Any message; a few are longer than a read or the header of a short frame. */
const anyBytes = fc.oneof(
  { weight: 20, arbitrary: fc.array(byte, { maxLength: 40 }).map(toBytes) },
  { weight: 10, arbitrary: fc.string({ unit: "binary" }).map(encodeText) },
  {
    weight: 1,
    arbitrary: fc.record({
      length: fc.constantFrom(125, 126, 300, 4096, 65_535, 65_536, 70_000),
      fill: fc.constantFrom(0x61, 0x20, 0xff),
    }).map(({ length, fill }) => new Uint8Array(length).fill(fill)),
  },
);

function toBytes(bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Where bytes begin in others; -1: nowhere. */
function indexOf(data: Uint8Array, part: Uint8Array): number {
  for (let index = 0; index + part.length <= data.length; index++) {
    if (part.every((byte, at) => data[index + at] === byte)) return index;
  }
  return -1;
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Messages of which the end that is added to them is the first that they have. */
function without(end: string): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const bytes = encode(end);
  return anyBytes.filter((message) =>
    indexOf(join(message, bytes), bytes) === message.length
  );
}

/** Messages that have an end. */
function ending(end: string): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  return without(end).map((message) => join(message, encode(end)));
}

function atLeast(length: number): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  return anyBytes.map((bytes) =>
    bytes.length < length ? join(bytes, new Uint8Array(length)) : bytes
  );
}

function withLength(
  bytes: Uint8Array<ArrayBuffer>,
  littleEndian: boolean,
): Uint8Array<ArrayBuffer> {
  const message = join(new Uint8Array(4), bytes);
  new DataView(message.buffer).setUint32(0, bytes.length, littleEndian);
  return message;
}

const json = fc.json({ maxDepth: 3 }).map(encodeText);

const stompFrame = fc.record({
  body: anyBytes,
  eol: fc.constantFrom("\n", "\r\n"),
}).map(({ body, eol }) =>
  join(
    encode(`SEND${eol}content-length:${body.length}${eol}${eol}`),
    body,
    encode("\0"),
  )
);

/** The framing functions, with each of their words. */
export const inverseFramings: readonly InverseFraming[] = [
  newline("crlf", "\r\n"),
  newline("lfcr", "\n\r"),
  newline("lf", "\n"),
  newline("cr", "\r"),
  {
    name: "newline",
    config: "any,strip,append",
    text: true,
    bytes: anyBytes.filter((bytes) =>
      !bytes.includes(13) && !bytes.includes(10)
    ),
  },
  { name: "newline", config: "crlf", text: true, bytes: ending("\r\n") },
  separator("\\0", "\0"),
  separator("\\r\\n.\\r\\n", "\r\n.\r\n"),
  separator("aab", "aab"),
  separator(",", ","),
  { name: "separator", config: "\\0", text: false, bytes: ending("\0") },
  {
    name: "fixedlength",
    config: "7,pad",
    text: false,
    bytes: anyBytes.map((bytes) => join(bytes, new Uint8Array(7)).slice(0, 7)),
  },
  dynamic32("wrap", anyBytes),
  dynamic32("wrap,endian=big,static=-4", anyBytes),
  dynamic32("offset=1,static=-4,endian=big,wrap", atLeast(1)),
  dynamic32("offset=3,static=2,wrap", atLeast(5)),
  dynamic32("", anyBytes.map((bytes) => withLength(bytes, true))),
  dynamic32("endian=big", anyBytes.map((bytes) => withLength(bytes, false))),
  { name: "json", config: "lines", text: true, bytes: json },
  {
    name: "json",
    config: "",
    text: true,
    // A number ends with the byte behind it: the white space of the next value.
    bytes: json.filter((bytes) =>
      !/^[-\d]/.test(String.fromCharCode(bytes[0]!))
    ),
  },
  { name: "stomp", config: "", text: true, bytes: stompFrame },
];

function newline(config: string, end: string): InverseFraming {
  return {
    name: "newline",
    config: `${config},strip,append`,
    text: true,
    bytes: without(end),
  };
}

function separator(config: string, end: string): InverseFraming {
  return {
    name: "separator",
    config: `${config},strip,append`,
    text: false,
    bytes: without(end),
  };
}

function dynamic32(
  config: string,
  bytes: InverseFraming["bytes"],
): InverseFraming {
  return { name: "dynamic32", config, text: false, bytes };
}

/** Messages for a framing function: text and binary ones. */
export function messagesFor(
  { bytes }: InverseFraming,
): fc.Arbitrary<ClientMessage[]> {
  const message = fc.record({ bytes, asText: fc.boolean() }).map((
    { bytes, asText },
  ): ClientMessage => ({ bytes, text: asText && isValidUtf8(bytes) }));
  return fc.array(message, { maxLength: 12 });
}

/** What is to come back for a message. */
export function returned(
  { text }: InverseFraming,
  { bytes }: ClientMessage,
): ClientMessage {
  return { bytes, text: text && isValidUtf8(bytes) };
}
