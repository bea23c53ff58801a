/**
 * Makes the package for npm, which carries the bundle and depends on npm's `deno`:
 *
 *     deno task npm [--output DIRECTORY]
 *
 * The directory, `dist/npm` by default, then has the package's files in
 * `package/`, and the tarball `websocksy-VERSION.tgz` that `npm pack` makes of
 * them. The same commit makes the same bytes.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../deno.json" with { type: "json" };
import { type BundleSource, takeBundle } from "./bundle.ts";

const root = join(import.meta.dirname!, "..");

/** What the package says of itself. */
const description = {
  name: "websocksy",
  version: manifest.version,
  description:
    "Bridge from WebSocket to TCP, UDP, TLS and Unix sockets: a browser talks to any service",
  keywords: ["websocket", "proxy", "bridge", "tcp", "udp", "novnc", "mqtt"],
  license: manifest.license,
  type: "module",
  bin: { websocksy: "bin/websocksy.cjs" },
  man: "man/websocksy.1",
  files: ["bin", "lib", "man"],
  // The command is all that it offers: Node.js cannot run its modules.
  exports: { "./package.json": "./package.json" },
  engines: { node: ">=18" },
  dependencies: { deno: Deno.version.deno },
};

/**
 * Makes the package.
 *
 * @param output Where.
 * @param source Its bundle.
 * @returns Path of the tarball.
 * @throws {Error} If the bundle cannot be made, or npm fails.
 */
export async function makeNpmPackage(
  output: string,
  source: BundleSource = {},
): Promise<string> {
  const directory = join(resolve(output), "package");
  await takeBundle(join(directory, "lib"), source);
  const copies: Readonly<Record<string, string>> = {
    "LICENSE": "LICENSE",
    "tools/npm/README.md": "README.md",
    "docs/websocksy.1": "man/websocksy.1",
    "tools/npm/websocksy.cjs": "bin/websocksy.cjs",
  };
  for (const part of ["bin", "man"]) {
    await Deno.mkdir(join(directory, part), { recursive: true });
  }
  for (const [from, to] of Object.entries(copies)) {
    await Deno.copyFile(join(root, from), join(directory, to));
  }
  await Deno.writeTextFile(
    join(directory, "package.json"),
    `${JSON.stringify(description, null, 2)}\n`,
  );
  const isWindows = Deno.build.os === "windows";
  const { success, stderr } = await new Deno.Command(
    isWindows ? "npm.cmd" : "npm",
    {
      args: ["pack", "--pack-destination", resolve(output), directory],
      cwd: resolve(output),
      stdin: "null",
    },
  ).output();
  if (!success) {
    const why = new TextDecoder().decode(stderr).trim();
    throw new Error(`Cannot make the package: npm pack: ${why}`);
  }
  return join(resolve(output), `websocksy-${manifest.version}.tgz`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: { output: { type: "string", default: join(root, "dist", "npm") } },
  });
  await makeNpmPackage(values.output);
}
