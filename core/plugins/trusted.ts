/**
 * Imports a plugin that is trusted into the program itself.
 *
 * @module
 */

import type { Backend } from "../api.ts";
import { checkBackend, checkExports, type PluginExports } from "./exports.ts";
import { MemoryModules } from "./hooks.ts";
import type { ModuleSources } from "./messages.ts";

let count = 0;

/**
 * Imports a plugin's modules. Each call imports them anew.
 *
 * @param sources The modules.
 * @returns What they export.
 * @throws {Error} If importing them throws, or they are no plugin.
 */
export async function importTrusted(
  sources: ModuleSources,
): Promise<PluginExports> {
  const modules = new MemoryModules({ prefix: `plugin-${++count}-` });
  modules.add(sources);
  const { createBackend, framings } = checkExports(
    await modules.import(sources.entry),
  );
  if (createBackend === undefined) return { framings };
  async function createChecked(): Promise<Backend> {
    const backend: unknown = await createBackend!();
    checkBackend(backend);
    return backend;
  }
  return { createBackend: createChecked, framings };
}
