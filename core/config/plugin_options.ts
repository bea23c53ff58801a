/**
 * What the configuration says about plugins: where each comes from, what it may
 * do, and how far it is trusted.
 *
 * @module
 */

import { suggest } from "./suggestion.ts";
import { ConfigError } from "../errors.ts";

/** A plugin, as it is declared. */
export interface PluginConfig {
  /** Its name. */
  readonly name: string;
  /** Path of a module, relative to the working directory, or its URL. */
  readonly specifier: string;
  /** SHA-256 that the module must have, in base64; absent: any. */
  readonly sha256?: string;
  /** Path of a file with the SHA-256 of each of its modules; absent: there is none. */
  readonly lock?: string;
  /** Whether it runs in the program's own thread, with the program's permissions. */
  readonly trusted: boolean;
  /**
   * Where it runs if it is not trusted; absent: in a process where that is
   * possible.
   */
  readonly isolation?: Isolation;
  /** What it may do otherwise. */
  readonly grants: PluginGrants;
  /** Where it is declared; absent: nowhere. */
  readonly origin: string | undefined;
}

/** Where a plugin that is not trusted runs. */
export type Isolation = "process" | "worker";

/** The kinds of permissions that a plugin can be granted. */
export const grantNames = ["net", "read", "write", "env", "import"] as const;

/** A kind of permission that a plugin can be granted. */
export type GrantName = typeof grantNames[number];

/** For each kind of permission, what a plugin is granted. */
export type PluginGrants = Readonly<Record<GrantName, readonly string[]>>;

/** No permission at all. */
export const noGrants: PluginGrants = Object.freeze({
  net: [],
  read: [],
  write: [],
  env: [],
  import: [],
});

/** One option of a plugin with its value, as it was written somewhere. */
export interface GivenPluginOption {
  /** Name of the plugin. */
  readonly name: string;
  /** Name of the option. */
  readonly option: string;
  /** Its value, verbatim. */
  readonly value: string;
  /** Where it stands. */
  readonly origin: string;
}

/**
 * Puts the options of plugins together.
 *
 * @param options The options, in order. A later one replaces an earlier one
 * of the same option; a list of grants is added to.
 * @returns The plugins, in the order of their declaration.
 * @throws {ConfigError} If an option is unknown or its value is not valid, or
 * a plugin has no `url`.
 */
export function resolvePlugins(
  options: readonly GivenPluginOption[],
): PluginConfig[] {
  const plugins = new Map<string, Partial<PluginConfig>>();
  for (const each of options) {
    const { name, option, origin } = each;
    const before = plugins.get(name) ?? {};
    if (option === "url" || before.origin === undefined) {
      plugins.set(name, { ...before, origin });
    }
    try {
      const changed = applyOption(before, each);
      plugins.set(name, { ...plugins.get(name), ...changed });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new ConfigError(
        `cannot use ${option} of plugin "${name}": ${why}`,
        origin,
        { cause: error },
      );
    }
  }
  return Array.from(plugins, ([name, partial]) => {
    const { specifier, origin } = partial;
    if (specifier === undefined) {
      throw new ConfigError(`plugin "${name}" has no url`, origin);
    }
    return {
      trusted: false,
      grants: noGrants,
      origin,
      ...partial,
      name,
      specifier,
    };
  });
}

function applyOption(
  before: Partial<PluginConfig>,
  { option, value }: GivenPluginOption,
): Partial<PluginConfig> {
  switch (option) {
    case "url":
      if (value === "") throw new SyntaxError("it is empty");
      return { specifier: value };
    case "integrity":
      return { sha256: parseIntegrity(value) };
    case "lock":
      if (value === "") throw new SyntaxError("it is empty");
      return { lock: value };
    case "trust":
      if (value !== "full") {
        throw new SyntaxError(`it is full, or not given, not "${value}"`);
      }
      return { trusted: true };
    case "isolation":
      if (value !== "process" && value !== "worker") {
        throw new SyntaxError(`it is process or worker, not "${value}"`);
      }
      return { isolation: value };
  }
  const kind = grantNames.find((kind) => kind === option);
  if (kind === undefined) {
    const names = [...ownOptions, ...grantNames];
    throw new TypeError(`there is no such option${suggest(option, names)}`);
  }
  const grants = before.grants ?? noGrants;
  const list = [...grants[kind], ...parseGrants(kind, value)];
  return { grants: { ...grants, [kind]: list } };
}

/** The options of a plugin that grant nothing. */
const ownOptions = ["url", "integrity", "lock", "trust", "isolation"];

/**
 * Checks the name of a plugin.
 *
 * @param name The name.
 * @throws {SyntaxError} If it could be taken for a path or a URL.
 */
export function checkPluginName(name: string): void {
  if (/^[\w-]+$/.test(name)) return;
  throw new SyntaxError(
    `the name of a plugin is made of letters, digits, "_" and "-", not "${name}"`,
  );
}

/**
 * Reports whether the name of a backend is the path or URL of its module.
 *
 * @param name What stands for the backend.
 * @returns Whether it is a path or a URL, and no name.
 */
export function isSpecifier(name: string): boolean {
  return /[/\\]|^[a-z]{2,}:|\.m?[jt]s$/i.test(name);
}

function parseIntegrity(value: string): string {
  const sha256 = /^sha256-([A-Za-z0-9+/]{43}=)$/.exec(value)?.[1];
  if (sha256 !== undefined) return sha256;
  throw new SyntaxError(
    `it is sha256- and 32 bytes in base64, not "${value}"`,
  );
}

const host = String.raw`(?:\[[\da-fA-F:.]+\]|(?:\*\.)?[\w-]+(?:\.[\w-]+)*\.?)`;
const grantPatterns: Readonly<Record<GrantName, RegExp>> = {
  net: new RegExp(`^${host}(?::\\d{1,5})?$`),
  import: new RegExp(`^${host}(?::\\d{1,5})?$`),
  read: /^[^\0]+$/,
  write: /^[^\0]+$/,
  env: /^\w+\*?$/,
};
const grantMeanings: Readonly<Record<GrantName, string>> = {
  net: "HOST or HOST:PORT",
  import: "HOST or HOST:PORT",
  read: "a path",
  write: "a path",
  env: "the name of a variable",
};

/** Splits a list as Deno's flags take it: `,,` is a comma within an item. */
function parseGrants(kind: GrantName, value: string): string[] {
  const items = value.split(/(?<!,),(?!,)/).map((item) =>
    item.replaceAll(",,", ",").trim()
  );
  for (const item of items) {
    const port = Number(/:(\d+)$/.exec(item)?.[1] ?? 0);
    const hasPort = kind === "net" || kind === "import";
    if (!grantPatterns[kind].test(item) || hasPort && port > 65535) {
      throw new SyntaxError(`it lists ${grantMeanings[kind]}, not "${item}"`);
    }
  }
  return items;
}
