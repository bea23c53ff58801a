/**
 * The `fixedlength` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";

/** The longest message that can be asked for, in bytes: 2 GiB. */
const MAX_LENGTH = 2 ** 31;

/**
 * Makes a framer that cuts the stream into binary messages of one length.
 *
 * @param config The length in bytes, a decimal number from 1 to 2147483648.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is not a decimal number.
 * @throws {RangeError} If the length is out of range.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createFixedLength } from "./fixedlength.ts";
 *
 * const framer = createFixedLength("4");
 *
 * assertEquals(framer.frame(new Uint8Array(6), 6), { length: 4, type: "binary" });
 * assertEquals(framer.frame(new Uint8Array(2), 2), null);
 * ```
 */
export function createFixedLength(config: string): Framer {
  const length = parseLength(config);

  return {
    frame(data: Uint8Array): Frame | null {
      return data.length < length ? null : { length, type: "binary" };
    },
  };
}

function parseLength(config: string): number {
  const digits = config.trim();
  if (!/^\d+$/.test(digits)) {
    throw new SyntaxError(
      `Cannot use length "${config}": it must be a decimal number`,
    );
  }
  const length = Number(digits);
  if (length < 1 || length > MAX_LENGTH) {
    throw new RangeError(
      `Cannot use length "${config}": it must be from 1 to ${MAX_LENGTH}`,
    );
  }
  return length;
}
