/**
 * Archives of a program and what belongs to it, and their checksums. The same
 * files at the same time make the same archive.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/**
 * Names the archive for a target.
 *
 * @param version The program's version.
 * @param target The target.
 * @returns The name without its extension, which is also the directory in it.
 */
export function archiveName(version: string, target: string): string {
  return `websocksy-${version}-${target}`;
}

/**
 * Packs a directory with `tar`, or with `zip` if it is for Windows.
 *
 * @param parent Where the directory is, and where the archive is put.
 * @param name The directory's name.
 * @param time Time of everything in the archive.
 * @returns The archive's name.
 * @throws {Error} If the program fails.
 */
export async function pack(
  parent: string,
  name: string,
  time: Date,
): Promise<string> {
  const paths = await readdir(join(parent, name), { recursive: true });
  const sorted = paths.map((path) => join(name, path)).sort();
  for (const path of [name, ...sorted]) {
    await Deno.utime(join(parent, path), time, time);
  }
  if (name.includes("-windows-")) {
    const archive = `${name}.zip`;
    // Without the ids of users, and without access times.
    await run(parent, ["zip", "-q", "-X", archive, name, ...sorted]);
    return archive;
  }
  const archive = `${name}.tar.gz`;
  await run(parent, [
    "tar",
    "--create",
    "--gzip",
    `--file=${archive}`,
    "--format=ustar",
    "--no-recursion",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u+rw,go-w",
    name,
    ...sorted,
  ]);
  return archive;
}

async function run(
  cwd: string,
  [program, ...args]: readonly [string, ...string[]],
): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { TZ: "UTC" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  throw new Error(
    `Cannot pack: ${program}: ${new TextDecoder().decode(stderr).trim()}`,
  );
}

/**
 * Makes the checksums of files, as `sha256sum --check` reads them.
 *
 * @param directory Where the files are.
 * @param names Their names.
 * @returns A line for each, in the order of their names.
 */
export async function formatChecksums(
  directory: string,
  names: readonly string[],
): Promise<string> {
  const lines: string[] = [];
  for (const name of names.toSorted()) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(join(directory, name))) {
      hash.update(chunk);
    }
    lines.push(`${hash.digest("hex")}  ${name}\n`);
  }
  return lines.join("");
}
