/** The README tells what the command does: its options, defaults and engines. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { coreOptions } from "../core/config/options.ts";

const readme = await Deno.readTextFile(
  new URL("../README.md", import.meta.url),
);

/** The cells of the table of options, by the name of the `[core]` option. */
function optionRows(): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  for (const line of readme.split("\n")) {
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    const name = /^`([a-z-]+)`$/.exec(cells[1] ?? "")?.[1];
    if (name !== undefined && cells[0]!.startsWith("`-")) rows.set(name, cells);
  }
  return rows;
}

Deno.test("README lists every [core] option with its letter and default", () => {
  const rows = optionRows();
  assertEquals(
    [...rows.keys()].toSorted(),
    coreOptions.map(({ name }) => name).toSorted(),
  );
  for (const { name, short, default: value } of coreOptions) {
    const [command, , shown] = rows.get(name)!;
    assertStringIncludes(command!, `--${name} `);
    if (short !== undefined) assertStringIncludes(command!, `\`-${short}\``);
    assertEquals(shown, value === "" ? "" : `\`${value}\``, name);
  }
});
