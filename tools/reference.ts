/**
 * Writes the pages that are made from the table of options:
 *
 *     deno task reference
 *
 * That is `docs/configuration.md`, the schema of a configuration, and the manual
 * page `docs/websocksy.1`.
 *
 * @module
 */

import { join } from "node:path";
import { commandOptions } from "../core/cli/command_options.ts";
import manifest from "../deno.json" with { type: "json" };
import { formatConfigurationPage } from "./configuration_page.ts";
import { formatConfigurationSchema } from "./configuration_schema.ts";
import { formatManPage } from "./man_page.ts";

const root = join(import.meta.dirname!, "..");

/**
 * Makes the pages.
 *
 * @returns Their texts, by their paths from the root of the project.
 */
export async function makeReference(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    [
      "docs/configuration.md",
      await format(formatConfigurationPage(commandOptions)),
    ],
    ["docs/configuration.schema.json", formatConfigurationSchema()],
    ["docs/websocksy.1", formatManPage(commandOptions, manifest.version)],
  ]);
}

/** Formats Markdown as `deno fmt` would. */
async function format(markdown: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", `--config=${join(root, "deno.json")}`, "--ext=md", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  const { success, stdout } = await output;
  if (!success) throw new Error("Cannot format the reference: see above");
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const [path, text] of await makeReference()) {
    await Deno.writeTextFile(join(root, path), text);
  }
}
