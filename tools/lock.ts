/**
 * The lock of what a release is built from: `deno.lock`, with the integrity of
 * each package of npm.
 *
 *     deno task lock
 *
 * makes it anew, after a change of the `imports` of `deno.json`; what its `scopes`
 * name only tests, examples and benchmarks use. It has no packages of jsr.io, so
 * that it can be made, and holds, where that is not reached. What a release takes
 * from there is added to the lock that is published with it.
 *
 * @module
 */

import { join } from "node:path";
import manifest from "../deno.json" with { type: "json" };

const root = join(import.meta.dirname!, "..");

/** Path of the lock. */
export const lockPath: string = join(root, "deno.lock");

/** What a lock says of a package of npm. */
export interface LockedPackage {
  /** `sha512-`, and the hash of its archive in base64. */
  readonly integrity: string;
}

/** A lock, as far as it is looked at. */
export interface Lock {
  /** By name, version and, behind `_`, the packages that it was resolved with. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

/** A copy of the lock, to which Deno adds what the lock lacks. */
export class LockCopy implements AsyncDisposable {
  /** Its path. */
  readonly path: string;
  #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, "deno.lock");
  }

  /** Makes a copy. */
  static async make(): Promise<LockCopy> {
    const copy = new LockCopy(
      await Deno.makeTempDir({ prefix: "websocksy-lock-" }),
    );
    await Deno.copyFile(lockPath, copy.path);
    return copy;
  }

  /** Arguments for Deno, which then resolves by it; see {@linkcode check}. */
  get arguments(): readonly string[] {
    return [`--lock=${this.path}`, "--frozen=false"];
  }

  /**
   * Checks that the packages of npm are those of the lock. Deno writes what it
   * has found at the registry into a lock that it may change, also in place of
   * another integrity.
   *
   * @throws {Error} If one is another, or the lock lacks it.
   */
  async check(): Promise<void> {
    const locked = (await readLock(lockPath)).npm;
    const { npm } = await readLock(this.path);
    for (const [name, { integrity }] of Object.entries(npm)) {
      const expected = locked[name]?.integrity;
      if (expected === undefined) {
        throw new Error(
          `Cannot build: deno.lock lacks ${name}; "deno task lock" adds it`,
        );
      }
      if (integrity === expected) continue;
      throw new Error(
        `Cannot build: the integrity of ${name} is ${integrity}, not ${expected}`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/**
 * Reads a lock.
 *
 * @param path Its path.
 */
export async function readLock(path: string): Promise<Lock> {
  return JSON.parse(await Deno.readTextFile(path));
}

/**
 * Finds a package in a lock.
 *
 * @param lock The lock.
 * @param name Its name.
 * @param version Its version.
 * @returns The hash of its archive, in hexadecimal.
 * @throws {Error} If it is not there.
 */
export function hashOf(
  { npm }: Lock,
  name: string,
  version: string,
): string {
  const key = `${name}@${version}`;
  for (const [other, { integrity }] of Object.entries(npm)) {
    if (other !== key && !other.startsWith(`${key}_`)) continue;
    const [, hash] = /^sha512-(.+)$/.exec(integrity) ?? [];
    if (hash !== undefined) return Uint8Array.fromBase64(hash).toHex();
  }
  throw new Error(`Cannot find ${key} in deno.lock; "deno task lock" adds it`);
}

/**
 * Lists the packages of npm that the program uses.
 *
 * @returns Specifiers.
 */
export function npmSpecifiers(): string[] {
  return Object.values(manifest.imports).filter((specifier) =>
    specifier.startsWith("npm:")
  );
}

/**
 * Makes a lock.
 *
 * @param path Where.
 * @throws {Error} If Deno cannot.
 */
export async function makeLock(path: string): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "websocksy-lock-" });
  try {
    const entry = join(directory, "all.ts");
    const imports = npmSpecifiers().map((one) =>
      `import ${JSON.stringify(one)};\n`
    );
    await Deno.writeTextFile(entry, imports.join(""));
    const made = join(directory, "deno.lock");
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["cache", "--quiet", "--no-config", `--lock=${made}`, entry],
      stdin: "null",
    }).output();
    if (!success) {
      const why = new TextDecoder().decode(stderr).trim();
      throw new Error(`Cannot make the lock: ${why}`);
    }
    await Deno.copyFile(made, path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) await makeLock(lockPath);
