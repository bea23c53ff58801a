/**
 * What `deno task compile` embeds. The runtime that a compiled program stands
 * on may not be reachable, so `deno` itself takes its place: the result does
 * not run, but holds all that the real one would.
 */

import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
} from "@std/assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startedModules, targets } from "../../tools/compile.ts";
import { stdArguments } from "../../tools/std.ts";
import { freePort } from "../support/peer.ts";
import { otlpVariables } from "../support/otlp_receiver.ts";

const root = join(import.meta.dirname!, "../..");
const decoder = new TextDecoder();

async function runCompile(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(root, "tools", "compile.ts"), ...args],
    env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1", ...env },
  }).output();
  return { code, stderr: decoder.decode(stderr) };
}

/** A module in what `deno info --json` prints. */
interface ModuleInfo {
  readonly specifier: string;
  readonly dependencies?: readonly {
    /** Absent for an import of types only, which leaves no trace in a program. */
    readonly code?: { readonly specifier: string };
  }[];
}

/** Paths of the project's own modules that a module leads to by imports. */
async function localModules(entry: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", ...await stdArguments(), entry],
    stderr: "null",
  }).output();
  const { roots, modules } = JSON.parse(decoder.decode(stdout)) as {
    roots: string[];
    modules: ModuleInfo[];
  };
  const found = new Set(roots);
  // A set visits what is added to it meanwhile.
  for (const specifier of found) {
    const module = modules.find((one) => one.specifier === specifier);
    for (const { code } of module?.dependencies ?? []) {
      if (code?.specifier.startsWith("file:")) found.add(code.specifier);
    }
  }
  return [...found].map((specifier) => fileURLToPath(specifier));
}

Deno.test("compile.ts embeds every module, and the permissions", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const output = join(directory, "websocksy");
    const { code, stderr } = await runCompile(["--output", output]);
    assertEquals(code, 0, stderr);

    const [program, runtime] = await Promise.all([
      Deno.readFile(output),
      Deno.stat(Deno.execPath()),
    ]);
    // What is embedded comes after the runtime; a margin for its last page.
    const embedded = Buffer.from(program.buffer).subarray(
      runtime.size - 65_536,
    );
    const started = await startedModules();
    assert(started.length > 0);
    const modules = [join(root, "main.ts"), ...started].map(localModules);
    const paths = (await Promise.all(modules)).flat();
    for (const room of ["backends", "core", "framing"]) {
      assert(paths.some((path) => path.startsWith(join(root, room))), room);
    }
    for (const path of paths) {
      const source = Buffer.from(await Deno.readFile(path));
      assertGreater(source.length, 0);
      assert(embedded.includes(source), `${path} is not embedded`);
    }
    // A module that nothing leads to is not there: the search does tell.
    const unrelated = Buffer.from(
      await Deno.readFile(join(root, "tools", "compile.ts")),
    );
    assertEquals(embedded.includes(unrelated), false);

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
    assertStringIncludes(text, '"code_cache_key":null');
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Whether a program that was compiled exports telemetry: it is decided then. */
function exportsTelemetry(text: string): boolean {
  const config = /"otel_config":\{[^}]*\}/.exec(text)?.[0];
  assertStringIncludes(config!, '"metrics_enabled":');
  return config!.includes('"metrics_enabled":true');
}

Deno.test("compile.ts makes a program that exports telemetry where Deno does", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const output = join(directory, "websocksy");
    const { code, stderr } = await runCompile(["--output", output], {
      ...otlpVariables(freePort()),
    });
    assertEquals(code, 0, stderr);
    const program = await Deno.readFile(output);
    const { size } = await Deno.stat(Deno.execPath());
    const embedded = Buffer.from(program.buffer).subarray(size - 65_536);
    assertEquals(exportsTelemetry(embedded.toString("latin1")), true);
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
    const { code, stderr } = await runCompile(args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  }
});
