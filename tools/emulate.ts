/**
 * Makes a program that behaves as a compiled one where it differs from
 * `deno run`, as far as Deno itself can: the runtime of compiled programs cannot
 * be had everywhere.
 *
 *     deno task emulate [FLAG]... [PATH]...
 *     deno run -A tools/emulate.ts --output DIRECTORY
 *
 * The first runs tests against it, as `deno task test` does; without a path, those
 * of what is different in a compiled program. The second leaves it in a directory,
 * as `websocksy`.
 *
 * It has the permissions, the options and the modules that a compiled program
 * has, and no others: the bundle, no registry, no import from a URL, no code
 * cache, no telemetry, and it says that it is compiled. It is a shell script,
 * and so for Unix.
 *
 * What remains different is in `docs/compiled.md`.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { type BundleSource, takeBundle } from "./bundle.ts";
import { permissions } from "./compile.ts";
import { v8Flags } from "./v8_flags.ts";

/** What a compiled program shows of itself; its threads run this module, too. */
const prologue =
  `Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });\n`;

/** What a compiled program takes from its environment only when it is compiled. */
const baked = [
  "DENO_V8_FLAGS",
  "OTEL_DENO",
];

/**
 * Makes the program.
 *
 * @param directory Where; it is emptied first.
 * @param source Its bundle.
 * @returns Path of the program.
 */
export async function emulate(
  directory: string,
  source: BundleSource = {},
): Promise<string> {
  const modules = join(resolve(directory), "modules");
  await takeBundle(modules, source);
  const main = join(modules, "main.js");
  await Deno.writeTextFile(main, prologue + await Deno.readTextFile(main));
  const program = join(resolve(directory), "websocksy");
  const command = [
    ...[Deno.execPath(), "run", "--quiet"],
    `--config=${join(modules, "deno.json")}`,
    ...["--no-lock", "--no-remote", "--no-npm", "--no-code-cache"],
    ...["--cached-only", "--no-check", `--v8-flags=${v8Flags}`],
    ...permissions,
    main,
  ];
  const unset = baked.map((name) => `-u ${name}`).join(" ");
  await Deno.writeTextFile(
    program,
    `#!/bin/sh\nexec env ${unset} ${command.map(quote).join(" ")} "$@"\n`,
  );
  await Deno.chmod(program, 0o755);
  return program;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Tests of what is different in a compiled program, and of what it loads late. */
const selection: readonly string[] = [
  `--filter=/${
    [
      // The signal of a request, which tells less there.
      "reset around",
      // import() of a file asks for no permission, and none of a URL works.
      "imports no file",
      "imports while it runs",
      // Modules that it starts: workers, threads.
      "two TypeScript modules from a URL",
      "gives each thread the plugins",
      // Packages that the bundle has, and modules that it imports late.
      "serves files with their types",
      "--demo prints",
      // DENO_CERT, and datagrams: an option that is compiled in.
      "talks TLS to a peer it can verify",
      "bounds of UDP datagrams",
    ].join("|")
  }/`,
  ...[
    "abuse",
    "command",
    "plugin",
    "plugin_backend",
    "threads",
    "transports",
    "web",
  ].map((name) => `tests/e2e/${name}_test.ts`),
];

async function test(args: readonly string[]): Promise<number> {
  const isChosen = args.some((arg) => !arg.startsWith("-"));
  const directory = await Deno.makeTempDir({ prefix: "websocksy-" });
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", join(import.meta.dirname!, "test.ts"), "--no-check"],
        ...args,
        ...isChosen ? [] : selection,
      ],
      env: { WEBSOCKSY_BINARY: await emulate(directory) },
    }).spawn().status;
    return code;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) {
  const [first, directory] = Deno.args;
  if (first !== "--output") Deno.exit(await test(Deno.args));
  if (directory === undefined) {
    throw new TypeError("Cannot emulate: --output lacks its directory");
  }
  await emulate(directory);
}
