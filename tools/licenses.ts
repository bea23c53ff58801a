/**
 * The licenses of what a bundle contains and others have written.
 *
 * @module
 */

import { join } from "node:path";
import { lazyPackages } from "./modules.ts";
import { readModuleGraph } from "./sbom.ts";
import { stdArguments } from "./std.ts";

const stdLicense = `MIT License

Copyright 2018-2026 the Deno authors.

Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS
FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN
AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;

/**
 * Collects the licenses.
 *
 * @returns Their texts, each after the names of what it is for.
 * @throws {Error} If a package has none.
 */
export async function formatLicenses(): Promise<string> {
  const sections = new Map<string, string[]>();
  function add(name: string, text: string): void {
    const names = sections.get(text);
    if (names === undefined) sections.set(text, [name]);
    else names.push(name);
  }
  if ((await stdArguments()).length === 0) add("@std", stdLicense);
  // All at once: Deno is started once then.
  const imports = Array.from(
    lazyPackages.values(),
    (specifier) => `import ${JSON.stringify(specifier)};`,
  ).join("\n");
  const { npmPackages = {} } = await readModuleGraph(
    `data:text/javascript,${encodeURIComponent(imports)}`,
  );
  const cache = await npmCache();
  for (const key of Object.keys(npmPackages).sort()) {
    const { name, version } = npmPackages[key]!;
    add(`${name} ${version}`, await readLicense(cache, name, version));
  }
  return Array.from(
    sections,
    ([text, names]) => `${[...new Set(names)].sort().join(", ")}\n\n${text}`,
  ).join(`\n${"-".repeat(80)}\n\n`);
}

/** Finds a package's license where Deno has put its files. */
async function readLicense(
  cache: string,
  name: string,
  version: string,
): Promise<string> {
  for await (const registry of Deno.readDir(cache)) {
    const directory = join(cache, registry.name, name, version);
    const files = await list(directory);
    const file = files.find((file) => /^licen[cs]e/i.test(file));
    if (file !== undefined) {
      const text = await Deno.readTextFile(join(directory, file));
      return `${text.replaceAll("\r\n", "\n").trimEnd()}\n`;
    }
  }
  throw new Error(`Cannot find the license of ${name} ${version}`);
}

async function list(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory)))
      .map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json"],
    stderr: "null",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}
