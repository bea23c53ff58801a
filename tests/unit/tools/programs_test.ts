import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { stdArguments } from "../../../tools/std.ts";
import { needing } from "../../support/needing.ts";
import { packages, readLacks } from "../../../tools/programs.ts";
import { root } from "../../support/command.ts";
import { TemporaryDirectory } from "../../support/service.ts";

const test = {
  name: "a test [stream]",
  timeout: 5,
  fn(): void {},
};

Deno.test("needing() changes nothing where all is there", () => {
  assertEquals(needing([], test), test);
});

/** What a program says that asks for tests, with nothing else on its path. */
async function askFor(
  needs: string,
  { path, mode = "" }: { readonly path: string; readonly mode?: string },
): Promise<Record<string, unknown>> {
  const program = join(root, "tests/support/needing.ts");
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["eval", ...await stdArguments()],
      `import { needing } from ${JSON.stringify(`file://${program}`)};
       const test = needing(${needs}, { name: "x", fn() {} });
       let error;
       try { test.fn() } catch ({ message }) { error = message }
       console.log(JSON.stringify({ ...test, error }));`,
    ],
    env: { PATH: path, WEBSOCKSY_TEST: mode, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(stderr), "");
  return JSON.parse(decoder.decode(stdout));
}

Deno.test("needing() ignores a test whose program is missing, and says which", async () => {
  await using directory = new TemporaryDirectory();
  const { path } = directory;
  // A folder, and a file that cannot be run, are no program.
  await Deno.mkdir(join(path, "fish"));
  await directory.write("zsh", "");
  await Deno.chmod(join(path, "zsh"), 0o644);
  const { name, ignore, error } = await askFor('["zsh", "fish"]', { path });
  assertEquals(ignore, true);
  assertEquals(error, undefined);
  assertEquals(name, 'x (needs "zsh" of zsh, "fish" of fish)');
  assertEquals(readLacks(`${name} [stream]`), [
    { name: "zsh", package: "zsh" },
    { name: "fish", package: "fish" },
  ]);
  await Deno.chmod(join(path, "zsh"), 0o755);
  assertEquals(await askFor('["zsh"]', { path }), { name: "x" });
});

Deno.test("needing() makes a missing program a failure with WEBSOCKSY_TEST=all", async () => {
  await using directory = new TemporaryDirectory();
  const { path } = directory;
  const result = await askFor('["nginx", "dnsmasq"]', { path, mode: "all" });
  assertEquals(result, {
    name: "x",
    error:
      'Cannot run the test: it needs "nginx", "dnsmasq"; apt-get install nginx-light dnsmasq-base',
  });
});

Deno.test("readLacks() finds nothing where a test is ignored for another reason", () => {
  for (const name of ["a test", "a test (needs care)", 'says "x" of y']) {
    assertEquals(readLacks(name), []);
  }
  assertEquals(readLacks('a (b) (needs "IPv6")'), [
    { name: "IPv6", package: undefined },
  ]);
});

Deno.test("programs.ts prints the packages of what is missing", async () => {
  await using directory = new TemporaryDirectory();
  const args = ["run", "-A", join(root, "tools/programs.ts")];
  // As the one that Deno makes, to another Deno.
  const other = join(directory.path, "other");
  await Deno.mkdir(other);
  await Deno.writeTextFile(join(other, "deno"), "", { mode: 0o755 });
  await Deno.symlink(join(other, "deno"), join(directory.path, "node"));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { PATH: directory.path, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const printed = new TextDecoder().decode(stdout).trimEnd().split(" ");
  const all = new Set<string>(Object.values(packages));
  assertEquals(printed.length, new Set(printed).size);
  for (const name of printed) assert(all.has(name), name);
  for (
    const name of ["zsh", "nginx-light", "chromium-headless-shell", "nodejs"]
  ) {
    assert(printed.includes(name), name);
  }
});
