/**
 * Imports a plugin that is trusted into the program itself.
 *
 * @module
 */

import type { Backend } from "../api.ts";
import { describeError } from "../errors.ts";
import { checkBackend, checkExports, type PluginExports } from "./exports.ts";
import { MemoryModules } from "./hooks.ts";
import { importFunction, type ModuleSources } from "./messages.ts";

/** Imports a module by its name, for the module of a URL. */
type ImportFor = (
  importer: string,
  specifier: string,
) => Promise<Record<string, unknown>>;

/** What `import()` does in each plugin, by what stands before its URLs. */
const importers = new Map<string, ImportFor>();

/**
 * Imports a plugin's modules. Each call imports them again.
 *
 * The server also reads what they import later, because a compiled program
 * cannot load a module from a URL.
 *
 * @param sources The modules.
 * @param load Reads a module that one of them imports while it runs.
 * @returns What they export.
 * @throws {Error} If importing them throws, or they are no plugin.
 */
export async function importTrusted(
  sources: ModuleSources,
  load: (specifier: string, importer: string) => Promise<ModuleSources>,
): Promise<PluginExports> {
  const prefix = `plugin-${importers.size + 1}-`;
  const modules = new MemoryModules({ prefix });
  modules.add(sources);
  importers.set(prefix, async (importer, specifier) => {
    // Deno has these built in, or their URL contains their text.
    if (/^(?:node|data|blob):/.test(specifier)) return await import(specifier);
    const found = modules.find(specifier, importer);
    if (found !== undefined) return await modules.import(found);
    const later = await load(specifier, importer).catch((error) => {
      throw new TypeError(`Cannot import ${describeError(error)}`);
    });
    modules.add(later);
    return await modules.import(later.entry);
  });
  defineImport();
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

function defineImport(): void {
  if (importFunction in globalThis) return;
  Object.defineProperty(globalThis, importFunction, {
    async value(url: string, specifier: unknown): ReturnType<ImportFor> {
      const [prefix] = /^plugin-\d+-/.exec(url)!;
      return await importers.get(prefix)!(
        url.slice(prefix.length),
        `${specifier}`,
      );
    },
  });
}
