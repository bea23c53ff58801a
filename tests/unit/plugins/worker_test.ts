import { assert, assertEquals } from "@std/assert";

const folder = new URL("../../../core/plugins/", import.meta.url);
const worker = new URL("worker.ts", folder);

/** Adds a module and all that it imports when it runs. */
async function follow(module: URL, found: Set<string>): Promise<void> {
  if (found.has(module.href)) return;
  found.add(module.href);
  const source = await Deno.readTextFile(module);
  for (
    const [, type, imported] of source.matchAll(
      /^(?:import|export) (type )?[^;"]*?from "(\.{1,2}\/[^"]+)"/gm,
    )
  ) {
    if (type === undefined) await follow(new URL(imported!, module), found);
  }
}

Deno.test("a plugin's worker has all modules of the sandbox", {
  permissions: { read: true },
}, async () => {
  const needed = new Set<string>();
  await follow(new URL("sandbox_worker.ts", folder), needed);
  const source = await Deno.readTextFile(worker);
  const texts = [...source.matchAll(
    /import (\w+) from "([^"]+)" with \{ type: "text" \}/g,
  )];
  assertEquals(
    texts.map(([, , path]) => new URL(path!, worker).href).sort(),
    [...needed].sort(),
  );
  // They are imported from each other by the same paths.
  for (const [, name, path] of texts) {
    assert(source.includes(`"${path}": ${name},`), path);
  }
});
