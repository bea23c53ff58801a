/**
 * Runs the examples of all sources and pages as one file of tests:
 *
 *     deno test -A tests/support/examples.ts
 *
 * They are those that `deno test --doc` finds, which needs half a second of
 * processor time more for each. `deno check --doc` checks their types.
 *
 * @module
 */

import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { withPackages } from "./packages.ts";

const root = join(import.meta.dirname!, "../..");

/** A block of code in a page, or in a comment of a source. */
const block = /^( *)```(ts|js)\n(.*?)^\1```$/gms;

/** A comment that documents something. */
const comment = /\/\*\*.*?\*\//gs;

/** An import, which has to stand outside of the function that is the test. */
const imported = /^import[\s{*"'].*?;$/gms;

/** Finds all sources and pages. */
async function findFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (name.startsWith(".") || /^(?:node_modules|dist)$/.test(name)) continue;
    const path = join(folder, name);
    if (isDirectory) found.push(...await findFiles(path));
    else if (/\.(?:ts|md)$/.test(name) && !name.endsWith("_test.ts")) {
      found.push(path);
    }
  }
  return found.sort();
}

/** Registers the example of a file as a test. */
async function register(
  file: string,
  { language, text, line }: { language: string; text: string; line: number },
): Promise<void> {
  const from = pathToFileURL(file);
  const code = withPackages(text).replaceAll(
    /(\bfrom |\bimport[ (])"(\.[^"]+)"/g,
    (_, before, path) => `${before}${JSON.stringify(new URL(path, from))}`,
  );
  const name = `${relative(root, file)}, line ${line}`;
  const module = [
    ...Array.from(code.matchAll(imported), ([text]) => text),
    `Deno.test(${JSON.stringify(name)}, async () => {`,
    code.replaceAll(imported, "").replaceAll(/^export /gm, ""),
    "});",
  ].join("\n");
  const type = language === "ts" ? "typescript" : "javascript";
  await import(`data:application/${type},${encodeURIComponent(module)}`);
}

// A command of an example ends with its connection, which finds no server here.
Deno.exit = (() => {}) as typeof Deno.exit;

for (const file of await findFiles(root)) {
  const source = await Deno.readTextFile(file);
  const texts = file.endsWith(".md") ? [[source, 0] as const] : Array.from(
    source.matchAll(comment),
    ({ 0: text, index }) => [text.replaceAll(/^ *\* ?/gm, ""), index] as const,
  );
  for (const [text, start] of texts) {
    for (const { 2: language, 3: code, index } of text.matchAll(block)) {
      // Each line has stayed a line.
      const before = source.slice(0, start).split("\n").length - 1;
      const line = before + text.slice(0, index).split("\n").length;
      await register(file, { language: language!, text: code!, line });
    }
  }
}
