/**
 * The framing of messages that end with a delimiter, which `separator` and
 * `newline` share.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";
import { createDelimiterSearch } from "./delimiter.ts";

/** Options for {@linkcode createDelimited}. */
export interface DelimitedOptions {
  /** What ends a message, one byte or more. */
  readonly delimiter: Uint8Array;
  /** The type of the messages, and of what is left when the peer ends. */
  readonly type: "text" | "binary";
  /** Whether messages are sent to the client without the delimiter. */
  readonly strip: boolean;
  /**
   * Whether the delimiter is added to messages of the client that do not end
   * with it.
   */
  readonly append: boolean;
}

/**
 * Makes a framer that waits for a delimiter and sends the bytes before it, with
 * the delimiter unless `strip` is set.
 *
 * @param options The delimiter, and what to do with it.
 * @returns The framer.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createDelimited } from "./delimited.ts";
 *
 * const framer = createDelimited({
 *   delimiter: new Uint8Array([13, 10]),
 *   type: "text",
 *   strip: true,
 *   append: false,
 * });
 * const data = new TextEncoder().encode("one\r\ntwo");
 *
 * assertEquals(framer.frame(data, 8), { length: 5, type: "text", end: 3 });
 * ```
 */
export function createDelimited(options: DelimitedOptions): Framer {
  const { delimiter, type, strip, append } = options;
  const find = createDelimiterSearch(delimiter);
  const size = delimiter.length;

  function frame(data: Uint8Array, fresh: number): Frame | null {
    const length = find(data, fresh);
    return length === 0 ? null : { length, type };
  }

  function frameStripped(data: Uint8Array, fresh: number): Frame | null {
    const length = find(data, fresh);
    return length === 0 ? null : { length, type, end: length - size };
  }

  return {
    frame: strip ? frameStripped : frame,
    remainder: type,
    ...append && { append: delimiter },
  };
}
