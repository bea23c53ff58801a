import { assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import manifest from "../../../deno.json" with { type: "json" };
import { v8Flags } from "../../../tools/v8_flags.ts";
import { root } from "../../support/command.ts";

Deno.test("npm's package, the task and the installed checkout have the flags of V8 that programs are compiled with", async () => {
  assertStringIncludes(manifest.tasks.start, ` --v8-flags=${v8Flags} `);
  const npm = join(root, "tools/npm/websocksy.cjs");
  assertStringIncludes(
    await Deno.readTextFile(npm),
    `const v8Flags = "${v8Flags}";`,
  );
  const install = join(root, "docs/install.md");
  assertStringIncludes(
    await Deno.readTextFile(install),
    ` --v8-flags=${v8Flags} `,
  );
});
