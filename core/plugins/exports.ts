/**
 * Checks what a plugin's module exports, and what its functions answer.
 *
 * @module
 */

import { apiVersion, type Backend, type CreateFraming } from "../api.ts";

/** What the module of a plugin exports. */
export interface PluginExports {
  /** Makes its backend; absent: it has none. */
  readonly createBackend?: () => Backend | Promise<Backend>;
  /** Its framing functions, by name. */
  readonly framings: Readonly<Record<string, CreateFraming>>;
}

/**
 * Checks what a module exports.
 *
 * @param module Its namespace.
 * @returns Its exports that count.
 * @throws {TypeError} If they are not those of a plugin.
 */
export function checkExports(module: Record<string, unknown>): PluginExports {
  const { apiVersion: version, createBackend, framings } = module;
  if (version === undefined) throw new TypeError("it exports no apiVersion");
  if (version !== apiVersion) {
    throw new TypeError(
      `it is written for apiVersion ${String(version)}, not ${apiVersion}`,
    );
  }
  if (createBackend === undefined && framings === undefined) {
    throw new TypeError("it exports neither createBackend nor framings");
  }
  if (createBackend !== undefined && typeof createBackend !== "function") {
    throw new TypeError("its createBackend is not a function");
  }
  return {
    ...(createBackend !== undefined && {
      createBackend: createBackend as () => Backend | Promise<Backend>,
    }),
    framings: checkFramings(framings),
  };
}

function checkFramings(
  framings: unknown = {},
): Readonly<Record<string, CreateFraming>> {
  if (typeof framings !== "object" || framings === null) {
    throw new TypeError("its framings is not an object");
  }
  const entries = Object.entries(framings);
  for (const [name, create] of entries) {
    if (typeof create !== "function") {
      throw new TypeError(`its framing "${name}" is not a function`);
    }
    // A configuration could not name it: there, a name ends at white space.
    if (!/^[^\s,]+$/.test(name)) {
      throw new TypeError(`the name of its framing "${name}" is not valid`);
    }
  }
  return Object.fromEntries(entries);
}

/**
 * Checks what a plugin's `createBackend` answered.
 *
 * @param backend The answer.
 * @throws {TypeError} If it is no backend.
 */
export function checkBackend(backend: unknown): asserts backend is Backend {
  const isObject = typeof backend === "object" && backend !== null;
  const query = isObject && "query" in backend ? backend.query : undefined;
  if (typeof query !== "function") {
    throw new TypeError("its createBackend() made nothing that has a query()");
  }
}
