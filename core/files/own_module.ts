/**
 * Whether the program may read its own modules, as its workers have to.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/**
 * Tells whether a worker can be started from a module; Deno would report it from
 * within the worker.
 *
 * @param module URL of the module.
 * @returns How to run the program instead; `undefined` if it can be.
 */
export function whyUnreadable(module: string): string | undefined {
  // A compiled program needs no permission to read what is in it.
  if (Deno.build.standalone || !module.startsWith("file:")) return undefined;
  const path = new URL(module);
  const { state } = Deno.permissions.querySync({ name: "read", path });
  if (state === "granted") return undefined;
  const folder = fileURLToPath(new URL(".", module));
  return `run it with "--allow-read=${folder}"`;
}
