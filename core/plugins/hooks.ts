/**
 * Lets modules be imported whose sources are in memory.
 *
 * It is evaluated on its own in a plugin's sandbox, and so imports nothing but
 * types and built-in modules.
 *
 * @module
 */

import {
  type LoadFnOutput,
  registerHooks,
  type ResolveFnOutput,
} from "node:module";

/** The modules of a program, in memory. */
export interface ModuleSources {
  /** URL of the module that is imported first. */
  readonly entry: string;
  /** Their JavaScript, by URL. */
  readonly modules: ReadonlyMap<string, string>;
  /** URLs that lead to another one, which has the module. */
  readonly redirects: ReadonlyMap<string, string>;
}

/** Options for {@linkcode importFromMemory}. */
export interface ImportFromMemoryOptions {
  /**
   * Stands before the URL of each of the modules, which are then apart from
   * others of the same URL, and which Deno does not try to fetch by itself.
   *
   * @default {""}
   */
  readonly prefix?: string;
  /**
   * Whether no import of this thread, whoever asks for it, may lead to a
   * package of a registry: Deno would download it without asking for a permission.
   *
   * @default {false}
   */
  readonly confined?: boolean;
}

/**
 * Imports a module whose source is in memory, as are those that it imports.
 *
 * @param sources The modules.
 * @param options How.
 * @returns The namespace of the entry.
 * @throws {Error} What importing it throws.
 */
export function importFromMemory(
  { entry, modules, redirects }: ModuleSources,
  { prefix = "", confined = false }: ImportFromMemoryOptions = {},
): Promise<Record<string, unknown>> {
  const served = new Map<string, string>();
  for (const [url, source] of modules) served.set(prefix + url, source);
  registerHooks({
    resolve(specifier, context, nextResolve): ResolveFnOutput {
      const { parentURL = "" } = context;
      const isOurs = specifier.startsWith(prefix) ||
        parentURL.startsWith(prefix);
      const url = resolve(
        withoutPrefix(specifier, prefix),
        withoutPrefix(parentURL, prefix),
        redirects,
      );
      const own = `${prefix}${url}`;
      if (isOurs && served.has(own)) {
        return { url: own, format: "module", shortCircuit: true };
      }
      if (
        confined && !/^(node|data|blob|file|https?):/.test(url ?? specifier)
      ) {
        throw new TypeError(
          `Cannot import "${specifier}": a plugin imports paths, URLs and node: modules`,
        );
      }
      return nextResolve(specifier, context);
    },
    load(url, context, nextLoad): LoadFnOutput {
      const source = served.get(url);
      if (source === undefined) return nextLoad(url, context);
      return { format: "module", source, shortCircuit: true };
    },
  });
  return import(prefix + entry);
}

function withoutPrefix(url: string, prefix: string): string {
  return url.startsWith(prefix) ? url.slice(prefix.length) : url;
}

function resolve(
  specifier: string,
  parent: string,
  redirects: ReadonlyMap<string, string>,
): string | undefined {
  // A bare name is none of our modules, whatever it is relative to.
  if (!/^(\.{0,2}\/|[a-z][a-z\d+.-]*:)/i.test(specifier)) return undefined;
  try {
    const url = parent === "" ? new URL(specifier) : new URL(specifier, parent);
    url.hash = "";
    return redirects.get(url.href) ?? url.href;
  } catch {
    return undefined;
  }
}
