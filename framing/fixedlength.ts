/**
 * The `fixedlength` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";

/** The largest length, in bytes: 2 GiB. */
const MAX_LENGTH = 2 ** 31;

/** The largest length with padding, which needs that much memory: 16 MiB. */
const MAX_PADDED = 2 ** 24;

/**
 * Makes a framer that cuts the peer's bytes into binary messages of one length.
 *
 * @param config The length in bytes, a decimal number from 1 to 2147483648.
 * With `,pad` after it, zero bytes are added to messages of the client, up to
 * that length or a multiple of it; the length is then at most 16777216.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is malformed.
 * @throws {RangeError} If the length is out of range.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createFixedLength } from "./fixedlength.ts";
 *
 * const framer = createFixedLength("4,pad");
 *
 * assertEquals(framer.frame(new Uint8Array(6), 6), { length: 4, type: "binary" });
 * assertEquals(framer.frame(new Uint8Array(2), 2), null);
 * assertEquals(
 *   framer.encode!(new Uint8Array([1]), "binary"),
 *   new Uint8Array([1, 0, 0, 0]),
 * );
 * ```
 */
export function createFixedLength(config: string): Framer {
  const [digits, ...rest] = config.split(",");
  const pad = rest.length > 0;
  if (pad && rest.join(",").trim() !== "pad") {
    throw new SyntaxError(
      `Cannot use length "${config}": "${rest.join(",").trim()}" is not pad`,
    );
  }
  const length = parseLength(digits!, config, pad ? MAX_PADDED : MAX_LENGTH);

  function frame(data: Uint8Array): Frame | null {
    return data.length < length ? null : { length, type: "binary" };
  }

  function encode(message: Uint8Array): Uint8Array {
    const count = Math.max(1, Math.ceil(message.length / length));
    if (message.length === count * length) return message;
    const padded = new Uint8Array(count * length);
    padded.set(message);
    return padded;
  }

  return { frame, ...pad && { encode } };
}

function parseLength(text: string, config: string, most: number): number {
  const digits = text.trim();
  if (!/^\d+$/.test(digits)) {
    throw new SyntaxError(
      `Cannot use length "${config}": it must be a decimal number`,
    );
  }
  const length = Number(digits);
  if (length < 1 || length > most) {
    throw new RangeError(
      `Cannot use length "${config}": it must be from 1 to ${most}`,
    );
  }
  return length;
}
