/**
 * The `text` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";
import { endOfCharacters, isValidUtf8 } from "../core/websocket/utf8.ts";
import { parseWords } from "./words.ts";

/**
 * Makes a framer that sends each read at once, as text. The up to three bytes
 * of an incomplete character at its end wait for the rest.
 *
 * Bytes that are not UTF-8 become U+FFFD, as in the WHATWG's Encoding Standard;
 * so does an incomplete character when the peer ends.
 *
 * @param config `binary`: a read with bytes that are not UTF-8 is sent
 * unchanged, as a binary message. Empty: see above.
 * @returns The framer.
 * @throws {SyntaxError} If the configuration is something else.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createText } from "./text.ts";
 *
 * const framer = createText("");
 * const euro = new TextEncoder().encode("1€");
 *
 * assertEquals(framer.frame(euro.subarray(0, 3), 3), { length: 1, type: "text" });
 * assertEquals(framer.frame(euro.subarray(1, 3), 2), null);
 * assertEquals(framer.frame(new Uint8Array([0x31, 0xff]), 2), {
 *   length: 2,
 *   type: "text",
 *   message: new TextEncoder().encode("1\ufffd"),
 * });
 * ```
 */
export function createText(config: string): Framer {
  const words = parseWords(config, { framing: "text", words: ["binary"] });
  const whole = words.has("binary") ? asItCame : replaceInvalid;
  return {
    remainder: "text",
    frame(data: Uint8Array): Frame | null {
      const length = endOfCharacters(data, 0, data.length);
      return length === 0 ? null : whole(data, length);
    },
    end: (data) => whole(data, data.length),
  };
}

/** The bridge sends it as binary if it is not valid UTF-8. */
function asItCame(_data: Uint8Array, length: number): Frame {
  return { length, type: "text" };
}

function replaceInvalid(data: Uint8Array, length: number): Frame {
  if (isValidUtf8(data, 0, length)) return { length, type: "text" };
  const text = decoder.decode(data.subarray(0, length));
  return { length, type: "text", message: encoder.encode(text) };
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
