/**
 * From where a plugin is to its modules, in memory: the plugin's own and those
 * that it imports.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { pathToFileURL } from "node:url";
import { decodeText } from "../config/text.ts";
import {
  type FetchedModule,
  fetchModule,
  type FetchModuleOptions,
} from "./fetch.ts";
import type { ModuleSources } from "./hooks.ts";

/** Most modules that a plugin may consist of. */
export const maxModules = 256;
/** Most bytes that they may have, together. */
export const maxTotalBytes = 16 * 1024 * 1024;

/** Options for {@linkcode loadSources}. */
export interface LoadSourcesOptions extends FetchModuleOptions {
  /** SHA-256 that the plugin's own module must have, in base64; absent: any. */
  readonly sha256?: string | undefined;
}

/** A module that is still to be read. */
interface Wanted {
  readonly url: string;
  /** URL of the module that imports it; absent for the first. */
  readonly importer?: string;
}

/**
 * Reads a plugin's module and all that it imports.
 *
 * @param specifier Path of the module, relative to the working directory, or its URL.
 * @param options Limits.
 * @returns The modules, as JavaScript.
 * @throws {Error} If one of them cannot be read or used.
 */
export async function loadSources(
  specifier: string,
  options: LoadSourcesOptions,
): Promise<ModuleSources> {
  const modules = new Map<string, string>();
  const redirects = new Map<string, string>();
  const start = toUrl(specifier);
  const known = new Set([start]);
  const queue: Wanted[] = [{ url: start }];
  let total = 0;
  for (const wanted of queue) {
    try {
      const module = await fetchModule(new URL(wanted.url), options);
      total += module.bytes.length;
      if (wanted.importer === undefined) {
        await checkHash(module, options.sha256);
      }
      if (total > maxTotalBytes) {
        throw new RangeError(
          `the plugin's modules have more than ${maxTotalBytes} bytes`,
        );
      }
      if (module.url !== wanted.url) redirects.set(wanted.url, module.url);
      if (modules.has(module.url)) continue;
      const source = toJavaScript(module);
      modules.set(module.url, source);
      for (const url of await findImports(source, module.url)) {
        if (known.has(url)) continue;
        known.add(url);
        queue.push({ url, importer: module.url });
        if (known.size > maxModules) {
          throw new RangeError(
            `the plugin has more than ${maxModules} modules`,
          );
        }
      }
    } catch (error) {
      throw new Error(describeWanted(wanted), { cause: error });
    }
  }
  return { entry: redirects.get(start) ?? start, modules, redirects };
}

function describeWanted({ url, importer }: Wanted): string {
  const by = importer === undefined ? "" : `, imported by "${importer}"`;
  return `"${url}"${by}`;
}

function toUrl(specifier: string): string {
  const url = /^[a-z]{2,}:/i.test(specifier)
    ? new URL(specifier)
    : pathToFileURL(specifier);
  if (!["file:", "http:", "https:"].includes(url.protocol)) {
    throw new TypeError(`"${specifier}" is neither a path nor an https: URL`);
  }
  url.hash = "";
  return url.href;
}

async function checkHash(
  { bytes }: FetchedModule,
  expected: string | undefined,
): Promise<void> {
  if (expected === undefined) return;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const actual = hash.toBase64();
  if (actual !== expected) {
    throw new Error(
      `its integrity is sha256-${actual}, not sha256-${expected}`,
    );
  }
}

function toJavaScript({ url, bytes, type }: FetchedModule): string {
  const decoded = decodeText(bytes);
  if (!("text" in decoded)) {
    throw new SyntaxError(`line ${decoded.line}: ${decoded.why}`);
  }
  // A byte order mark at the start means nothing.
  const text = decoded.text.replace(/^\uFEFF/, "");
  const isTypeScript = /\.m?ts$/.test(new URL(url).pathname) ||
    /^[^;]*typescript/i.test(type);
  return isTypeScript
    ? stripTypeScriptTypes(text, { mode: "transform", sourceUrl: url })
    : text;
}

/**
 * Not named within the `import` itself: Deno would look the package up at each
 * start, though only a program with plugins needs it.
 */
const lexer = "es-module-lexer";

/** Finds what a module imports under names that stand in its text. */
async function findImports(
  source: string,
  importer: string,
): Promise<string[]> {
  const { init, parse }: typeof import("es-module-lexer") = await import(lexer);
  await init;
  const [imports] = parse(source);
  return imports.flatMap(({ n: specifier, d: dynamic, a: attributes }) => {
    if (specifier === undefined || specifier.startsWith("node:")) return [];
    // Whether these may be imported while the plugin runs is up to its grants.
    if (dynamic >= 0 && !isRelative(specifier)) return [];
    if (attributes !== -1) {
      throw new TypeError(
        `it imports "${specifier}" as something other than JavaScript`,
      );
    }
    return [resolveImport(specifier, importer)];
  });
}

function resolveImport(specifier: string, importer: string): string {
  if (!isRelative(specifier) && !/^(https?|file):/.test(specifier)) {
    throw new TypeError(
      `it imports "${specifier}"; a plugin imports paths, URLs and node: modules`,
    );
  }
  const url = new URL(specifier, importer);
  if (url.protocol === "file:" && !importer.startsWith("file:")) {
    throw new TypeError(`it imports a file of this machine, "${specifier}"`);
  }
  url.hash = "";
  return url.href;
}

function isRelative(specifier: string): boolean {
  return /^\.{0,2}\//.test(specifier);
}
