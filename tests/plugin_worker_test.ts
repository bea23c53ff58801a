import { assertEquals } from "@std/assert";

const core = new URL("../core/plugins/", import.meta.url);

/** Adds a module and all that it imports when it runs. */
async function follow(name: string, found: Set<string>): Promise<void> {
  if (found.has(name)) return;
  found.add(name);
  const source = await Deno.readTextFile(new URL(name, core));
  for (
    const [, type, imported] of source.matchAll(
      /^(?:import|export) (type )?[^;"]*?from "\.\/([^"]+)"/gm,
    )
  ) {
    if (type === undefined) await follow(imported!, found);
  }
}

Deno.test("a plugin's worker has all modules of the sandbox", {
  permissions: { read: true },
}, async () => {
  const needed = new Set<string>();
  await follow("plugin_sandbox.ts", needed);
  const source = await Deno.readTextFile(new URL("plugin_worker.ts", core));
  const texts = source.matchAll(/from "\.\/([^"]+)" with \{ type: "text" \}/g);
  assertEquals(
    Array.from(texts, ([, name]) => name!).sort(),
    [...needed].sort(),
  );
});
