/** What a release consists of: archives, checksums and a bill of materials. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
// The validator below takes these, if they are there.
import "ajv";
import "ajv-formats";
import "ajv-formats-draft2019";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { archiveName, formatChecksums, pack } from "../../tools/archive.ts";
import { targets } from "../../tools/compile.ts";
import { lazyPackages, startedModules } from "../../tools/modules.ts";
import { lockPath, readLock } from "../../tools/lock.ts";
import { release } from "../../tools/release.ts";
import {
  makeSbom,
  type ModuleGraph,
  readModuleGraph,
} from "../../tools/sbom.ts";
import { root } from "../support/command.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { needing } from "../support/needing.ts";

const time = new Date("2025-01-02T03:04:06Z");
const options = {
  version: "1.2.3",
  time,
  runtime: Deno.version,
  lock: await readLock(lockPath),
};

async function run(
  cwd: string,
  [program, ...args]: readonly [string, ...string[]],
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { TZ: "UTC", LC_ALL: "C" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** A directory to pack, made in an order of its own. */
async function makeDirectory(
  parent: string,
  name: string,
  order: readonly string[],
): Promise<void> {
  await Deno.mkdir(join(parent, name, "docs"), { recursive: true });
  for (const file of order) {
    const mode = file === "program" ? 0o755 : 0o644;
    const path = join(parent, name, file);
    await Deno.writeTextFile(path, `this is ${file}\n`, { mode });
  }
}

Deno.test(
  needing(["tar", "zip", "unzip"], {
    name: "pack() makes the same archive of the same files",
    async fn(t: Deno.TestContext): Promise<void> {
      for (const target of targets) {
        await t.step(target, async () => {
          await using first = new TemporaryDirectory();
          await using second = new TemporaryDirectory();
          const name = archiveName("1.2.3", target);
          assertEquals(name, `websocksy-1.2.3-${target}`);
          await makeDirectory(first.path, name, ["program", "a", "docs/b"]);
          await makeDirectory(second.path, name, ["docs/b", "a", "program"]);
          const archive = await pack(first.path, name, time);
          assertEquals(await pack(second.path, name, time), archive);
          const isWindows = target.includes("windows");
          assertEquals(archive, `${name}.${isWindows ? "zip" : "tar.gz"}`);
          const read = ({ path }: TemporaryDirectory): Promise<Uint8Array> =>
            Deno.readFile(join(path, archive));
          assertEquals(await read(first), await read(second));

          await using other = new TemporaryDirectory();
          const file = join(first.path, archive);
          await run(
            other.path,
            isWindows ? ["unzip", "-q", file] : ["tar", "-xzf", file],
          );
          for (const path of ["a", "docs/b", "program"]) {
            const unpacked = join(other.path, name, path);
            assertEquals(
              await Deno.readTextFile(unpacked),
              `this is ${path}\n`,
            );
            const { mtime, mode } = await Deno.stat(unpacked);
            assertEquals(mtime, time);
            assertEquals(mode! & 0o777, path === "program" ? 0o755 : 0o644);
          }
        });
      }
    },
  }),
);

Deno.test("pack() says why it failed", async () => {
  await using directory = new TemporaryDirectory();
  const name = "websocksy-1-x86_64-unknown-linux-gnu";
  await makeDirectory(directory.path, name, ["a"]);
  // The archive's name is taken by a directory.
  await Deno.mkdir(join(directory.path, `${name}.tar.gz`));
  await assertRejects(
    () => pack(directory.path, name, time),
    Error,
    "Cannot pack: tar: ",
  );
});

Deno.test("formatChecksums() makes what sha256sum checks", async () => {
  await using directory = new TemporaryDirectory();
  await directory.write("b", "");
  await directory.write("a c", "text");
  const sums = await formatChecksums(directory.path, ["b", "a c"]);
  await directory.write("SHA256SUMS", sums);
  const check = ["sha256sum", "--check", "--strict", "SHA256SUMS"] as const;
  assertEquals(await run(directory.path, check), "a c: OK\nb: OK\n");
  await directory.write("b", "changed");
  const { success } = await new Deno.Command(check[0], {
    args: check.slice(1),
    cwd: directory.path,
  }).output();
  assertEquals(success, false);
});

async function assertValidSbom(bill: unknown): Promise<void> {
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
  assertEquals(await validator.validate(JSON.stringify(bill)), null);
}

interface Bill {
  readonly components: readonly { readonly purl: string }[];
  readonly dependencies: readonly {
    readonly ref: string;
    readonly dependsOn: readonly string[];
  }[];
}

Deno.test("makeSbom() names every package of the program", async () => {
  const entries = [
    join(root, "main.ts"),
    ...await startedModules(),
    ...lazyPackages.values(),
  ];
  const graphs = await Promise.all(
    entries.map((entry) => readModuleGraph(entry)),
  );
  const bill = makeSbom(graphs, options) as unknown as Bill;
  await assertValidSbom(bill);
  const purls = bill.components.map(({ purl }) => purl);
  const { deno } = Deno.version;
  assert(purls.includes(`pkg:github/denoland/deno@v${deno}`));
  // By another way: whatever a module of the graph is, that is not a file.
  const external = graphs.flatMap(({ modules }) => modules)
    .map(({ specifier }) => specifier)
    .filter((specifier) => !/^(file|node):/.test(specifier));
  for (const specifier of external) {
    const [, npm, scope, name, version] =
      /^(?:npm:\/((?:@[^/]+\/)?[^/]+@[^/]+)|https:\/\/jsr\.io\/@([^/]+)\/([^/]+)\/([^/]+)\/.*)$/
        .exec(specifier)!;
    const part = npm?.replace(/^@/, "%40") ?? `${scope}__${name}@${version}`;
    assert(purls.some((purl) => purl.includes(part)), specifier);
  }
  // What is loaded only where it is needed, and what that needs.
  assert(purls.some((purl) => purl.includes("mime-db@")));
  const { dependsOn } = bill.dependencies.find(({ ref }) =>
    ref === "websocksy@1.2.3"
  )!;
  for (const specifier of lazyPackages.values()) {
    assert(dependsOn.includes(specifier), specifier);
  }
});

Deno.test("makeSbom() follows packages of npm to those that they need", async () => {
  await using directory = new TemporaryDirectory();
  const mime = manifest.imports["mime-types"];
  const graph = await readModuleGraph(
    await directory.write("entry.ts", `import "${mime}";\n`),
  );
  const bill = makeSbom([graph], options) as unknown as Bill;
  await assertValidSbom(bill);
  const of = (ref: string): readonly string[] | undefined =>
    bill.dependencies.find((one) => one.ref === ref)?.dependsOn;
  assert(of("websocksy@1.2.3")?.includes(mime));
  const [database] = of(mime) ?? [];
  assertMatch(database ?? "", /^npm:mime-db@/);
  assertEquals(of(database!), []);
});

Deno.test("makeSbom() follows packages of jsr.io, and leaves out types", async () => {
  const jsr = "https://jsr.io/@std";
  // As Deno tells it where jsr.io is reached.
  const graph: ModuleGraph = {
    roots: ["file:///main.ts"],
    redirects: {
      "jsr:/@std/cli@^1.0.32/parse-args": `${jsr}/cli/1.0.32/parse_args.ts`,
      "jsr:/@std/internal@^1.0.13/os": `${jsr}/internal/1.0.13/os.ts`,
    },
    modules: [
      {
        specifier: "file:///main.ts",
        dependencies: [
          { code: { specifier: "jsr:/@std/cli@^1.0.32/parse-args" } },
          { code: { specifier: "node:path" } },
          {},
        ],
      },
      { specifier: "node:path" },
      {
        specifier: `${jsr}/cli/1.0.32/parse_args.ts`,
        dependencies: [
          { code: { specifier: `${jsr}/cli/1.0.32/other.ts` } },
          { code: { specifier: "jsr:/@std/internal@^1.0.13/os" } },
        ],
      },
      { specifier: `${jsr}/cli/1.0.32/other.ts` },
      { specifier: `${jsr}/internal/1.0.13/os.ts` },
    ],
  };
  const bill = makeSbom([graph], options) as unknown as Bill;
  await assertValidSbom(bill);
  assertEquals(
    bill.components.slice(2),
    [
      {
        type: "library",
        "bom-ref": "jsr:@std/cli@1.0.32",
        name: "@std/cli",
        version: "1.0.32",
        purl:
          "pkg:npm/%40jsr/std__cli@1.0.32?repository_url=https://npm.jsr.io",
      },
      {
        type: "library",
        "bom-ref": "jsr:@std/internal@1.0.13",
        name: "@std/internal",
        version: "1.0.13",
        purl:
          "pkg:npm/%40jsr/std__internal@1.0.13?repository_url=https://npm.jsr.io",
      },
    ] as unknown as Bill["components"],
  );
  assertEquals(
    bill.dependencies.find(({ ref }) => ref === "jsr:@std/cli@1.0.32")
      ?.dependsOn,
    ["jsr:@std/internal@1.0.13"],
  );
});

Deno.test("makeSbom() refuses to leave something out", async () => {
  await using directory = new TemporaryDirectory();
  const entry = await directory.write("a.ts", 'import "./missing.ts";\n');
  const missing = await readModuleGraph(entry);
  assertThrows(() => makeSbom([missing], options), Error, "missing.ts");
  const graph = {
    roots: [],
    redirects: {},
    modules: [{ specifier: "https://example.com/a.ts" }],
  };
  assertThrows(
    () => makeSbom([graph], options),
    Error,
    "Cannot make the bill: no package has https://example.com/a.ts",
  );
});

Deno.test("release() refuses a wrong tag, target or directory", async () => {
  await using directory = new TemporaryDirectory();
  const { version } = manifest;
  const output = ["--output", directory.path];
  const cases: readonly (readonly [args: string[], message: string])[] = [
    [["--tag", "v0.0.0"], `the tag is "v0.0.0"`],
    [["--tag", version], `the version in deno.json ${version}`],
    [["--target", "none"], 'unknown target "none"'],
    [["--tag", `v${version}`], "old.zip is in the way"],
  ];
  await directory.write("old.zip", "");
  for (const [args, message] of cases) {
    await assertRejects(
      () => release([...output, ...args]),
      RangeError,
      message,
    );
  }
  await assertRejects(() => release(["--what"]), TypeError, "--what");
});
