/**
 * The documentation: its links lead somewhere, its commands and configurations
 * are accepted, and the files and tasks that it names exist.
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import { dirname, join, normalize } from "node:path";
import { backends } from "../../backends/mod.ts";
import type { Backend } from "../../core/api.ts";
import { parseAdminCommand } from "../../core/cli/admin_text.ts";
import { parseArguments } from "../../core/cli/arguments.ts";
import {
  type BackendStep,
  type GivenOption,
  parseConfigFile,
  resolveConfig,
} from "../../core/config/config.ts";
import { coreOptions } from "../../core/config/options.ts";
import { openFramer } from "../../core/bridge/message_framer.ts";
import manifest from "../../deno.json" with { type: "json" };
import { framings } from "../../framing/mod.ts";
import { type Page, parsePage, readPages } from "../support/docs_pages.ts";
import { root } from "../support/command.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";

const pages = await readPages();

/** Where a page is wrong, and what is. */
interface Fault {
  readonly page: string;
  readonly what: string;
  readonly why: string;
}

/** Collects what `check` throws for each of the things that a page has. */
async function findFaults<T>(
  list: (page: Page) => readonly T[],
  check: (item: T, page: Page) => void | Promise<void>,
): Promise<{ readonly faults: readonly Fault[]; readonly count: number }> {
  const faults: Fault[] = [];
  let count = 0;
  for (const page of pages) {
    for (const item of list(page)) {
      count++;
      try {
        await check(item, page);
      } catch (error) {
        const what = typeof item === "string" ? item : JSON.stringify(item);
        faults.push({ page: page.path, what, why: (error as Error).message });
      }
    }
  }
  return { faults, count };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(join(root, path));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Follows a link that stays in the project. */
async function followLink(link: string, from: Page): Promise<void> {
  if (/^https?:/.test(link)) return void new URL(link);
  const [, file, anchor] = /^([^#]*)(?:#(.*))?$/.exec(link)!;
  const path = file === ""
    ? from.path
    : normalize(join(dirname(from.path), decodeURI(file!)));
  if (/^(\.\.)?\//.test(path) || !await exists(path)) {
    throw new Error(`there is no ${path}`);
  }
  if (anchor === undefined) return;
  const page = path === from.path
    ? from
    : pages.find((page) => page.path === path);
  if (!page?.anchors.has(anchor)) {
    throw new Error(`${path} has no heading "${anchor}"`);
  }
}

Deno.test("documentation's links lead to files and headings that exist", async () => {
  const { faults, count } = await findFaults(({ links }) => links, followLink);
  assertEquals(faults, []);
  assertGreater(count, 50);
  const page = parsePage(
    "docs/engines.md",
    "# A `b` *c*, d\n\n## A b c, d\n\n[x](#a-b-c-d) [y](b.md) ![z](../../z)",
  );
  assertEquals([...page.anchors], ["a-b-c-d", "a-b-c-d-1"]);
  assertEquals(page.links, ["#a-b-c-d", "b.md", "../../z"]);
  await followLink("#a-b-c-d", page);
  for (
    const link of ["#other", "b.md", "../../z", "/README.md", "../README.md#x"]
  ) await assertRejects(() => followLink(link, page), Error, undefined, link);
});

/** Paths from the folder of the project, such as `core/mod.ts`. */
const projectPath =
  /(?<![\w./-])(?:core|backends|framing|tests|tools|bench|docs|examples|fallback)\/[\w./-]*/g;

/** The files and folders that a page names in its code. */
function pathsOf({ blocks, spans }: Page): string[] {
  return [...blocks.map(({ text }) => text), ...spans].flatMap((text) =>
    text.match(projectPath) ?? []
  );
}

Deno.test("documentation names files and folders that exist", async () => {
  const { faults, count } = await findFaults(
    pathsOf,
    async (path) => assert(await exists(path), "there is no such file"),
  );
  assertEquals(faults, []);
  const page = parsePage(
    "a",
    "`core/none.ts`\n\n    x/core/a.ts (core/mod.ts)",
  );
  assertEquals(pathsOf(page), ["core/mod.ts", "core/none.ts"]);
  assertEquals(await exists("core/none.ts"), false);
  assertGreater(count, 10);
});

/** Folders with sources, below the root of the project. */
async function sourceFolders(): Promise<Set<string>> {
  const folders = new Set<string>();
  async function readFolder(folder: string): Promise<void> {
    for await (
      const { name, isDirectory } of Deno.readDir(join(root, folder))
    ) {
      if (name.startsWith(".") || /^(node_modules|dist)$/.test(name)) continue;
      if (isDirectory) await readFolder(`${folder}${name}/`);
      else if (name.endsWith(".ts") && folder !== "") folders.add(folder);
    }
  }
  await readFolder("");
  return folders;
}

/** The rows of the table in a section of a page, each with its cells. */
function tableOf(text: string, heading: string): string[][] {
  const section = text.split(/^## /m)
    .find((section) => section.startsWith(`${heading}\n`));
  assert(section !== undefined, heading);
  return section.split("\n").filter((line) => line.startsWith("| "))
    .slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** What a cell has in code quotes. */
function quotedIn(cell: string): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, text]) => text!);
}

Deno.test("docs/architecture.md has a row for each room, and for no other", async () => {
  const text = await Deno.readTextFile(join(root, "docs/architecture.md"));
  const rows = tableOf(text, "The rooms");
  const folders = [...await sourceFolders()];
  assertGreater(folders.length, 8);
  const rooms = new Set(
    folders.map((folder) => /^(?:core\/[^/]+|[^/]+)\//.exec(folder)![0]),
  );
  assertEquals(
    rows.map(([where]) => quotedIn(where!)[0]!).sort(),
    ["main.ts", ...rooms].sort(),
  );
  // What is below the examples, they say themselves; unit tests mirror the sources.
  const named = rows.flat().flatMap(quotedIn).filter((path) =>
    path.endsWith("/")
  );
  const below = folders.filter((folder) =>
    !/^(examples|tests\/unit)\/./.test(folder)
  );
  assertEquals(below.filter((folder) => !named.includes(folder)), []);
  assertEquals(named.filter((path) => !folders.includes(path)).sort(), [
    // It has folders only.
    "examples/",
  ]);
});

Deno.test("docs/architecture.md names at most four files for a change", async () => {
  const text = await Deno.readTextFile(join(root, "docs/architecture.md"));
  const rows = tableOf(text, "Where to add what");
  assertGreater(rows.length, 5);
  for (const [what, files] of rows) {
    const paths = quotedIn(files!).filter((text) => text.includes("/"));
    assertLessOrEqual(paths.length, 4, what);
    for (const path of paths) assert(await exists(path), path);
  }
});

Deno.test("documentation names tasks that exist", async () => {
  const { faults, count } = await findFaults(
    ({ blocks, spans }) =>
      [...blocks.map(({ text }) => text), ...spans].flatMap((text) =>
        Array.from(text.matchAll(/\bdeno task ([\w-]+)/g), ([, name]) => name!)
      ),
    (name) => assert(name in manifest.tasks, "there is no such task"),
  );
  assertEquals(faults, []);
  assertGreater(count, 10);
});

/** The command lines of a page that run the program. */
function commandsOf({ blocks, spans }: Page): string[] {
  const shell = blocks.filter(({ language }) => /^(sh|bash)?$/.test(language));
  const lines = shell.flatMap(({ text }) =>
    text.replaceAll(/\\\n\s*/g, "").split("\n")
  );
  return [...lines, ...spans].map((line) => line.trim()).filter((line) =>
    /^websocksy -?\S|^deno run .*\bmain\.ts\b|^deno task start /.test(line)
  );
}

/** The words that a shell would hand to the program. */
async function wordsOf(command: string): Promise<string[]> {
  await using directory = new TemporaryDirectory();
  // With no other program at hand, whatever stands behind a pipe does not run.
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: [
      "-fc",
      `websocksy() { printf '%s\\0' "$@"; }; deno() { websocksy "$@"; }; ${command}`,
    ],
    cwd: directory.path,
    env: { PATH: "" },
    stdin: "null",
  }).output();
  return new TextDecoder().decode(stdout).split("\0").slice(0, -1);
}

/** The arguments of the program in a command line, without Deno's. */
async function argumentsOf(command: string): Promise<string[]> {
  const words = await wordsOf(command);
  if (words[0] === "run") {
    return words.slice(words.findIndex((word) => /\bmain\.ts$/.test(word)) + 1);
  }
  return words[0] === "task" ? words.slice(2) : words;
}

/** The options of a configuration file that the page has, or the project. */
async function optionsOf(file: string, page: Page): Promise<GivenOption[]> {
  const block = page.blocks.find(({ text }) => text.startsWith(`# ${file}\n`));
  if (block !== undefined) return parseConfigFile(block.text, file);
  // Another file is a user's, which only the user knows.
  const isOurs = await exists(file);
  return isOurs
    ? parseConfigFile(await Deno.readTextFile(join(root, file)), file)
    : [];
}

async function checkCommand(command: string, page: Page): Promise<void> {
  if (command.includes("[OPTION]")) {
    const { stdout } = await runShared(["--help"]);
    return assert(stdout.includes(command), "the help says otherwise");
  }
  const words = await argumentsOf(command);
  if (parseAdminCommand(words) !== undefined) return;
  // "And so on" is not an option.
  const { configFile, options } = parseArguments(
    words.filter((word) => word !== "\u2026"),
  );
  const fromFile = configFile === undefined
    ? []
    : await optionsOf(configFile, page);
  const isKnown = configFile === undefined || fromFile.length > 0;
  await checkOptions([...fromFile, ...options], isKnown);
}

/**
 * Resolves options, and gives the backend's options to the backend, if it is
 * one that is built in.
 */
async function checkOptions(
  options: readonly GivenOption[],
  isWhole = true,
): Promise<void> {
  const { backend, plugins } = resolveConfig(options);
  const hasPlugins = plugins.length > 0;
  const loaded = backend.findLastIndex(({ step }) => step === "load");
  const { name } = backend[loaded] as BackendStep & { step: "load" };
  const create = backends[name];
  if (create === undefined) {
    const isPlugin = plugins.some((plugin) => plugin.name === name) ||
      /[/.]/.test(name);
    return assert(isPlugin, `there is no backend "${name}"`);
  }
  const built: Backend = await create();
  // Without its file, a command may name options of another backend.
  if (!isWhole) return;
  let hasFile = false;
  for (const step of backend.slice(loaded + 1)) {
    if (step.step !== "configure") continue;
    // Files and directories are the user's.
    const isPath = step.option === "path";
    if (step.option.endsWith("-ca")) continue;
    hasFile ||= step.option === "database" || name === "jwt";
    await built.configure?.(step.option, isPath ? root : step.value);
  }
  // A framing function may be the plugins'.
  if (hasPlugins || hasFile) return;
  const peer = await built.start?.();
  if (peer) (await openFramer(peer, framings, { maxMessage: 1 })).close();
  await built.cleanup?.();
}

Deno.test("documentation's commands are accepted", async () => {
  const { faults, count } = await findFaults(commandsOf, checkCommand);
  assertEquals(faults, []);
  assertGreater(count, 20);
  const page = parsePage(
    "docs/engines.md",
    "    # a.ini\n    [core]\n    prot = 1\n",
  );
  const wrong = [
    "websocksy -x 1",
    "websocksy --prot 1",
    "websocksy -p 80001",
    "websocksy -c hots=tcp://127.0.0.1:1",
    "websocksy -c host=tcp://127.0.0.1:1 -c framing=lines",
    "websocksy -b fil -c path=x",
    "websocksy a.ini",
    "websocksy config.example.ini -c framming=x",
    "websocksy [FILE] [OPTION]...",
    "deno run --allow-net main.ts --prot 1",
    "deno task start --prot 1",
  ];
  for (const command of wrong) {
    assertEquals(commandsOf(parsePage("a", `\`${command}\``)), [command]);
    await assertRejects(
      () => checkCommand(command, page),
      Error,
      undefined,
      command,
    );
  }
  await checkCommand(
    `websocksy -c 'host=unix:///a b' --origin "https://a" 2>> log | logger -x`,
    page,
  );
});

/** Blocks that are configuration files, or a part of one. */
function configurationsOf({ blocks }: Page): string[] {
  return blocks.filter(({ language, text }) =>
    language === "ini" ||
    language === "" &&
      /^(\[(core|backend|plugin .*)\]|[a-z-]+ = .*)$/m.test(text)
  ).map(({ text }) => text);
}

/** Checks a configuration; what is left to the reader in it is filled in. */
async function checkConfiguration(text: string): Promise<void> {
  const whole = text.replaceAll(
    /^(integrity = sha256-)(\u2026|INTEGRITY)$/gm,
    `$1${"A".repeat(43)}=`,
  );
  if (/^\[/m.test(whole)) {
    return await checkOptions(parseConfigFile(whole, "block"));
  }
  // Lines of a section that the text around names.
  const names = whole.matchAll(/^([a-z-]+) =/gm);
  const isCore = [...names].every(([, name]) =>
    coreOptions.some((option) => option.name === name)
  );
  const section = isCore ? "core" : "backend";
  await checkOptions(parseConfigFile(`[${section}]\n${whole}`, "block"));
}

Deno.test("documentation's configurations are accepted", async () => {
  const { faults, count } = await findFaults(
    configurationsOf,
    checkConfiguration,
  );
  assertEquals(faults, []);
  assertGreater(count, 15);
  const wrong = [
    "[core]\nprot = 1",
    "[core]\nport 1",
    "[cor]\nport = 1",
    "[backend]\nhots = tcp://127.0.0.1:1",
    "[core]\nbackend = other\n[backend]\nx = 1",
    "[core]\nbackend = file\n[backend]\nexpresion = x",
    "[plugin a]\nurl = a.ts\nreed = /x",
    "framing = lines",
    "framing = separator\nframing-config = \\y",
    "pport = 1",
  ];
  for (const text of wrong) {
    await assertRejects(() => checkConfiguration(text), Error, undefined, text);
  }
});
