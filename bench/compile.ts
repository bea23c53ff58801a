/**
 * Compiles what the benchmark has in other languages, with the packages of
 * Debian.
 *
 * @module
 */

import { join } from "node:path";

const SOURCES = join(import.meta.dirname!, "contenders");
/** Where Debian's packages have the sources of libraries in Go. */
const GO_PACKAGES = "/usr/share/gocode";

/**
 * Compiles a program of `bench/contenders/`.
 *
 * @param source Name of its file, which ends in `.go` or `.cpp`.
 * @param directory Where the program is to be, under the name without the end.
 * @param libraries Libraries that a program in C++ is linked with.
 * @throws {Error} If the compiler or a library is missing, or it fails.
 */
export async function compileProgram(
  source: string,
  directory: string,
  libraries: readonly string[] = [],
): Promise<void> {
  const [name, language] = source.split(".") as [string, "go" | "cpp"];
  const output = join(directory, name);
  const file = join(SOURCES, source);
  const [compiler, args, env] = language === "go"
    ? [
      "go",
      ["build", "-o", output, file],
      { GO111MODULE: "off", GOPATH: GO_PACKAGES },
    ] as const
    : [
      "g++",
      [
        ...["-std=c++17", "-O2", "-DNDEBUG", "-pthread", "-o", output, file],
        ...libraries.map((library) => `-l${library}`),
      ],
      {},
    ] as const;
  let result: Deno.CommandOutput;
  try {
    result = await new Deno.Command(compiler, {
      args: [...args],
      env,
      stdin: "null",
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`Cannot compile ${source}: there is no ${compiler}`);
  }
  if (result.success) return;
  const lines = new TextDecoder().decode(result.stderr).split("\n");
  const why = lines.find((line) => /error|cannot/i.test(line)) ?? lines[0];
  throw new Error(`Cannot compile ${source}: ${why?.trim()}`);
}
