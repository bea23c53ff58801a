/**
 * The lock of a plugin: a file with a line for each of its modules.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import { describeError } from "../errors.ts";

const line = /^sha256-([A-Za-z0-9+/]{43}=) +(\S.*)$/;

/**
 * Reads a lock.
 *
 * @param path Path of the file. Its lines are `sha256-HASH NAME`, the hash being
 * in base64, and the name the module's path from the plugin's own, `./NAME`, or
 * its URL; blank ones and those with `#` at their start mean nothing.
 * @returns The hashes, by name.
 * @throws {Error} If it cannot be read, or a line is none of these.
 */
export async function readLock(
  path: string,
): Promise<ReadonlyMap<string, string>> {
  let text: string;
  try {
    text = await Deno.readTextFile(absolutePath(path));
  } catch (error) {
    throw new Error(`cannot read its lock "${path}": ${describeError(error)}`);
  }
  const lock = new Map<string, string>();
  for (const [index, each] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(each)) continue;
    const [, sha256, name] = line.exec(each) ?? [];
    if (sha256 === undefined || name === undefined) {
      throw new SyntaxError(
        `${path}:${
          index + 1
        }: a line of a lock is sha256-, 32 bytes in base64, and the name of a module`,
      );
    }
    lock.set(name.trimEnd(), sha256);
  }
  return lock;
}
