/**
 * Compiles the bundle into a standalone program; the same commit and Deno make the
 * same bytes:
 *
 *     deno run -A tools/compile.ts [--target TARGET|all] [--output PATH] [--v8-flags=FLAGS]
 *
 * Without a target, it is `dist/websocksy` for this machine, else
 * `dist/websocksy-TARGET`; on Windows their names end in `.exe`. The program has
 * V8's flags for good: those of `v8_flags.ts`, then FLAGS.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BundleSource, takeBundle } from "./bundle.ts";
import { v8Flags } from "./v8_flags.ts";

/** The targets for which Deno compiles. */
export const targets: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
];

/**
 * The permissions of the program: to connect and listen, read configuration and
 * peer files, create and remove Unix sockets, and grant plugins any of these,
 * the environment and modules from any host. It may not start a process or load
 * a native library.
 */
export const permissions: readonly string[] = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-import",
  "--no-prompt",
];

const root = join(import.meta.dirname!, "..");

/** One program to compile. */
interface Job {
  readonly target: string | undefined;
  readonly output: string;
  /** V8's flags, with a comma between two. */
  readonly flags: string;
}

/**
 * Compiles the bridge as the arguments of the command say.
 *
 * @param args The arguments.
 * @param source What is compiled.
 * @returns The exit status: that of the first `deno compile` that failed, or 0.
 * @throws {TypeError} If an argument is unknown.
 * @throws {RangeError} If the target is unknown, or several go to one path.
 */
export async function compile(
  args: readonly string[],
  source: BundleSource = {},
): Promise<number> {
  const jobs = toJobs(args);
  const modules = await Deno.makeTempDir({ prefix: "websocksy-" });
  try {
    await takeBundle(modules, source);
    const included = await settle(modules);
    for (const { target, output, flags } of jobs) {
      const { code } = await new Deno.Command(Deno.execPath(), {
        args: [
          "compile",
          `--config=${join(modules, "deno.json")}`,
          "--no-check",
          ...permissions,
          // Deno keeps it in the shared temporary directory, under a name that
          // others can guess, and runs it without checking its owner.
          "--no-code-cache",
          // By default, it is the name of the file.
          "--app-name=websocksy",
          ...included.map((module) => `--include=${module}`),
          ...(target === undefined ? [] : [`--target=${target}`]),
          `--v8-flags=${flags}`,
          `--output=${output}`,
          join(modules, "main.js"),
        ],
        stdin: "null",
        stdout: "inherit",
        stderr: "inherit",
      }).spawn().status;
      if (code !== 0) return code;
    }
    return 0;
  } finally {
    await Deno.remove(modules, { recursive: true });
  }
}

/**
 * Gives all files one time, as Deno embeds it, too.
 *
 * @returns The paths of those that no import leads to.
 */
async function settle(directory: string): Promise<string[]> {
  const included: string[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    const path = join(directory, name);
    await Deno.utime(path, 0, 0);
    if (name.endsWith(".js") && name !== "main.js") included.push(path);
  }
  return included.sort();
}

function toJobs(args: readonly string[]): Job[] {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "target": { type: "string" },
      "output": { type: "string" },
      "v8-flags": { type: "string" },
    },
  });
  const { target, output, "v8-flags": more } = values;
  // Of two that contradict each other, V8 takes the last.
  const flags = more === undefined ? v8Flags : `${v8Flags},${more}`;
  if (target === "all") {
    if (output !== undefined) {
      throw new RangeError(
        "Cannot compile: --output takes one program, and --target all makes several",
      );
    }
    return targets.map((target) => ({
      target,
      output: pathFor(target),
      flags,
    }));
  }
  if (target !== undefined && !targets.includes(target)) {
    throw new RangeError(
      `Cannot compile: unknown target "${target}", known are ${
        targets.join(", ")
      } and all`,
    );
  }
  return [{ target, output: output ?? pathFor(target), flags }];
}

function pathFor(target: string | undefined): string {
  const name = target === undefined ? "websocksy" : `websocksy-${target}`;
  const isWindows = (target ?? Deno.build.target).includes("-windows-");
  return join(root, "dist", isWindows ? `${name}.exe` : name);
}

if (import.meta.main) {
  try {
    Deno.exitCode = await compile(Deno.args);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) {
      throw error;
    }
    Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exitCode = 2;
  }
}
