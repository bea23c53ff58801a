/**
 * Decides which `@std` packages a `deno` uses that a tool or a test starts:
 * those from jsr.io, as `deno.json` names them, or the stand-ins in
 * `fallback/`.
 *
 * @module
 */

import { join } from "node:path";

/** `jsr`: the packages; `fallback`: the stand-ins. */
export type StdSource = "jsr" | "fallback";

/** The environment variable that decides, if it is set. */
export const stdVariable = "WEBSOCKSY_STD";

/** Options for {@linkcode findStd}. */
export interface FindStdOptions {
  /**
   * Milliseconds without any progress after which a download is given up.
   *
   * @default {5000}
   */
  readonly stallTimeout?: number;
  /**
   * Milliseconds after which a download is given up, whatever its progress.
   *
   * @default {60000}
   */
  readonly timeout?: number;
}

const root = join(import.meta.dirname!, "..");
let found: Promise<StdSource> | undefined;

/**
 * Arguments for `deno run`, `test`, `check`, `compile` and so on, which let
 * imports of `@std` be resolved. The decision is made once in a process.
 *
 * @returns None if the packages can be loaded; otherwise, the argument that
 * replaces them by the stand-ins.
 * @throws {RangeError} If `WEBSOCKSY_STD` has a value that is not known.
 */
export async function stdArguments(): Promise<string[]> {
  found ??= findStd();
  return argumentsFor(await found);
}

/**
 * Arguments for `deno` that let imports of `@std` be resolved.
 *
 * @param source Where from.
 */
export function argumentsFor(source: StdSource): string[] {
  return source === "jsr"
    ? []
    : [`--import-map=${join(root, "fallback", "import_map.json")}`];
}

/**
 * Says which packages are used.
 *
 * @param source Where from.
 * @returns A line for the user.
 */
export function describeStd(source: StdSource): string {
  return source === "jsr"
    ? "@std: packages from jsr.io"
    : `@std: stand-ins in fallback/ (${stdVariable}=jsr asks for the packages)`;
}

/**
 * Finds out whether the `@std` packages can be loaded: `WEBSOCKSY_STD` says so,
 * or they are in Deno's cache, or they can be downloaded now.
 *
 * @param options How long a download may take.
 * @throws {RangeError} If `WEBSOCKSY_STD` has a value that is not known.
 */
export async function findStd(
  options: FindStdOptions = {},
): Promise<StdSource> {
  const chosen = Deno.env.get(stdVariable) ?? "";
  if (chosen === "jsr" || chosen === "fallback") return chosen;
  if (chosen !== "") {
    throw new RangeError(
      `Cannot choose the @std packages: ${stdVariable} is "${chosen}", not "jsr" or "fallback"`,
    );
  }
  const isCached = await load(["--cached-only"], options);
  return isCached || await load([], options) ? "jsr" : "fallback";
}

/**
 * Loads the packages with another `deno`, and reports whether that succeeded.
 */
async function load(
  flags: readonly string[],
  { stallTimeout = 5_000, timeout = 60_000 }: FindStdOptions,
): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      `--config=${join(root, "deno.json")}`,
      "--no-check",
      "--no-prompt",
      ...flags,
      join(root, "tools", "std_packages.ts"),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  function giveUp(): void {
    try {
      child.kill("SIGKILL");
    } catch {
      // The process has ended in the meantime.
    }
  }
  // With a network that drops packets, Deno would wait for minutes. Deno writes
  // a line for each file that it downloads: while lines come, it makes
  // progress.
  const limit = setTimeout(giveUp, timeout);
  let stall = setTimeout(giveUp, stallTimeout);
  try {
    for await (const _ of child.stderr) {
      clearTimeout(stall);
      stall = setTimeout(giveUp, stallTimeout);
    }
    return (await child.status).success;
  } finally {
    clearTimeout(stall);
    clearTimeout(limit);
  }
}
