/**
 * Paths, as they are meant where the program was started.
 *
 * @module
 */

import { resolve } from "node:path";

/**
 * The working directory belongs to the whole process: what changes it later, be
 * it a plugin that is trusted, moves nothing that a configuration names.
 */
const startDirectory = Deno.cwd();

/**
 * Makes a path absolute.
 *
 * @param path A path, from the directory in which the program was started.
 * @returns The path from the root; `@NAME`, which names an abstract socket, stays.
 */
export function absolutePath(path: string): string {
  return path.startsWith("@") ? path : resolve(startDirectory, path);
}
