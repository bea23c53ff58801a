/**
 * The README leads to every page, and the documentation tells what the sources
 * say: options, statuses and close codes.
 */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { dirname, join, normalize } from "node:path";
import { backends } from "../../backends/mod.ts";
import { commandOptions } from "../../core/cli/command_options.ts";
import { coreOptions } from "../../core/config/options.ts";
import { accessSection, pluginSection } from "../../tools/reference_text.ts";
import { parsePage, readPages } from "../support/docs_pages.ts";
import { root } from "../support/command.ts";

const pages = await readPages();
const paths = pages.map(({ path }) => path);

/** The pages that a page leads to. */
function linkedFrom(path: string): string[] {
  const { links = [] } = pages.find((page) => page.path === path) ?? {};
  return links.map((link) =>
    normalize(join(dirname(path), link.replace(/#.*$/, "")))
  );
}

Deno.test("README links every page of docs/", () => {
  const linked = linkedFrom("README.md");
  const chapters = paths.filter((path) =>
    /^docs\/(?:[^/]+|[^/]+\/README)\.md$/.test(path)
  );
  assertGreater(chapters.length, 12);
  assertEquals(chapters.filter((path) => !linked.includes(path)), []);
});

Deno.test("README leads to every page, by links of one page to another", () => {
  const found = new Set(["README.md"]);
  // What is added on the way is visited, too.
  for (const path of found) {
    for (const linked of linkedFrom(path)) found.add(linked);
  }
  assertEquals(paths.filter((path) => !found.has(path)), []);
});

/** Names of options that are told of as `NAME = VALUE`, or `--NAME`. */
const options = new Set([
  ...commandOptions.flatMap(({ name }) => name === undefined ? [] : [name]),
  ...await namesOfBackends(),
  ...[...pluginSection.blocks, ...accessSection.blocks].flatMap((block) =>
    "terms" in block ? block.terms.map(([term]) => term) : []
  ),
]);

/** The built-in backends' options, as the table of each has them. */
async function namesOfBackends(): Promise<string[]> {
  const text = await Deno.readTextFile(join(root, "backends/README.md"));
  const names: string[] = [];
  for (const section of text.split(/^## /m)) {
    const title = /^\w+$/m.exec(section)?.[0] ?? "";
    if (!(title in backends)) continue;
    const rows = section.matchAll(/^\| `([a-z-]+)` +\|/gm);
    names.push(...Array.from(rows, ([, name]) => name!));
  }
  return names;
}

/** Words of a text that name an option of websocksy, in code. */
function optionsIn({ spans }: ReturnType<typeof parsePage>): string[] {
  return spans.flatMap((span) => /^([a-z-]+) = \S/.exec(span)?.[1] ?? []);
}

Deno.test("documentation names no option that does not exist", () => {
  let count = 0;
  for (const page of pages) {
    const named = optionsIn(page);
    count += named.length;
    assertEquals(named.filter((name) => !options.has(name)), [], page.path);
  }
  assertGreater(count, 40);
  const page = parsePage("a", "`prot = 1`, `port = 1` and `--port 1`");
  assertEquals(optionsIn(page), ["prot", "port"]);
  assert(!options.has("prot"));
  for (const { name } of coreOptions) assert(options.has(name), name);
  for (const name of ["host", "expression", "trust"]) assert(options.has(name));
});

/** The sources of the bridge, without comments. */
async function bridgeSources(): Promise<string> {
  const sources: string[] = [];
  async function readFolder(folder: string): Promise<void> {
    for await (
      const { name, isDirectory } of Deno.readDir(join(root, folder))
    ) {
      const path = `${folder}${name}`;
      // What is answered beside WebSockets is no refusal of one.
      if (path === "core/pages" || path === "core/admin") continue;
      if (isDirectory) await readFolder(`${path}/`);
      else if (name.endsWith(".ts")) {
        sources.push(await Deno.readTextFile(join(root, path)));
      }
    }
  }
  await readFolder("core/");
  return sources.join("\n").replaceAll(/^\s*\/?\*.*$|\/\/ .*$/gm, "");
}

const sources = await bridgeSources();

/** The numbers that stand at a place of the sources. */
function numbersIn(pattern: RegExp): Set<number> {
  return new Set(
    Array.from(sources.matchAll(pattern), (match) => Number(match[1])),
  );
}

/** The numbers in the first cells of the guide's table under a heading cell. */
async function numbersOfTable(heading: string): Promise<number[]> {
  const text = await Deno.readTextFile(join(root, "docs/guide.md"));
  const [, table] = text.split(new RegExp(`^\\| ${heading} +\\|.*\n`, "m"));
  assert(table !== undefined, `no table of ${heading}`);
  const [rows] = table.split("\n\n");
  return rows!.split("\n").slice(1).flatMap((row) =>
    Array.from(
      row.split("|")[1]!.matchAll(/\d+/g),
      ([number]) => Number(number),
    )
  );
}

Deno.test("guide.md lists the statuses that a request is refused with", async () => {
  // Wherever one is refused, its status stands there.
  const refusals = sources.match(/new RequestError\(/g) ?? [];
  const statuses = /new RequestError\(\s*(\d{3})\b/g;
  // One of them has the status that a backend has answered.
  const answered = /\brefuse: ([\d |]+);/.exec(sources)![1]!.split(" | ");
  assertEquals(refusals.length, [...sources.matchAll(statuses)].length + 1);
  assertGreater(refusals.length, 15);
  const sent = new Set([
    ...numbersIn(statuses),
    ...answered.map(Number),
  ]);
  assertEquals(await numbersOfTable("status"), [...sent].sort());
});

Deno.test("guide.md lists the close codes that are sent", async () => {
  const codes = numbersIn(
    /(?:\b(?:CloseError|[cC]lose|shutDown|giveUp|fail)\(\s*|\bcode: )(1\d{3})\b/g,
  );
  assertGreater(codes.size, 7);
  // RFC 6455 section 7.4.1: these never go over the wire.
  for (const code of [1005, 1006, 1015]) codes.delete(code);
  assertEquals(await numbersOfTable("code"), [...codes].sort());
});
