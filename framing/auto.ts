/**
 * The `auto` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";

/**
 * Makes a framer that sends each read at once, as text if it is valid UTF-8 and
 * as a binary message otherwise.
 *
 * It always answers the type `"text"`: a text message that is not valid UTF-8
 * is sent as a binary one.
 *
 * @param _config Not used.
 * @returns The framer.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createAuto } from "./auto.ts";
 *
 * const data = new TextEncoder().encode("hello");
 *
 * assertEquals(createAuto("").frame(data, 5), { length: 5, type: "text" });
 * ```
 */
export function createAuto(_config: string): Framer {
  // An empty datagram, for which `frame` is not called, is text, too.
  return { frame: frameAll, remainder: "text" };
}

function frameAll(data: Uint8Array): Frame {
  return { length: data.length, type: "text" };
}
