/**
 * Makes a package for Debian and what descends from it:
 *
 *     deno run -A tools/deb.ts --program PATH --maintainer "NAME <ADDRESS>"
 *         [--arch amd64|arm64] [--output DIRECTORY]
 *
 * The program is a compiled one, for that architecture. The package has it, its
 * unit with a user of its own, a configuration, the manual page and completions:
 * `websocksy_VERSION_ARCH.deb`, in `dist` by default. The time in it is
 * SOURCE_DATE_EPOCH, in seconds, if that is set: the same files make the same
 * bytes.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { backends } from "../backends/mod.ts";
import { formatCompletions } from "../core/cli/completions/completions.ts";
import manifest from "../deno.json" with { type: "json" };
import { framings } from "../framing/mod.ts";
import { formatLicenses } from "./licenses.ts";

const root = join(import.meta.dirname!, "..");

/** Options for {@linkcode makeDeb}. */
export interface DebOptions {
  /** Path of the program. */
  readonly program: string;
  /** Who makes the package: `NAME <ADDRESS>`. */
  readonly maintainer: string;
  /** Debian's name of the architecture. */
  readonly arch: string;
  /** Directory for the package. */
  readonly output: string;
  /** The time of all files. */
  readonly time: Date;
  /**
   * The version.
   *
   * @default {manifest.version}
   */
  readonly version?: string;
}

/** A file of the package. */
interface PackageFile {
  readonly path: string;
  readonly content: string | Uint8Array;
  /** @default {0o644} */
  readonly mode?: number;
}

/**
 * Makes the package.
 *
 * @param options What goes into it.
 * @returns Its path.
 * @throws {Error} If `dpkg-deb` cannot make it.
 */
export async function makeDeb(options: DebOptions): Promise<string> {
  const { version = manifest.version, arch, output, time } = options;
  const directory = await Deno.makeTempDir({ prefix: "websocksy-" });
  try {
    const tree = join(directory, "tree");
    const files = await listFiles(options, version);
    for (const { path, content, mode = 0o644 } of files) {
      await write(join(tree, path), content, mode);
    }
    const program = join(tree, "usr/bin/websocksy");
    await Deno.mkdir(dirname(program), { recursive: true });
    await Deno.copyFile(options.program, program);
    await Deno.chmod(program, 0o755);
    const control = formatControl(options, version, await measure(tree));
    await write(join(tree, "DEBIAN/control"), control, 0o644);
    await settle(tree, time);
    await Deno.mkdir(output, { recursive: true });
    const path = join(output, `websocksy_${version}_${arch}.deb`);
    const { success, stderr } = await new Deno.Command("dpkg-deb", {
      args: ["--root-owner-group", "-Zxz", "--build", tree, path],
      env: { SOURCE_DATE_EPOCH: `${Math.floor(time.getTime() / 1000)}` },
      stdin: "null",
    }).output();
    if (!success) {
      const why = new TextDecoder().decode(stderr).trim();
      throw new Error(`Cannot make the package: ${why}`);
    }
    return path;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function listFiles(
  { maintainer, time }: DebOptions,
  version: string,
): Promise<PackageFile[]> {
  const names = [Object.keys(backends), Object.keys(framings)] as const;
  const doc = "usr/share/doc/websocksy";
  const scripts = ["postinst", "prerm", "postrm"] as const;
  return [
    {
      path: "usr/lib/systemd/system/websocksy.service",
      content: toUnit(await read("examples/systemd/websocksy.service")),
    },
    {
      path: "etc/websocksy/websocksy.ini",
      content: toConfiguration(await read("config.example.ini")),
    },
    {
      path: "usr/share/man/man1/websocksy.1.gz",
      content: gzip(await read("docs/websocksy.1")),
    },
    {
      path: "usr/share/bash-completion/completions/websocksy",
      content: formatCompletions("bash", ...names),
    },
    {
      path: "usr/share/zsh/vendor-completions/_websocksy",
      content: formatCompletions("zsh", ...names),
    },
    {
      path: "usr/share/fish/vendor_completions.d/websocksy.fish",
      content: formatCompletions("fish", ...names),
    },
    { path: `${doc}/copyright`, content: await formatCopyright() },
    {
      path: `${doc}/THIRD_PARTY_LICENSES.gz`,
      content: gzip(await formatLicenses()),
    },
    {
      path: `${doc}/changelog.gz`,
      content: gzip(formatChangelog(version, maintainer, time)),
    },
    {
      path: "usr/share/lintian/overrides/websocksy",
      content: await read("tools/deb/lintian-overrides"),
    },
    { path: "DEBIAN/conffiles", content: "/etc/websocksy/websocksy.ini\n" },
    ...await Promise.all(scripts.map(async (name) => ({
      path: `DEBIAN/${name}`,
      content: await read(`tools/deb/${name}`),
      mode: 0o755,
    }))),
  ];
}

/** The unit of the examples, with the paths of a package and a user that stays. */
function toUnit(unit: string): string {
  return replace(unit, [
    [
      "ExecStart=/usr/local/bin/websocksy /etc/websocksy/config.ini",
      "ExecStart=/usr/bin/websocksy /etc/websocksy/websocksy.ini",
    ],
    ["# A user that exists while it runs, and owns nothing.\n", ""],
    ["DynamicUser=yes", "User=websocksy"],
  ]);
}

/** The example of a configuration, for this machine alone until it says otherwise. */
function toConfiguration(example: string): string {
  return replace(example, [
    [
      "# An example configuration: websocksy config.example.ini\n",
      "# The configuration of websocksy.service; after a change:\n" +
      "# systemctl reload websocksy\n",
    ],
    [
      `# Where the server listens. "::" also accepts IPv4 connections.\n`,
      `# Where the server listens: on this machine alone. "::" is every address.\n`,
    ],
    ["listen = ::\n", "listen = 127.0.0.1\n"],
    [
      "backends/README.md describes\n# those of the backends.",
      "websocksy(1) explains them.",
    ],
  ]);
}

function replace(
  text: string,
  pairs: readonly (readonly [from: string, to: string])[],
): string {
  for (const [from, to] of pairs) {
    if (text.split(from).length !== 2) {
      throw new Error(`Cannot make the package: "${from}" is not there once`);
    }
    text = text.replace(from, to);
  }
  return text;
}

function formatControl(
  { maintainer, arch }: DebOptions,
  version: string,
  kilobytes: number,
): string {
  return `${
    [
      "Package: websocksy",
      `Version: ${version}`,
      `Architecture: ${arch}`,
      `Maintainer: ${maintainer}`,
      `Installed-Size: ${kilobytes}`,
      "Depends: libc6 (>= 2.27), libgcc-s1, passwd",
      "Recommends: ca-certificates",
      "Section: net",
      "Priority: optional",
      "Description: bridge from WebSocket to TCP, UDP, TLS and Unix sockets",
      " A page in a browser opens a WebSocket, and websocksy connects it to any",
      " service: VNC, MQTT, Redis, IRC, a serial port or a program of your own.",
      " Which service a client gets is up to its path, to files, to a directory",
      " or to a plugin.",
      " .",
      " The service is not started before /etc/websocksy/websocksy.ini says what it",
      " is to bridge.",
    ].join("\n")
  }\n`;
}

async function formatCopyright(): Promise<string> {
  const own = await read("LICENSE");
  const [holder] = /^Copyright \(c\) (.*)$/m.exec(own)!.slice(1);
  function indent(text: string): string {
    return text.trim().split("\n").map((line) =>
      line.trim() === "" ? " ." : ` ${line}`
    ).join("\n");
  }
  return [
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
    "Upstream-Name: websocksy",
    "Comment:",
    " The program contains the runtime of Deno, which has the same license, and",
    " packages of others, whose licenses are in THIRD_PARTY_LICENSES.gz beside",
    " this file.",
    "",
    "Files: *",
    `Copyright: ${holder}`,
    "License: MIT",
    indent(own.slice(own.indexOf("Permission"))),
    "",
  ].join("\n");
}

function formatChangelog(
  version: string,
  maintainer: string,
  time: Date,
): string {
  const date = time.toUTCString().replace("GMT", "+0000");
  return [
    `websocksy (${version}) stable; urgency=medium`,
    "",
    "  * The changes are in CHANGELOG.md of the release.",
    "",
    ` -- ${maintainer}  ${date}`,
    "",
  ].join("\n");
}

function gzip(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

function read(path: string): Promise<string> {
  return Deno.readTextFile(join(root, path));
}

async function write(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  if (typeof content === "string") await Deno.writeTextFile(path, content);
  else await Deno.writeFile(path, content);
  await Deno.chmod(path, mode);
}

/** Adds up the files' sizes, in kilobytes, each rounded up. */
async function measure(directory: string): Promise<number> {
  let sum = 0;
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (name === "DEBIAN") continue;
    sum += isDirectory
      ? 1 + await measure(path)
      : Math.ceil((await Deno.stat(path)).size / 1024);
  }
  return sum;
}

/** Gives everything one time, and directories the usual mode. */
async function settle(path: string, time: Date): Promise<void> {
  await Deno.chmod(path, 0o755);
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory) await settle(join(path, name), time);
    else await Deno.utime(join(path, name), time, time);
  }
  await Deno.utime(path, time, time);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: {
      program: { type: "string", default: join(root, "dist", "websocksy") },
      maintainer: { type: "string" },
      arch: {
        type: "string",
        default: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
      },
      output: { type: "string", default: join(root, "dist") },
    },
  });
  const { maintainer } = values;
  if (maintainer === undefined) {
    throw new TypeError(`Cannot make a package: --maintainer is missing`);
  }
  const epoch = Deno.env.get("SOURCE_DATE_EPOCH");
  const time = epoch === undefined
    ? new Date()
    : new Date(Number(epoch) * 1000);
  await makeDeb({ ...values, maintainer, time });
}
