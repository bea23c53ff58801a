/**
 * Reads a plugin's module, and those that it imports, into memory.
 *
 * @module
 */

import { absolutePath } from "../absolute_path.ts";
import { pathToFileURL } from "node:url";
import { decodeText } from "../config/text.ts";
import {
  type FetchedModule,
  fetchModule,
  type FetchModuleOptions,
} from "./fetch.ts";
import { resolveSpecifier } from "./hooks.ts";
import { ImportBounds } from "./import_bounds.ts";
import type { ModuleSources } from "./messages.ts";
import { readModule, type StripTypes } from "./module_text.ts";
import { isNodeModule, mayImportNode } from "./node_modules.ts";

/** Most modules that a plugin may consist of. */
const maxModules = 256;
/** Most bytes that they may have, together. */
const maxTotalBytes = 16 * 1024 * 1024;

/** Options for {@linkcode ModuleLoader}. */
export interface ModuleLoaderOptions extends FetchModuleOptions {
  /** SHA-256 that the plugin's own module must have, in base64; absent: any. */
  readonly sha256?: string | undefined;
  /** SHA-256 of each module, in base64, by its name in the lock; absent: any. */
  readonly lock?: ReadonlyMap<string, string> | undefined;
  /**
   * The hosts beside its own that it may import from: `HOST` or `HOST:PORT`.
   *
   * @default {[]}
   */
  readonly hosts?: readonly string[];
  /**
   * Whether it may import only what is below its own directory or at its own
   * origin. A trusted plugin may import whatever the program may read.
   *
   * @default {true}
   */
  readonly confined?: boolean;
  /**
   * Takes the SHA-256 of each module that is read, in base64, by its name in the
   * lock. What a module's text names in an `import()` is then read, too.
   */
  readonly recorded?: Map<string, string>;
  /** Converts TypeScript to JavaScript; absent: this thread does. */
  readonly strip?: StripTypes | undefined;
}

/** A module that is still to be read. */
interface Wanted {
  readonly url: string;
  /** URL of the module that imports it; absent for the first. */
  readonly importer?: string;
}

/** What one URL led to. */
interface Known {
  /** Its URL, after all redirects. */
  readonly url: string;
  readonly source: string;
  readonly imports: readonly string[];
  readonly laterImports: readonly string[];
}

/** Reads a plugin's modules: at its start, and when it asks for more. */
export class ModuleLoader {
  #options: ModuleLoaderOptions;
  #entry: string;
  #bounds: Promise<ImportBounds>;
  #known = new Map<string, Known>();
  #attempts = 0;
  #totalBytes = 0;

  /**
   * Constructs a new instance.
   *
   * @param specifier Path of the plugin's module, or its URL.
   * @param options Limits.
   * @throws {TypeError} If it is neither.
   */
  constructor(specifier: string, options: ModuleLoaderOptions) {
    this.#options = options;
    this.#entry = toUrl(specifier);
    this.#bounds = ImportBounds.of(this.#entry, options.hosts ?? []);
    // Reading the module shows whether the directory exists.
    this.#bounds.catch(() => {});
  }

  /**
   * Reads the plugin's module and all that it imports.
   *
   * @returns The modules, as JavaScript.
   * @throws {Error} If one of them cannot be read or used.
   */
  async load(): Promise<ModuleSources> {
    return await this.#follow({ url: this.#entry });
  }

  /**
   * Reads a module that the plugin imports while it runs, and all that this one
   * imports.
   *
   * @param specifier What it names.
   * @param importer URL of the module that does.
   * @returns The modules.
   * @throws {Error} If one of them may not be imported, or cannot be.
   */
  async import(specifier: string, importer: string): Promise<ModuleSources> {
    return await this.#follow({ url: resolve(specifier, importer), importer });
  }

  async #follow(start: Wanted): Promise<ModuleSources> {
    const modules = new Map<string, string>();
    const redirects = new Map<string, string>();
    const queue = [start];
    const queued = new Set([start.url]);
    let entry = start.url;
    for (const wanted of queue) {
      try {
        const { url, source, ...named } = await this.#read(wanted);
        if (wanted === start) entry = url;
        if (url !== wanted.url) redirects.set(wanted.url, url);
        if (modules.has(url)) continue;
        modules.set(url, source);
        const imports = this.#options.recorded === undefined
          ? named.imports
          : [...named.imports, ...named.laterImports];
        for (const specifier of imports) {
          if (this.#isNodeModule(specifier)) continue;
          const found = resolve(specifier, url);
          if (queued.has(found)) continue;
          queued.add(found);
          queue.push({ url: found, importer: url });
        }
      } catch (error) {
        throw new Error(describeWanted(wanted), { cause: error });
      }
    }
    return { entry, modules, redirects };
  }

  #isNodeModule(specifier: string): boolean {
    if (!isNodeModule(specifier)) return false;
    if (this.#options.confined === false || mayImportNode(specifier)) {
      return true;
    }
    throw new TypeError(
      `it imports "${specifier}", which is closed to plugins that are isolated`,
    );
  }

  async #read(wanted: Wanted): Promise<Known> {
    const known = this.#known.get(wanted.url);
    if (known !== undefined) return known;
    // A failed read costs as much as a successful one, so it counts.
    if (++this.#attempts > maxModules) {
      throw new RangeError(`the plugin has more than ${maxModules} modules`);
    }
    const { confined = true, strip } = this.#options;
    const bounds = await this.#bounds;
    const module = await fetchModule(new URL(wanted.url), {
      ...this.#options,
      ...(confined && { bounds }),
    });
    this.#totalBytes += module.bytes.length;
    if (this.#totalBytes > maxTotalBytes) {
      throw new RangeError(
        `the plugin's modules have more than ${maxTotalBytes} bytes`,
      );
    }
    const name = bounds.nameOf(wanted.url);
    await this.#checkHash(module, name, wanted);
    const { bytes, ...place } = module;
    const text = decode(bytes);
    const read = await readModule(text, { ...place, confined, strip });
    const added = { url: module.url, ...read };
    this.#known.set(wanted.url, added);
    return added;
  }

  async #checkHash(
    { bytes }: FetchedModule,
    name: string,
    { importer }: Wanted,
  ): Promise<void> {
    const { sha256, lock, recorded } = this.#options;
    if ((sha256 ?? lock ?? recorded) === undefined) return;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const actual = hash.toBase64();
    if (importer === undefined && sha256 !== undefined) {
      checkEqual(actual, sha256);
    }
    recorded?.set(name, actual);
    if (lock === undefined) return;
    const locked = lock.get(name);
    if (locked === undefined) {
      throw new Error(
        `it is not in the plugin's lock: sha256-${actual} ${name}`,
      );
    }
    checkEqual(actual, locked);
  }
}

function checkEqual(actual: string, expected: string): void {
  if (actual === expected) return;
  throw new Error(
    `its integrity is sha256-${actual}, not sha256-${expected}`,
  );
}

function decode(bytes: Uint8Array): string {
  const decoded = decodeText(bytes);
  if (!("text" in decoded)) {
    throw new SyntaxError(`line ${decoded.line}: ${decoded.why}`);
  }
  // A byte order mark at the start is ignored.
  return decoded.text.replace(/^\uFEFF/, "");
}

function describeWanted({ url, importer }: Wanted): string {
  const by = importer === undefined ? "" : `, imported by "${importer}"`;
  return `"${url}"${by}`;
}

function toUrl(specifier: string): string {
  const url = /^[a-z]{2,}:/i.test(specifier)
    ? new URL(specifier)
    : pathToFileURL(absolutePath(specifier));
  if (!["file:", "http:", "https:"].includes(url.protocol)) {
    throw new TypeError(`"${specifier}" is neither a path nor an https: URL`);
  }
  url.hash = "";
  return url.href;
}

function resolve(specifier: string, importer: string): string {
  const url = resolveSpecifier(specifier, importer);
  if (url === undefined || !/^(?:https?|file):/.test(url)) {
    throw new TypeError(
      `it imports "${specifier}"; a plugin imports paths, URLs and node: modules`,
    );
  }
  return url;
}
