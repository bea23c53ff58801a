/**
 * One table of options: what is made of it is what stands in `docs/`, is well
 * formed, and shows nothing that the command would not take.
 */

import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { formatBash } from "../../core/cli/completions/bash.ts";
import { formatFish } from "../../core/cli/completions/fish.ts";
import { formatZsh } from "../../core/cli/completions/zsh.ts";
import { parseArguments } from "../../core/cli/arguments.ts";
import { commandOptions } from "../../core/cli/command_options.ts";
import { parseConfigFile, resolveConfig } from "../../core/config/config.ts";
import { formatHelp } from "../../core/cli/help.ts";
import { optionNames } from "../../core/config/option.ts";
import type { CoreOption } from "../../core/config/options.ts";
import { coreOptions } from "../../core/config/options.ts";
import { grantNames } from "../../core/config/plugin_options.ts";
import { formatConfigurationPage } from "../../tools/configuration_page.ts";
import { formatManPage } from "../../tools/man_page.ts";
import { makeReference } from "../../tools/reference.ts";
import { pluginSection } from "../../tools/reference_text.ts";
import { root } from "../support/command.ts";
import { needing } from "../support/needing.ts";

const manPage = join(root, "docs/websocksy.1");

async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("docs/ has what the table of options makes", async () => {
  for (const [path, text] of await makeReference()) {
    const written = await Deno.readTextFile(join(root, path));
    assertEquals(written, text, `${path} is old: run "deno task reference"`);
  }
});

Deno.test("parseArguments() takes each example, and each list its words alone", () => {
  for (const option of commandOptions) {
    const { placeholder, example = "1" } = option;
    const names = optionNames(option);
    assert(names.length > 0);
    for (const each of names) {
      const args = placeholder === undefined ? [each] : [each, example];
      // A route is nothing without an option of its own.
      parseArguments(each === "--route" ? [...args, "-b", "file"] : args);
    }
  }
  for (const { name, value, parse, example } of coreOptions) {
    if (example !== undefined) parse(example);
    if (typeof value !== "object") continue;
    for (const word of value) parse(word);
    assertThrows(() => parse(`${value[0]}x`), SyntaxError, undefined, name);
  }
});

Deno.test("An option needs no more than its parser and its help", () => {
  const plain: CoreOption = {
    name: "plain",
    placeholder: "SOMETHING",
    default: "",
    help: "nothing in particular",
    parse: () => ({}),
  };
  const options = [...coreOptions, plain];
  const command = { options, backends: [], framings: [] };
  for (
    const text of [
      formatBash(command),
      formatZsh(command),
      formatFish(command).replace("-l plain", "--plain"),
      formatConfigurationPage(options),
      formatManPage(options, "1").replaceAll("\\-", "-"),
    ]
  ) assertStringIncludes(text, "--plain");
});

Deno.test("docs/configuration.md tells of every option what the help tells", async () => {
  const page = await Deno.readTextFile(join(root, "docs/configuration.md"));
  const sections = page.split(/^### /m);
  const help = formatHelp([]).replaceAll(/\s+/g, " ");
  for (const option of commandOptions) {
    const { name, short, placeholder, default: value } = option;
    const title = `\`${name ?? `-${short}`}\`\n`;
    const section = sections.find((text) => text.startsWith(title));
    assert(section !== undefined, title);
    const words = section.replaceAll(/\s+/g, " ");
    for (const each of optionNames(option)) {
      const form = placeholder === undefined ? each : `${each} ${placeholder}`;
      assertStringIncludes(words, `\`${form}\``);
      assertStringIncludes(help, ` ${each}`);
    }
    const plain = words.replaceAll("\\", "").toLowerCase();
    assertStringIncludes(plain, option.help.toLowerCase());
    if (value === undefined) continue;
    assertStringIncludes(
      words,
      value === "" ? "default: none" : `default: \`${value}\``,
    );
  }
});

Deno.test("docs/configuration.md shows configurations that are valid", async () => {
  const page = await Deno.readTextFile(join(root, "docs/configuration.md"));
  const blocks = [...page.matchAll(/^```ini\n([^]*?)^```$/gm)];
  assertEquals(blocks.length, 3);
  for (const [, text] of blocks) {
    resolveConfig(parseConfigFile(text!, "configuration.md"));
  }
  const terms = pluginSection.blocks.flatMap((block) =>
    "terms" in block ? block.terms.map(([term]) => term) : []
  );
  assertEquals(
    terms.toSorted(),
    ["url", "integrity", "isolation", "lock", "trust", ...grantNames]
      .toSorted(),
  );
  const values = new Map([["trust", "full"], ["isolation", "process"], [
    "integrity",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  ]]);
  const lines = terms.map((term) => `${term} = ${values.get(term) ?? "a"}`);
  const text = ["[plugin x]", ...lines].join("\n");
  assertEquals(resolveConfig(parseConfigFile(text, "x")).plugins.length, 1);
});

Deno.test("docs/configuration.md links to what is there", async () => {
  const page = await Deno.readTextFile(join(root, "docs/configuration.md"));
  const links = [...page.matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)];
  assert(links.length > commandOptions.length / 2);
  for (const [link, path = "", anchor] of links) {
    const file = path === "" ? "configuration.md" : path;
    const text = await Deno.readTextFile(join(root, "docs", file));
    if (anchor === undefined) continue;
    const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
    );
    assert(titles.includes(anchor), link);
  }
});

Deno.test(
  needing(["mandoc", "man"], {
    name: "The manual page is well formed",
    async fn(): Promise<void> {
      const lint = await run("mandoc", ["-T", "lint", "-W", "style", manPage]);
      assertEquals(lint.stderr, "");
      // With a date, it would differ each time that it is made.
      assertEquals(
        lint.stdout.trimEnd().split("\n").filter((line) =>
          !line.endsWith(' WARNING: missing date, using "": TH')
        ),
        [],
      );
      const env = { MANWIDTH: "80", LC_ALL: "C.UTF-8" };
      const { stdout, stderr } = await run(
        "man",
        ["--warnings", "--local-file", manPage],
        env,
      );
      assertEquals(stderr, "");
      // Nothing is left of its markup, and every option is there.
      assertEquals(/\\f|`|\]\(/.exec(stdout), null);
      const text = stdout.replaceAll(/‐\n\s*/g, "").replaceAll(/\s+/g, " ");
      for (const option of commandOptions) {
        const names = optionNames(option).join(", ");
        const { placeholder } = option;
        const argument = placeholder === undefined ? "" : ` ${placeholder}`;
        assertStringIncludes(text, ` ${names}${argument} `);
      }
      for (
        const title of [
          ...[
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "CONFIGURATION FILE",
          ],
          ...["EXIT STATUS", "SIGNALS", "FILES", "EXAMPLES", "SEE ALSO"],
        ]
      ) assertStringIncludes(stdout, `\n${title}\n`);
    },
  }),
);
