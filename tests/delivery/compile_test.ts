/**
 * What `deno task compile` embeds. The runtime that a compiled program stands
 * on may not be reachable, so another program takes its place: the result does
 * not run, but holds all that the real one would.
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Buffer } from "node:buffer";
import { basename, join } from "node:path";
import { compile, targets } from "../../tools/compile.ts";
import { lazyPackages, startedModules } from "../../tools/modules.ts";
import { v8Flags } from "../../tools/v8_flags.ts";
import { runtime, sharedBundle } from "../support/delivered.ts";
import { withEnvironment } from "../support/environment.ts";
import { freePort } from "../support/peer.ts";
import { otlpVariables } from "../support/otlp_receiver.ts";

const root = join(import.meta.dirname!, "../..");
const decoder = new TextDecoder();

async function runCompile(
  args: readonly string[],
): Promise<{ readonly code: number; readonly stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(root, "tools", "compile.ts"), ...args],
    env: { DENORT_BIN: runtime, NO_COLOR: "1" },
  }).output();
  return { code, stderr: decoder.decode(stderr) };
}

/** Compiles the shared bundle, with variables in the environment. */
async function compileShared(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const bundled = await sharedBundle();
  const code = await withEnvironment(
    { ...env, DENORT_BIN: runtime },
    () => compile(args, { bundled }),
  );
  assertEquals(code, 0);
}

/** What is embedded comes after the runtime; a margin for its last page. */
async function readEmbedded(program: string): Promise<Buffer> {
  const { size } = await Deno.stat(runtime);
  const bytes = Buffer.from(await Deno.readFile(program));
  return bytes.subarray(Math.max(0, size - 65_536));
}

Deno.test("compile.ts embeds every module, and the permissions", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const output = join(directory, "websocksy");
    const { code, stderr } = await runCompile(["--output", output]);
    assertEquals(code, 0, stderr);

    const embedded = await readEmbedded(output);
    // Another one, made by another process.
    const modules = await sharedBundle();
    const names = (await Array.fromAsync(Deno.readDir(modules)))
      .map(({ name }) => name).filter((name) => name.endsWith(".js")).sort();
    assertEquals(
      names,
      [
        ...lazyPackages.keys().map((name) =>
          `${name.replace("@", "").replaceAll("/", "_")}.package.js`
        ),
        ...["main.js", ...await startedNames()],
      ].sort(),
    );
    for (const name of names) {
      const source = Buffer.from(await Deno.readFile(join(modules, name)));
      assert(embedded.includes(source), `${name} is not embedded`);
    }
    // A module that nothing leads to is not there: the search does tell.
    const unrelated = Buffer.from(
      await Deno.readFile(join(root, "tools", "compile.ts")),
    );
    assertEquals(embedded.includes(unrelated), false);

    // The same commit makes the same bytes, wherever they go.
    const again = join(directory, "again");
    await compileShared(["--output", again]);
    assert(
      Buffer.from(await Deno.readFile(output)).equals(
        await Deno.readFile(again),
      ),
    );

    const text = embedded.toString("latin1");
    // Packages that are imported only where they are needed.
    const lazy = [
      "opentelemetry.js.api.${major}",
      "var astralIdentifierStartCodes = ",
      "module.exports = fresh",
      "exports.contentType = contentType",
      "module.exports = rangeParser",
      "application/vnd.fdsn.mseed",
    ];
    for (const part of lazy) assert(text.includes(part), part);
    const permissions = /"permissions":(\{.*?\})/.exec(text)?.[1];
    const granted = Object.entries(JSON.parse(permissions!));
    assertEquals(
      granted.filter(([, value]) => value !== null).sort(),
      [
        ["allow_env", []],
        ["allow_import", []],
        ["allow_net", []],
        ["allow_read", []],
        ["allow_write", []],
        ["prompt", false],
      ],
    );
    assertEquals(exportsTelemetry(text), false);
    assertStringIncludes(text, `"${v8Flags}"]`);
    assertStringIncludes(text, '"code_cache_key":null');
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

async function startedNames(): Promise<string[]> {
  return (await startedModules()).map((path) =>
    basename(path).replace(/\.ts$/, ".js")
  );
}

/** Whether a program that was compiled exports telemetry: it is decided then. */
function exportsTelemetry(text: string): boolean {
  const config = /"otel_config":\{[^}]*\}/.exec(text)?.[0];
  assertStringIncludes(config!, '"metrics_enabled":');
  return config!.includes('"metrics_enabled":true');
}

Deno.test("compile.ts makes a program that exports telemetry where Deno does, with flags of V8", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const output = join(directory, "websocksy");
    const flags = "--min-semi-space-size=16,--no-opt";
    await compileShared(
      ["--output", output, `--v8-flags=${flags}`],
      otlpVariables(freePort()),
    );
    const text = (await readEmbedded(output)).toString("latin1");
    assertEquals(exportsTelemetry(text), true);
    const all = [v8Flags, "--min-semi-space-size=16", "--no-opt"]
      .map((flag) => `"${flag}"`).join(",");
    assertStringIncludes(text, `${all}]`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("compile.ts knows the targets that Deno knows", async () => {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["compile", "--target=none", "main.ts"],
    env: { NO_COLOR: "1" },
  }).output();
  const known = /possible values: ([^\]\n]*)/.exec(decoder.decode(stderr))?.[1];
  assertEquals([...targets].sort(), known!.split(", ").sort());
});

Deno.test("compile.ts names an argument that it does not know", async () => {
  const cases: readonly (readonly [args: string[], message: string])[] = [
    [["--target", "none"], 'unknown target "none", known are x86_64-'],
    [["--target", "all", "--output", "x"], "--output takes one program"],
    [["--what"], "--what"],
  ];
  for (const [args, message] of cases) {
    await assertRejects(() => compile(args), Error, message);
  }
  const { code, stderr } = await runCompile(["--what"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--what");
  assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
});
