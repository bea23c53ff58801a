/**
 * The `binary` framing function.
 *
 * @module
 */

import type { Frame, Framer } from "../core/api.ts";

/**
 * Makes a framer that sends each read at once, as a binary message.
 *
 * @param _config Not used.
 * @returns The framer.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createBinary } from "./binary.ts";
 *
 * const data = new TextEncoder().encode("hello");
 *
 * assertEquals(createBinary("").frame(data, 5), { length: 5, type: "binary" });
 * ```
 */
export function createBinary(_config: string): Framer {
  return { frame: frameAll };
}

function frameAll(data: Uint8Array): Frame {
  return { length: data.length, type: "binary" };
}
