/**
 * What the tests of what is delivered make it of.
 *
 * @module
 */

import { rmSync, statSync } from "node:fs";
import { bundle } from "../../tools/bundle.ts";

let bundled: Promise<string> | undefined;

/**
 * The bundle, made once for all files of tests that run in one process, or for
 * the whole run; compile_test.ts shows that another is the same.
 *
 * @returns Its directory, which no test changes.
 */
export function sharedBundle(): Promise<string> {
  return bundled ??= makeBundle();
}

async function makeBundle(): Promise<string> {
  const made = Deno.env.get("WEBSOCKSY_BUNDLE");
  if (made !== undefined) return made;
  const directory = await Deno.makeTempDir({ prefix: "websocksy-" });
  globalThis.addEventListener(
    "unload",
    () => rmSync(directory, { recursive: true }),
  );
  await bundle(directory);
  return directory;
}

/**
 * The program that takes the place of the runtime of compiled programs, which
 * may not be reachable. What is made with it does not run: `deno compile` only
 * appends to it, and so the smallest program does; a runtime has 100 MB, which
 * would be copied, compressed and searched.
 */
export const runtime: string = findRuntime();

function findRuntime(): string {
  const small = "/bin/true";
  if (Deno.build.os !== "linux") return Deno.execPath();
  return statSync(small, { throwIfNoEntry: false }) === undefined
    ? Deno.execPath()
    : small;
}
