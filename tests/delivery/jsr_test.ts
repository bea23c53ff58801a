/**
 * What would be published at jsr.io, as far as `deno publish` looks at it without:
 * of a copy that has the stand-ins for `@std`, as that is looked for there.
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import fallback from "../../fallback/import_map.json" with { type: "json" };
import { root } from "../support/command.ts";
import { TemporaryDirectory } from "../support/service.ts";

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await copy(join(from, name), join(to, name));
  }
}

Deno.test("deno publish takes the package: types, exports, files", async () => {
  await using directory = new TemporaryDirectory();
  const { include } = manifest.publish;
  for (const path of [...include, "fallback"]) {
    await copy(join(root, path), join(directory.path, path));
  }
  await directory.write("left_out.ts", "export {};");
  const imports = Object.fromEntries(
    Object.entries(fallback.imports).map(([name, path]) => [
      name,
      path.startsWith("./") ? path.replace("./", "./fallback/") : path,
    ]),
  );
  await directory.write(
    "deno.json",
    JSON.stringify({
      ...manifest,
      imports: { ...manifest.imports, ...imports },
      publish: { include: [...include, "fallback"] },
    }),
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: directory.path,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert(success, text);
  // Of packages that are imported late, by a name that is not followed.
  const warnings = Array.from(text.matchAll(/^warning\S*/gm), ([one]) => one);
  const expected = "warning[unanalyzable-dynamic-import]:";
  assertEquals(warnings.filter((one) => one !== expected), []);
  const files = Array.from(
    text.matchAll(/^ +file:\/\/\S*?\/websocksy-test-[^/]+\/(\S+)/gm),
    ([, path]) => path!,
  );
  for (const path of [...Object.values(manifest.exports), ...include]) {
    const name = path.replace("./", "");
    const isThere = files.some((file) =>
      file === name || file.startsWith(`${name}/`)
    );
    assert(isThere, name);
  }
  const folders = new Set(files.map((file) => file.split("/")[0]!));
  assertEquals([...folders].sort(), [...include, "fallback"].sort());
});
