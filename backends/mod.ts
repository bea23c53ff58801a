/**
 * The built-in backends, by name.
 *
 * @module
 */

import type { Backend } from "../core/api.ts";
import { createDefaultPeer } from "./defaultpeer.ts";
import { createFile } from "./file/file.ts";

/**
 * The built-in backends, by name.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { backends } from "./mod.ts";
 *
 * assertEquals(Object.keys(backends), ["defaultpeer", "file"]);
 * ```
 */
export const backends: Readonly<Record<string, () => Backend>> = Object.freeze({
  defaultpeer: createDefaultPeer,
  file: createFile,
});
