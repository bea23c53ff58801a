/**
 * The `dynamic32` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";

/** The largest offset and the largest static length, in bytes: 2 GiB. */
const MAX_LENGTH = 2 ** 31;

/** Where a message has its length. */
export interface Dynamic32Options {
  /**
   * How many bytes precede the 32-bit length.
   *
   * @default {0}
   */
  readonly offset: number;
  /**
   * How many bytes a message has in addition to `offset`, the 4 bytes of the
   * length and the length itself; negative if the length counts some of them.
   *
   * @default {0}
   */
  readonly static: number;
  /**
   * The order of the bytes of the length.
   *
   * @default {"little"}
   */
  readonly endian: "little" | "big";
  /**
   * Whether the 4 bytes of the length are removed from messages for the client,
   * and added to its own.
   *
   * @default {false}
   */
  readonly wrap: boolean;
}

/**
 * Makes a framer for messages that carry their length as an unsigned 32-bit
 * number: each has `offset + 4 + static + N` bytes, N being the number at
 * `offset`, and is sent whole as a binary message.
 *
 * The framer's `frame` throws a `RangeError` for a message whose length would
 * be less than 1, or, with `wrap`, would not contain its whole length. Its
 * `encode` throws one for a message that is shorter than `offset`.
 *
 * @param config Any of `offset=0`, `static=0`, `endian=little` and `wrap`,
 * separated by commas; see {@linkcode Dynamic32Options}.
 * @returns The framer.
 * @throws {SyntaxError} If a key is unknown or repeated or a value is malformed.
 * @throws {RangeError} If a number is out of range.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createDynamic32 } from "./dynamic32.ts";
 *
 * const framer = createDynamic32("offset=1, endian=big");
 * const data = new Uint8Array([0x51, 0, 0, 0, 2, 0xaa, 0xbb, 0x52]);
 *
 * assertEquals(framer.frame(data, 8), { length: 7, type: "binary" });
 * assertEquals(framer.frame(data.subarray(7), 1), null);
 * ```
 */
export function createDynamic32(config: string): Framer {
  const options = parseDynamic32(config);
  const littleEndian = options.endian === "little";
  const { offset, wrap } = options;
  const headLength = offset + 4;

  function measure(data: Uint8Array): number {
    if (data.length < headLength) return 0;
    const value = readUint32(data, offset, littleEndian);
    const length = headLength + options.static + value;
    if (length < (wrap ? headLength : 1)) {
      throw new RangeError(
        `Cannot frame message: its length ${value} makes it ${length} bytes long`,
      );
    }
    return data.length < length ? 0 : length;
  }

  function frame(data: Uint8Array): Frame | null {
    const length = measure(data);
    return length === 0 ? null : { length, type: "binary" };
  }

  function frameUnwrapped(data: Uint8Array): Frame | null {
    const length = measure(data);
    if (length === 0) return null;
    if (offset === 0) return { length, type: "binary", start: 4 };
    const message = new Uint8Array(length - 4);
    message.set(data.subarray(0, offset));
    message.set(data.subarray(headLength, length), offset);
    return { length, type: "binary", message };
  }

  function encode(message: Uint8Array): Uint8Array {
    const value = message.length - offset - options.static;
    if (message.length < offset || value < 0 || value >= 2 ** 32) {
      throw new RangeError(
        `Cannot encode message: with ${message.length} bytes its length would be ${value}`,
      );
    }
    const bytes = new Uint8Array(message.length + 4);
    bytes.set(message.subarray(0, offset));
    new DataView(bytes.buffer).setUint32(offset, value, littleEndian);
    bytes.set(message.subarray(offset), headLength);
    return bytes;
  }

  return wrap ? { frame: frameUnwrapped, encode } : { frame };
}

/**
 * Parses the configuration of `dynamic32`.
 *
 * @param config The configuration as it was written.
 * @returns The options, defaults filled in.
 * @throws {SyntaxError} If a key is unknown or repeated or a value is malformed.
 * @throws {RangeError} If a number is out of range.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseDynamic32 } from "./dynamic32.ts";
 *
 * assertEquals(parseDynamic32("static=-4"), {
 *   offset: 0,
 *   static: -4,
 *   endian: "little",
 *   wrap: false,
 * });
 * ```
 */
export function parseDynamic32(config: string): Dynamic32Options {
  const values = new Map<string, string>();
  let wrap = false;
  for (const pair of config.trim() === "" ? [] : config.split(",")) {
    if (pair.trim() === "wrap") {
      if (wrap) throw dynamic32Error(config, '"wrap" is repeated');
      wrap = true;
      continue;
    }
    const [, key, value] = /^\s*(\w+)\s*=\s*(\S+)\s*$/.exec(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw dynamic32Error(
        config,
        `"${pair}" is not of the form KEY=VALUE, nor wrap`,
      );
    }
    if (key !== "offset" && key !== "static" && key !== "endian") {
      throw dynamic32Error(
        config,
        `"${key}" is not one of offset, static, endian`,
      );
    }
    if (values.has(key)) throw dynamic32Error(config, `"${key}" is repeated`);
    values.set(key, value);
  }
  const endian = values.get("endian") ?? "little";
  if (endian !== "little" && endian !== "big") {
    throw dynamic32Error(
      config,
      `endian "${endian}" is not one of little, big`,
    );
  }
  return {
    offset: parseNumber(config, "offset", values.get("offset") ?? "0", 0),
    static: parseNumber(
      config,
      "static",
      values.get("static") ?? "0",
      -MAX_LENGTH,
    ),
    endian,
    wrap,
  };
}

function parseNumber(
  config: string,
  key: string,
  value: string,
  min: number,
): number {
  if (!/^[+-]?\d+$/.test(value)) {
    throw dynamic32Error(config, `${key} "${value}" is not a decimal number`);
  }
  const number = Number(value);
  if (number < min || number > MAX_LENGTH) {
    throw new RangeError(
      `Cannot use dynamic32 "${config}": ${key} "${value}" is not from ${min} to ${MAX_LENGTH}`,
    );
  }
  return number;
}

function readUint32(
  data: Uint8Array,
  offset: number,
  littleEndian: boolean,
): number {
  const a = data[offset]!;
  const b = data[offset + 1]!;
  const c = data[offset + 2]!;
  const d = data[offset + 3]!;
  const value = littleEndian
    ? a | b << 8 | c << 16 | d << 24
    : a << 24 | b << 16 | c << 8 | d;
  return value >>> 0;
}

function dynamic32Error(config: string, why: string): SyntaxError {
  return new SyntaxError(`Cannot use dynamic32 "${config}": ${why}`);
}
