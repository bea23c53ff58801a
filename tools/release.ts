/**
 * Makes the files of a release:
 *
 *     deno task release [--tag vVERSION] [--target TARGET|all] [--output DIRECTORY]
 *         [--maintainer "NAME <ADDRESS>"]
 *
 * For each target an archive with the program, its license, manual page,
 * completions, systemd unit and an example of a configuration; a bill of
 * materials; and `SHA256SUMS` over all of them. They go to `dist/release`,
 * which must be empty. With a maintainer, the packages for npm and, of Linux's
 * programs, for Debian are among them. Without a target, they are for this machine.
 *
 * With a tag, it fails unless that is the version in `deno.json`. The time in the
 * archives is SOURCE_DATE_EPOCH, in seconds, if that is set.
 *
 * @module
 */

import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { backends } from "../backends/mod.ts";
import { framings } from "../framing/mod.ts";
import { formatCompletions } from "../core/cli/completions/completions.ts";
import manifest from "../deno.json" with { type: "json" };
import { archiveName, formatChecksums, pack } from "./archive.ts";
import { compile, targets } from "./compile.ts";
import { lazyPackages, startedModules } from "./modules.ts";
import { makeDeb } from "./deb.ts";
import { formatLicenses } from "./licenses.ts";
import { LockCopy, lockPath, readLock } from "./lock.ts";
import { makeNpmPackage } from "./npm.ts";
import { makeSbom, readModuleGraph } from "./sbom.ts";

const root = join(import.meta.dirname!, "..");

/** Files of the project that go into each archive. */
const files: readonly string[] = [
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "config.example.ini",
  "docs/websocksy.1",
  "examples/systemd/websocksy.service",
];

/** Debian's names of the architectures. */
const debian: Readonly<Record<string, string>> = {
  "x86_64-unknown-linux-gnu": "amd64",
  "aarch64-unknown-linux-gnu": "arm64",
};

/** The parsed arguments of the tool. */
interface ReleaseOptions {
  readonly targets: readonly string[];
  readonly output: string;
  /** Who makes the packages; absent: none are made. */
  readonly maintainer: string | undefined;
}

/**
 * Makes a release as the arguments of the tool say.
 *
 * @param args The arguments.
 * @returns The exit status: that of a `deno compile` that failed, or 0.
 * @throws {TypeError} If an argument is unknown.
 * @throws {RangeError} If the target is unknown, the tag is not that of the
 * version, or the directory is in use.
 */
export async function release(args: readonly string[]): Promise<number> {
  const { targets, output, maintainer } = readArguments(args);
  const time = sourceTime();
  await makeEmptyDirectory(output);
  await using lock = await LockCopy.make();
  const made: string[] = [];
  for (const target of targets) {
    const name = archiveName(manifest.version, target);
    const directory = join(output, name);
    await Deno.mkdir(directory);
    const program = target.includes("-windows-")
      ? "websocksy.exe"
      : "websocksy";
    const code = await compile([
      ...["--target", target],
      ...["--output", join(directory, program)],
    ], { lock });
    if (code !== 0) return code;
    await addFiles(directory);
    const arch = debian[target];
    if (maintainer !== undefined && arch !== undefined) {
      const path = await makeDeb({
        program: join(directory, program),
        ...{ maintainer, arch, output, time },
      });
      made.push(basename(path));
    }
    made.push(await pack(output, name, time));
    await Deno.remove(directory, { recursive: true });
  }
  if (maintainer !== undefined) {
    const packed = await makeNpmPackage(join(output, "npm"), { lock });
    made.push(basename(packed));
    await Deno.rename(packed, join(output, basename(packed)));
    await Deno.remove(join(output, "npm"), { recursive: true });
  }
  const bill = "websocksy.cdx.json";
  await Deno.writeTextFile(join(output, bill), await formatSbom(time, lock));
  // With what was taken from jsr.io: it makes the same programs again.
  await Deno.copyFile(lock.path, join(output, "deno.lock"));
  const sums = await formatChecksums(output, [
    ...made,
    bill,
    "deno.lock",
  ]);
  await Deno.writeTextFile(join(output, "SHA256SUMS"), sums);
  return 0;
}

function readArguments(args: readonly string[]): ReleaseOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tag: { type: "string" },
      target: { type: "string", default: Deno.build.target },
      maintainer: { type: "string" },
      output: { type: "string", default: join(root, "dist", "release") },
    },
  });
  const { tag, target, output, maintainer } = values;
  if (tag !== undefined && tag !== `v${manifest.version}`) {
    throw new RangeError(
      `Cannot release: the tag is "${tag}", and the version in deno.json ${manifest.version}`,
    );
  }
  if (target !== "all" && !targets.includes(target)) {
    throw new RangeError(`Cannot release: unknown target "${target}"`);
  }
  return {
    targets: target === "all" ? targets : [target],
    output,
    maintainer,
  };
}

function sourceTime(): Date {
  const seconds = Deno.env.get("SOURCE_DATE_EPOCH");
  return seconds === undefined ? new Date() : new Date(Number(seconds) * 1000);
}

/** Checks that the directory is empty: its files would be released, too. */
async function makeEmptyDirectory(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true });
  for await (const { name } of Deno.readDir(path)) {
    throw new RangeError(`Cannot release: ${join(path, name)} is in the way`);
  }
}

/** Copies the files that belong to a program next to it. */
async function addFiles(directory: string): Promise<void> {
  for (const file of files) {
    await Deno.copyFile(
      join(root, file),
      join(directory, file.split("/").at(-1)!),
    );
  }
  await Deno.writeTextFile(
    join(directory, "THIRD_PARTY_LICENSES"),
    await formatLicenses(),
  );
  const names = [Object.keys(backends), Object.keys(framings)] as const;
  const completions = {
    "websocksy.bash": formatCompletions("bash", ...names),
    _websocksy: formatCompletions("zsh", ...names),
    "websocksy.fish": formatCompletions("fish", ...names),
  };
  await Deno.mkdir(join(directory, "completions"));
  for (const [name, text] of Object.entries(completions)) {
    await Deno.writeTextFile(join(directory, "completions", name), text);
  }
}

async function formatSbom(time: Date, lock: LockCopy): Promise<string> {
  const entries = [
    join(root, "main.ts"),
    ...await startedModules(),
    ...lazyPackages.values(),
  ];
  const graphs = await Promise.all(
    entries.map((entry) => readModuleGraph(entry, lock)),
  );
  const { version } = manifest;
  const bill = makeSbom(graphs, {
    version,
    time,
    runtime: Deno.version,
    lock: await readLock(lockPath),
  });
  return `${JSON.stringify(bill, null, 2)}\n`;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await release(Deno.args);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) {
      throw error;
    }
    Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exitCode = 2;
  }
}
