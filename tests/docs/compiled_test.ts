/** The table of what is different in a compiled program: what holds each row is there. */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import { root } from "../support/command.ts";

Deno.test("compiled.md names a test or a line of Deno's source for each difference", async () => {
  const page = await Deno.readTextFile(join(root, "docs/compiled.md"));
  const rows = page.split("\n").filter((line) => line.startsWith("| "))
    .slice(2).map((line) => line.split(" | ").at(-1)!);
  assertGreater(rows.length, 15);
  for (const held of rows) {
    const sources = held.matchAll(
      /\]\(https:\/\/github\.com\/denoland\/deno\/blob\/v\d+\.\d+\.\d+\/[\w/]+\.rs#L\d+\)/g,
    );
    const tests = held.matchAll(/\]\(\.\.\/(tests\/[\w/]+\.ts)\): “([^”]+)”/g)
      .toArray();
    assert(sources.toArray().length + tests.length > 0, held);
    // No link to a test lacks the test's name.
    assertEquals(held.split("](../tests/").length - 1, tests.length, held);
    for (const [, path, name] of tests) {
      const text = await Deno.readTextFile(join(root, path!));
      assert(text.includes(name!), `${path} has no test "${name}"`);
    }
  }
});
