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
import type { ModuleSources } from "./messages.ts";

/** Options for {@linkcode MemoryModules}. */
export interface MemoryModulesOptions {
  /**
   * Precedes the URL of each module, so that the modules differ from others of
   * the same URL and Deno does not try to fetch them.
   *
   * @default {""}
   */
  readonly prefix?: string;
  /**
   * Tells whether any code of this thread may import a module that is not in
   * memory.
   *
   * @default {() => true}
   */
  readonly mayImport?: (specifier: string) => boolean;
}

/** Modules in memory that can be imported. */
export class MemoryModules {
  #prefix: string;
  #modules = new Map<string, string>();
  #redirects = new Map<string, string>();

  /**
   * Makes them known to all imports of this thread.
   *
   * @param options How.
   */
  constructor(
    { prefix = "", mayImport = (): boolean => true }: MemoryModulesOptions = {},
  ) {
    this.#prefix = prefix;
    registerHooks({
      resolve: (specifier, context, nextResolve): ResolveFnOutput => {
        const { parentURL = "" } = context;
        const isOurs = specifier.startsWith(prefix) ||
          parentURL.startsWith(prefix);
        const url = this.find(
          withoutPrefix(specifier, prefix),
          withoutPrefix(parentURL, prefix),
        );
        if (isOurs && url !== undefined) {
          return { url: prefix + url, format: "module", shortCircuit: true };
        }
        if (!mayImport(specifier)) {
          throw new TypeError(
            `Cannot import "${specifier}": a plugin imports its own modules`,
          );
        }
        return nextResolve(specifier, context);
      },
      load: (url, context, nextLoad): LoadFnOutput => {
        const source = url.startsWith(prefix)
          ? this.#modules.get(url.slice(prefix.length))
          : undefined;
        if (source === undefined) return nextLoad(url, context);
        return { format: "module", source, shortCircuit: true };
      },
    });
  }

  /**
   * Adds modules.
   *
   * @param sources The modules.
   */
  add({ modules, redirects }: ModuleSources): void {
    modules.forEach((source, url) => {
      if (!this.#modules.has(url)) this.#modules.set(url, source);
    });
    redirects.forEach((to, from) => this.#redirects.set(from, to));
  }

  /**
   * Finds a module.
   *
   * @param specifier How it is named.
   * @param importer URL of the module that names it; empty: nothing.
   * @returns Its URL; `undefined` if it is not here.
   */
  find(specifier: string, importer: string): string | undefined {
    const url = resolveSpecifier(specifier, importer);
    if (url === undefined) return undefined;
    const target = this.#redirects.get(url) ?? url;
    return this.#modules.has(target) ? target : undefined;
  }

  /**
   * Imports one of them.
   *
   * @param url Its URL.
   * @returns Its namespace.
   * @throws {Error} What importing it throws.
   */
  import(url: string): Promise<Record<string, unknown>> {
    return import(this.#prefix + url);
  }
}

function withoutPrefix(url: string, prefix: string): string {
  return url.startsWith(prefix) ? url.slice(prefix.length) : url;
}

/**
 * Resolves the name of a module.
 *
 * @param specifier A path or a URL.
 * @param importer URL of the module that names it; empty: nothing.
 * @returns Its URL; `undefined` for a bare name, and for what is not a URL.
 */
export function resolveSpecifier(
  specifier: string,
  importer: string,
): string | undefined {
  // A bare name cannot be one of these modules.
  if (!/^(?:\.{0,2}\/|[a-z][a-z\d+.-]*:)/i.test(specifier)) return undefined;
  const url = importer === ""
    ? URL.parse(specifier)
    : URL.parse(specifier, importer);
  if (url === null) return undefined;
  url.hash = "";
  return url.href;
}
