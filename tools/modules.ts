/**
 * What belongs to the program though no import leads to it.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import manifest from "../deno.json" with { type: "json" };

/**
 * Packages that are imported only when they are needed, by a name that Deno
 * does not follow: their names, and what Deno loads by them.
 */
export const lazyPackages: ReadonlyMap<string, string> = new Map(([
  "@opentelemetry/api",
  "acorn",
  "bcryptjs",
  "fresh",
  "jose",
  "mime-types",
  "range-parser",
] as const).map((name) => [name, manifest.imports[name]]));

const root = join(import.meta.dirname!, "..");

/**
 * Finds the modules that the program starts by their URL, as workers and
 * processes: `deno compile` does not find them through imports.
 *
 * @returns Their paths.
 */
export async function startedModules(): Promise<string[]> {
  const core = join(root, "core");
  const found: string[] = [];
  for (const name of await readdir(core, { recursive: true })) {
    if (!name.endsWith(".ts")) continue;
    const path = join(core, name);
    const source = await readFile(path, "utf8");
    for (
      const [, module] of source.matchAll(
        /new URL\(\s*"(\.[^"]+\.ts)",\s*import\.meta\.url/g,
      )
    ) found.push(join(dirname(path), module!));
  }
  return [...new Set(found)].sort();
}
