/**
 * A framing plugin for websocksy: each message of a stream of length-prefixed
 * protobuf messages is one binary message.
 *
 * The framing function is named `varint` and needs no permission:
 *
 *     [core]
 *     port = 8001
 *
 *     [plugin varint]
 *     url = https://example.org/varint_framing.ts
 *
 *     [backend]
 *     host = tcp://127.0.0.1:7000
 *     framing = varint
 *     framing-config = strip
 *
 * Its configuration is one of
 *
 * - nothing: a message goes out with its prefix, as it came;
 * - `strip`: it goes out without. The client can hand it to its protobuf library
 *   as it is.
 *
 * The prefix is the message's length in bytes as a base-128 varint of 1 to 5
 * bytes: 7 bits in each, the lowest first, and the highest bit says that one
 * more follows. This is what `writeDelimitedTo` of protobuf's Java library
 * writes, `SerializeDelimitedToOstream` of the one for C++, and so on. A fifth
 * byte that announces a sixth, and a length of 2 GiB or more, which no protobuf
 * message has, are malformed: the connection is closed with 1011. So it is, with
 * 1009, if a message is larger than the option `max-message` allows.
 *
 * Only what the peer sends is framed. What the client sends is written to the
 * peer as it is: the client puts the prefix before its messages itself, in
 * either configuration.
 *
 * Source of the format: protobuf's documentation, "Encoding", section "Base 128
 * Varints" <https://protobuf.dev/programming-guides/encoding/#varints>;
 * "Techniques", section "Streaming Multiple Messages"
 * <https://protobuf.dev/programming-guides/techniques/#streaming>; "Proto
 * Limits" <https://protobuf.dev/programming-guides/proto-limits/>.
 *
 * @module
 */

import type { CreateFraming, Frame, Framer } from "@websocksy/websocksy/api";

/** The version of websocksy's plugin interface that this module is written for. */
export const apiVersion = 1;

/** The framing functions of this plugin, by name. */
export const framings: Record<string, CreateFraming> = { varint: createVarint };

/** Most bytes that a prefix may take. */
const MAX_PREFIX_BYTES = 5;

/** A message is shorter than this many bytes. */
const LENGTH_LIMIT = 2 ** 31;

/** The prefix at the start of a message. */
interface Prefix {
  /** How many bytes it takes. */
  readonly size: number;
  /** The length that it gives, in bytes. */
  readonly length: number;
}

/**
 * Makes a framer for protobuf messages with a varint before each.
 *
 * @param config Empty, or `strip`.
 * @returns The framer. Its `frame` throws a `RangeError` for a prefix of more
 * than five bytes, and for a length of 2 GiB or more.
 * @throws {TypeError} If `config` is something else.
 */
export function createVarint(config: string): Framer {
  const option = config.trim();
  if (option !== "" && option !== "strip") {
    throw new TypeError(
      `Cannot use varint "${config}": it must be empty or "strip"`,
    );
  }
  return option === "strip" ? createStripping() : { frame: frameWhole };
}

function frameWhole(data: Uint8Array): Frame | null {
  const prefix = parsePrefix(data);
  if (prefix === null) return null;
  const length = prefix.size + prefix.length;
  return length > data.length ? null : { length, type: "binary" };
}

function createStripping(): Framer {
  /** Length of the message whose prefix was dropped; 0: a prefix comes next. */
  let length = 0;
  return {
    frame(data: Uint8Array): Frame | null {
      if (length === 0) {
        const prefix = parsePrefix(data);
        if (prefix === null) return null;
        // All of its fields have their default values.
        if (prefix.length === 0) {
          return { length: prefix.size, type: "binary", end: 0 };
        }
        length = prefix.length;
        return { length: prefix.size, type: "discard" };
      }
      if (data.length < length) return null;
      const frame: Frame = { length, type: "binary" };
      length = 0;
      return frame;
    },
  };
}

/** The prefix at the start of `data`; `null` while it is not complete. */
function parsePrefix(data: Uint8Array): Prefix | null {
  let length = 0;
  for (let index = 0; index < MAX_PREFIX_BYTES; index++) {
    const byte = data[index];
    if (byte === undefined) return null;
    length += (byte & 0x7f) * 0x80 ** index;
    if (byte >= 0x80) continue;
    if (length >= LENGTH_LIMIT) {
      throw new RangeError(
        `Cannot frame protobuf message: its length ${length} is not less than ${LENGTH_LIMIT}`,
      );
    }
    return { size: index + 1, length };
  }
  throw new RangeError(
    `Cannot frame protobuf message: its prefix takes more than ${MAX_PREFIX_BYTES} bytes`,
  );
}
