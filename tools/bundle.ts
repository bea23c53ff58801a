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

import { readdir } from "node:fs/promises";
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

/** What a program or a package is made of. */
export interface BundleSource {
  /** What the bundle is made with; absent: it begins with `deno.lock`. */
  readonly lock?: LockCopy;
  /** Directory of a bundle that {@linkcode bundle} has made; absent: it is made. */
  readonly bundled?: string;
}

/**
 * Makes the bundle, or copies one that there is.
 *
 * @param directory Where; it is emptied first.
 * @param source Where from.
 * @throws {Error} If Deno cannot make it, or it would lack a module.
 */
export async function takeBundle(
  directory: string,
  { lock, bundled }: BundleSource,
): Promise<void> {
  if (bundled === undefined) return await bundle(directory, lock);
  await makeEmpty(directory);
  for await (const { name } of Deno.readDir(bundled)) {
    await Deno.copyFile(join(bundled, name), join(directory, name));
  }
}

async function makeEmpty(directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  for await (const { name } of Deno.readDir(directory)) {
    await Deno.remove(join(directory, name), { recursive: true });
  }
}

async function bundleLocked(
  directory: string,
  lock: LockCopy,
): Promise<void> {
  await makeEmpty(directory);
  const started = await startedModules();
  const names = new Map(started.map((path) => [basename(path), toJs(path)]));
  if (names.size < started.length) {
    throw new Error("Cannot bundle: two of the started modules have one name");
  }
  const modules = [join(root, "main.ts"), ...started];
  // Apart from the others, as it has some of their sources as texts, too.
  await bundleModules(modules.slice(0, 1), directory, lock);
  await bundleModules(started, directory, lock);
  for (const path of modules) {
    await renameStarted(join(directory, toJs(path)), names);
  }
  await checkStarted(directory, names);
  const imports = await bundlePackages(directory, lock);
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

/**
 * Bundles modules, each by itself, with one run of Deno: most of what one costs
 * is its start.
 *
 * @param paths Their paths; no two have one name.
 * @param directory Where the bundles go.
 * @param lock What they are resolved with.
 */
async function bundleModules(
  paths: readonly string[],
  directory: string,
  lock: LockCopy,
): Promise<void> {
  const made = join(directory, "made");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--no-check"],
      `--config=${join(root, "deno.json")}`,
      ...lock.arguments,
      ...await stdArguments(),
      `--outdir=${made}`,
      ...paths,
    ],
    // The paths in comments are relative to it.
    cwd: root,
    stdin: "null",
  }).output();
  if (!success) {
    const why = new TextDecoder().decode(stderr).trim();
    throw new Error(`Cannot bundle ${paths.join(", ")}: ${why}`);
  }
  // Where Deno keeps packages, and what is bundled, differs between machines.
  const place = /^( *(?:\/\/ |"))[^"\n]*?\/npm\/[^/"\n]+\//gm;
  const entry = /^\/\/ .*\.package\.entry\.js\n/gm;
  // What it says of modules where another in the same run has one as a text.
  const attributes = /^(\/\/ \S+\.ts) with \{ type: 'text' \}$/gm;
  // They lie as the modules do below the folder that these have in common.
  for (const path of await readdir(made, { recursive: true })) {
    if (!path.endsWith(".js")) continue;
    const text = await Deno.readTextFile(join(made, path));
    await Deno.writeTextFile(
      join(directory, basename(path)),
      text.replaceAll(place, "$1npm/").replaceAll(entry, "")
        .replaceAll(attributes, "$1"),
    );
  }
  await Deno.remove(made, { recursive: true });
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
 * Bundles the packages such that each exports what Deno finds in it, also where
 * it is CommonJS, whose exports show only when it runs.
 *
 * @returns The file of each, by its name.
 */
async function bundlePackages(
  directory: string,
  lock: LockCopy,
): Promise<Record<string, string>> {
  const folder = join(directory, "entries");
  await Deno.mkdir(folder);
  const imports: Record<string, string> = {};
  const entries: string[] = [];
  for (const [name, specifier] of lazyPackages) {
    const part = name.replace("@", "").replaceAll("/", "_");
    const entry = join(folder, `${part}.package.entry.js`);
    await Deno.writeTextFile(entry, await formatEntry(specifier));
    entries.push(entry);
    imports[name] = `./${part}.package.js`;
  }
  await bundleModules(entries, directory, lock);
  await Deno.remove(folder, { recursive: true });
  for (const [index, file] of Object.values(imports).entries()) {
    await Deno.rename(
      join(directory, basename(entries[index]!)),
      join(directory, file),
    );
  }
  return imports;
}

/** Formats a module that exports by name what a package exports. */
async function formatEntry(specifier: string): Promise<string> {
  const names = Object.keys(await import(specifier)).filter((name) =>
    name !== "default" && name !== "module.exports"
  );
  const variables = names.map((name) => `${name}: $${name}`);
  const exported = names.map((name) => `$${name} as ${name}`);
  return [
    `import * as all from ${JSON.stringify(specifier)};`,
    `const { default: $default, ${variables.join(", ")} } = all;`,
    `export { $default as default, ${exported.join(", ")} };`,
  ].join("\n");
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
