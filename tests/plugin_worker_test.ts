import { assertEquals } from "@std/assert";

const plugins = new URL("../core/plugins/", import.meta.url);
const worker = new URL("plugin_worker.ts", plugins);

/** Adds a module and all that it imports when it runs. */
async function follow(url: URL, found: Set<string>): Promise<void> {
  if (found.has(url.href)) return;
  found.add(url.href);
  const source = await Deno.readTextFile(url);
  for (
    const [, type, imported] of source.matchAll(
      /^(?:import|export) (type )?[^;"]*?from "(\.[^"]+)"/gm,
    )
  ) {
    if (type === undefined) await follow(new URL(imported!, url), found);
  }
}

Deno.test("a plugin's worker has all modules of the sandbox", {
  permissions: { read: true },
}, async () => {
  const needed = new Set<string>();
  await follow(new URL("plugin_sandbox.ts", plugins), needed);
  const source = await Deno.readTextFile(worker);
  const texts = source.matchAll(/from "(\.[^"]+)" with \{ type: "text" \}/g);
  assertEquals(
    Array.from(texts, ([, path]) => new URL(path!, worker).href).sort(),
    [...needed].sort(),
  );
});
