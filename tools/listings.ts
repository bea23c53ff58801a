/**
 * What lists a release elsewhere: a formula for Homebrew, manifests for winget and
 * a chart for Helm, from the templates in `tools/listings`:
 *
 *     deno run -A tools/listings.ts --owner OWNER [--release DIRECTORY] [--output DIRECTORY]
 *
 * They name the files of a release at GitHub, whose checksums are in its
 * `SHA256SUMS`. They are published by whoever owns the tap, the entry or the
 * registry.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../deno.json" with { type: "json" };

const root = join(import.meta.dirname!, "..");

/** Options for {@linkcode fillListings}. */
export interface ListingsOptions {
  /** Owner of the repository. */
  readonly owner: string;
  /** The text of the release's `SHA256SUMS`. */
  readonly sums: string;
  /** Directory for the files. */
  readonly output: string;
}

/**
 * Fills the templates in.
 *
 * @param options The release.
 * @throws {Error} If the release lacks a file that one of them names.
 */
export async function fillListings(
  { owner, sums, output }: ListingsOptions,
): Promise<void> {
  const templates = join(root, "tools/listings");
  const { version } = manifest;
  const hashes = new Map(
    Array.from(
      sums.matchAll(/^([\da-f]{64}) [ *](.+)$/gm),
      ([, hash, name]) => [name!, hash!],
    ),
  );
  const place =
    `https://github.com/${owner}/websocksy/releases/download/v${version}`;
  function valueOf(what: string): string {
    if (what === "VERSION") return version;
    if (what === "OWNER") return owner;
    const [kind, suffix] = what.split(" ");
    const name = `websocksy-${version}-${suffix}`;
    const hash = hashes.get(name);
    if (hash === undefined) {
      throw new Error(`Cannot list the release: it has no ${name}`);
    }
    return kind === "URL" ? `${place}/${name}` : hash;
  }
  for (const path of await listFiles(templates)) {
    const text = await Deno.readTextFile(join(templates, path));
    const target = join(output, path);
    await Deno.mkdir(dirname(target), { recursive: true });
    await Deno.writeTextFile(
      target,
      text.replaceAll(
        /@(VERSION|OWNER|(?:URL|SHA256) [\w.-]+)@/g,
        (_, what) => valueOf(what),
      ),
    );
  }
}

async function listFiles(directory: string, within = ""): Promise<string[]> {
  const found: string[] = [];
  for await (
    const { name, isDirectory } of Deno.readDir(join(directory, within))
  ) {
    const path = join(within, name);
    if (isDirectory) found.push(...await listFiles(directory, path));
    else found.push(path);
  }
  return found;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: {
      owner: { type: "string" },
      release: { type: "string", default: join(root, "dist", "release") },
      output: { type: "string", default: join(root, "dist", "listings") },
    },
  });
  const { owner, release, output } = values;
  if (owner === undefined) {
    throw new TypeError("Cannot list the release: --owner is missing");
  }
  const sums = await Deno.readTextFile(join(release, "SHA256SUMS"));
  await fillListings({ owner, sums, output });
}
