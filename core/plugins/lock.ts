/**
 * The lock of a plugin: a file with a line for each of its modules, how it is
 * read, and how it is made.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import { isSpecifier, noGrants } from "../config/plugin_options.ts";
import type { Config } from "../config/config.ts";
import { ConfigError, describeError } from "../errors.ts";
import { ModuleLoader } from "./source.ts";

const line = /^sha256-([A-Za-z0-9+/]{43}=) +(\S.*)$/;

/**
 * Reads a lock.
 *
 * @param path Path of the file. Its lines are `sha256-HASH NAME`, the hash
 * being in base64, and the name the module's path from the plugin's own,
 * `./NAME`, or its URL; blank lines and those that start with `#` are ignored.
 * @returns The hashes, by name.
 * @throws {Error} If it cannot be read, or a line is malformed.
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

/**
 * Makes a lock: of the plugin's own module, of all that it imports, and of what
 * `import()` has as a text in it. Nothing of them runs.
 *
 * @param plugin Name of a plugin of the configuration, whose `import` then holds,
 * or path or URL of a plugin's own module.
 * @param config The configuration.
 * @returns The lines of the lock.
 * @throws {ConfigError} If there is no such plugin, or one of its modules cannot
 * be read.
 */
export async function makeLock(
  plugin: string,
  { core, plugins }: Config,
): Promise<string> {
  const declared = plugins.find(({ name }) => name === plugin);
  if (declared === undefined && !isSpecifier(plugin)) {
    throw new ConfigError(
      `no plugin has the name "${plugin}", and it is neither a path nor a URL`,
      "--lock-plugin",
    );
  }
  const {
    specifier = plugin,
    sha256,
    trusted = false,
    grants = noGrants,
    origin = "--lock-plugin",
  } = declared ?? {};
  const recorded = new Map<string, string>();
  const loader = new ModuleLoader(specifier, {
    timeout: core.connectTimeout * 1000,
    sha256,
    hosts: grants.import,
    confined: !trusted,
    recorded,
  });
  try {
    await loader.load();
  } catch (error) {
    throw new ConfigError(
      `cannot lock plugin "${plugin}": ${describeError(error)}`,
      origin,
      { cause: error },
    );
  }
  return Array.from(recorded, ([name, sha256]) => `sha256-${sha256} ${name}`)
    .join("\n");
}
