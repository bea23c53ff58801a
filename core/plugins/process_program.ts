/**
 * The program that runs a plugin in a process of its own: this one, if it may
 * start itself.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** Megabytes of objects that a plugin may hold. */
const heapLimit = 256;
/** Pages of 64 KiB that each memory of WebAssembly may have. */
const wasmPages = 4096;

/** A program that runs a plugin. */
export interface ProcessProgram {
  /** Path of the program. */
  readonly command: string;
  /**
   * Makes its arguments.
   *
   * @param permissions What the plugin may do.
   */
  toArguments(permissions: Deno.PermissionOptionsObject): readonly string[];
  /**
   * Makes its environment: the variables that are granted, and no other.
   *
   * @param permissions What the plugin may do.
   */
  toEnvironment(
    permissions: Deno.PermissionOptionsObject,
  ): Readonly<Record<string, string>>;
}

/**
 * Finds the program.
 *
 * @returns The program, or why there is none.
 */
export async function findProcessProgram(): Promise<
  ProcessProgram | { readonly why: string }
> {
  if (Deno.build.standalone) {
    // A compiled program's permissions are fixed: its child would have all of
    // them.
    return { why: "a compiled program cannot start a narrower one" };
  }
  const child = new URL("./child.ts", import.meta.url);
  if (child.protocol !== "file:") {
    return { why: "the program was loaded from a URL" };
  }
  const command = await findSelf();
  if (command === undefined) {
    return {
      why: "the program may not start itself, which takes --allow-run=deno",
    };
  }
  const path = fileURLToPath(child);
  return {
    command,
    toArguments: (permissions) => toArguments(path, permissions),
    toEnvironment,
  };
}

/**
 * A permission to run `deno` applies to the path that PATH leads to, not to the
 * file that this links to.
 */
async function findSelf(): Promise<string | undefined> {
  for (const command of [Deno.execPath(), "deno"]) {
    if (await mayRun(command)) return command;
  }
  return undefined;
}

async function mayRun(command: string): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "run", command });
  return state === "granted";
}

function toArguments(
  child: string,
  permissions: Deno.PermissionOptionsObject,
): string[] {
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--no-remote",
    "--no-check",
    "--no-code-cache",
    "--unstable-net",
    `--v8-flags=${
      [
        `--max-old-space-size=${heapLimit}`,
        `--wasm-max-mem-pages=${wasmPages}`,
        "--disallow-code-generation-from-strings",
      ].join(",")
    }`,
    ...toFlags(permissions),
    child,
    `${Deno.pid}`,
  ];
}

/** The plugin's modules are imported only from memory, whatever is granted. */
function toFlags(permissions: Deno.PermissionOptionsObject): string[] {
  const flags = ["--deny-import"];
  for (const name of ["net", "read", "write", "env"] as const) {
    const list = permissions[name];
    if (!Array.isArray(list)) continue;
    // A comma within an item is written twice.
    const items = list.map((item) => String(item).replaceAll(",", ",,"));
    flags.push(`--allow-${name}=${items.join(",")}`);
  }
  return flags;
}

function toEnvironment(
  { env }: Deno.PermissionOptionsObject,
): Record<string, string> {
  const variables: Record<string, string> = {
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
  };
  if (!Array.isArray(env)) return variables;
  const prefixes = env.filter((name) => name.endsWith("*"));
  for (const name of env) {
    if (name.endsWith("*")) continue;
    const value = Deno.env.get(name);
    if (value !== undefined) variables[name] = value;
  }
  if (prefixes.length === 0) return variables;
  for (const [name, value] of Object.entries(Deno.env.toObject())) {
    if (prefixes.some((prefix) => name.startsWith(prefix.slice(0, -1)))) {
      variables[name] = value;
    }
  }
  return variables;
}
