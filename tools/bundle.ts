/**
 * Makes the program one directory of JavaScript that needs nothing but Deno: no
 * registry, no checkout.
 *
 *     deno run -A tools/bundle.ts [--output DIRECTORY]
 *
 * There, `main.js` is the command, with `@std` in it; a file stands beside it for
 * each module that the program starts by its URL, as a thread or a process, and
 * for each package that it imports only when it is needed. `deno.json` maps the
 * names of the packages to their files. `THIRD_PARTY_LICENSES` has the licenses
 * of what comes from others.
 *
 * The same commit makes the same bytes.
 *
 * @module
 */

import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../deno.json" with { type: "json" };
import { LockCopy } from "./lock.ts";
import { formatLicenses } from "./licenses.ts";
import { lazyPackages, startedModules } from "./modules.ts";
import { stdArguments } from "./std.ts";

const root = join(import.meta.dirname!, "..");

/**
 * Makes the bundle.
 *
 * @param directory Where; it is emptied first.
 * @param lock What packages of npm it takes, and what it has taken from jsr.io;
 * absent: it begins with `deno.lock`.
 * @throws {Error} If Deno cannot make it, or it would lack a module.
 */
export async function bundle(
  directory: string,
  lock?: LockCopy,
): Promise<void> {
  if (lock !== undefined) return await bundleLocked(directory, lock);
  await using copy = await LockCopy.make();
  await bundleLocked(directory, copy);
}

async function bundleLocked(
  directory: string,
  lock: LockCopy,
): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  for await (const { name } of Deno.readDir(directory)) {
    await Deno.remove(join(directory, name), { recursive: true });
  }
  const started = await startedModules();
  const names = new Map(started.map((path) => [basename(path), toJs(path)]));
  if (names.size < started.length) {
    throw new Error("Cannot bundle: two of the started modules have one name");
  }
  for (const path of [join(root, "main.ts"), ...started]) {
    const output = join(directory, toJs(path));
    await bundleModule(path, output, lock);
    await renameStarted(output, names);
  }
  await checkStarted(directory, names);
  const imports: Record<string, string> = {};
  for (const [name, specifier] of lazyPackages) {
    const file = `${name.replace("@", "").replaceAll("/", "_")}.package.js`;
    await bundlePackage(specifier, join(directory, file), lock);
    imports[name] = `./${file}`;
  }
  await lock.check();
  await writeJson(join(directory, "deno.json"), {
    imports,
    unstable: manifest.unstable,
    nodeModulesDir: "none",
    lock: false,
  });
  await Deno.writeTextFile(
    join(directory, "THIRD_PARTY_LICENSES"),
    await formatLicenses(),
  );
}

function toJs(path: string): string {
  return basename(path).replace(/\.ts$/, ".js");
}

async function bundleModule(
  path: string,
  output: string,
  lock: LockCopy,
): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--no-check"],
      `--config=${join(root, "deno.json")}`,
      ...lock.arguments,
      ...await stdArguments(),
      `--output=${output}`,
      path,
    ],
    // The paths in comments are relative to it.
    cwd: root,
    stdin: "null",
  }).output();
  if (!success) {
    const why = new TextDecoder().decode(stderr).trim();
    throw new Error(`Cannot bundle ${path}: ${why}`);
  }
  const text = await Deno.readTextFile(output);
  // Where Deno keeps packages, and what is bundled, differs between machines.
  const place = /^( *(?:\/\/ |"))[^"\n]*?\/npm\/[^/"\n]+\//gm;
  const entry = /^\/\/ .*\.entry\.js\n/gm;
  await Deno.writeTextFile(
    output,
    text.replaceAll(place, "$1npm/").replaceAll(entry, ""),
  );
}

/** Names modules that are started as they are called in the bundle. */
async function renameStarted(
  file: string,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const text = await Deno.readTextFile(file);
  await Deno.writeTextFile(
    file,
    text.replaceAll(
      /new URL\("\.\/([^"/]+\.ts)", import\.meta\.url\)/g,
      (url, name) => {
        const renamed = names.get(name);
        return renamed === undefined ? url : url.replace(name, renamed);
      },
    ),
  );
}

/** Checks that each started module is named somewhere, and none by its old name. */
async function checkStarted(
  directory: string,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const text = await Deno.readTextFile(join(directory, "main.js"));
  for (const [from, to] of names) {
    const url = (name: string): string => `"./${name}", import.meta.url`;
    if (!text.includes(url(to)) || text.includes(url(from))) {
      throw new Error(`Cannot bundle: main.js does not start ${to}`);
    }
  }
}

/**
 * Bundles a package such that it exports what Deno finds in it, also where it is
 * CommonJS, whose exports show only when it runs.
 */
async function bundlePackage(
  specifier: string,
  output: string,
  lock: LockCopy,
): Promise<void> {
  const names = Object.keys(await import(specifier)).filter((name) =>
    name !== "default" && name !== "module.exports"
  );
  const entry = `${output}.entry.js`;
  const variables = names.map((name) => `${name}: $${name}`);
  const exported = names.map((name) => `$${name} as ${name}`);
  await Deno.writeTextFile(
    entry,
    [
      `import * as all from ${JSON.stringify(specifier)};`,
      `const { default: $default, ${variables.join(", ")} } = all;`,
      `export { $default as default, ${exported.join(", ")} };`,
    ].join("\n"),
  );
  try {
    await bundleModule(entry, output, lock);
  } finally {
    await Deno.remove(entry);
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: {
      output: { type: "string", default: join(root, "dist", "bundle") },
    },
  });
  await bundle(values.output);
}
