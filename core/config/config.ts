/**
 * Builds one {@linkcode Config} from the text of a configuration file and the
 * options of the command line.
 *
 * @module
 */

import { parse } from "@std/ini/parse";
import { ConfigError } from "../errors.ts";
import {
  type AccessConfig,
  checkAccessName,
  type GivenAccessOption,
  resolveAccess,
} from "./access_options.ts";
import {
  type CoreConfig,
  type CoreOption,
  coreOptions,
  defaultCoreConfig,
} from "./options.ts";
import { addStep, type BackendStep } from "./backend_step.ts";
import { isAbstract } from "../net/address.ts";
import { suggest } from "./suggestion.ts";
import { decodeText } from "./text.ts";
import { findLimitsConflict } from "./limit_options.ts";
import { findAdminConflict, findOperatorConflict } from "./operator_options.ts";
import { findPageConflict } from "./page_options.ts";
import {
  checkPluginName,
  type GivenPluginOption,
  type PluginConfig,
  resolvePlugins,
} from "./plugin_options.ts";
import {
  type GivenRouteOption,
  isRouteOption,
  parsePattern,
  resolveRoutes,
  type RouteConfig,
} from "./route_options.ts";

export type { BackendStep } from "./backend_step.ts";

/** One option with its value, as it was written somewhere. */
export type GivenOption =
  | GivenCoreOption
  | GivenPluginOption & { readonly section: "plugin" }
  | GivenRouteOption & { readonly section: "route" }
  | GivenAccessOption & { readonly section: "access" };

/** One option of the core or of the backend. */
export interface GivenCoreOption {
  /** The section that it belongs to. */
  readonly section: "core" | "backend";
  /** Its name. */
  readonly option: string;
  /** Its value, verbatim. */
  readonly value: string;
  /** Where it stands: `FILE:LINE`, or the option of the command line. */
  readonly origin: string;
  /** Whether it replaces the values before it also where values add up. */
  readonly replaces?: boolean;
}

/** A whole configuration. */
export interface Config {
  /** The `[core]` options. */
  readonly core: CoreConfig;
  /**
   * The steps that choose and configure the backend of the requests that match
   * no route, in order; none: they get 404.
   */
  readonly backend: readonly BackendStep[];
  /** The routes, in order. */
  readonly routes: readonly RouteConfig[];
  /** The plugins that are declared. */
  readonly plugins: readonly PluginConfig[];
  /** The access sections, by name. */
  readonly access: ReadonlyMap<string, AccessConfig>;
}

/**
 * Applies options to the defaults.
 *
 * @param options The options, in order.
 * @returns The configuration.
 * @throws {ConfigError} If an option is unknown or its value is not valid.
 */
export function resolveConfig(options: readonly GivenOption[]): Config {
  let core = defaultCoreConfig;
  const backend: BackendStep[] = [
    { step: "load", name: core.backend, origin: undefined },
  ];
  const plugins: GivenPluginOption[] = [];
  const routes: GivenRouteOption[] = [];
  const sections: GivenAccessOption[] = [];
  const origins: Record<string, string> = {};
  const given = new Set<CoreOption>();
  for (const each of options) {
    if (each.section === "plugin") {
      plugins.push(each);
      continue;
    }
    if (each.section === "route") {
      routes.push(each);
      continue;
    }
    if (each.section === "access") {
      sections.push(each);
      continue;
    }
    const { section, option, value, origin, replaces = false } = each;
    if (section === "backend") {
      addStep(backend, { step: "configure", option, value, origin }, replaces);
      continue;
    }
    const known = coreOptionNamed(option, origin);
    const parsed = parseCoreOption(known, value, origin);
    // A value is added to those before it, but not to the default.
    const joined = given.has(known) && !replaces
      ? known.join?.(core, parsed)
      : undefined;
    given.add(known);
    core = { ...core, ...joined ?? parsed };
    origins[option] = origin;
    if (option === "backend") {
      backend.push({ step: "load", name: core.backend, origin });
    }
  }
  checkConflict(
    findTlsConflict(core) ?? findSocketConflict(core) ??
      findPageConflict(core) ?? findOperatorConflict(core),
    origins,
  );
  // The default alone is no backend beside routes.
  const isGiven = routes.length === 0 || backend.length > 1;
  const config = {
    core,
    backend: isGiven ? backend : [],
    routes: resolveRoutes(routes),
    plugins: resolvePlugins(plugins),
    access: resolveAccess(sections),
  };
  checkCompression(config, origins);
  checkAccess(config, origins, routes);
  return config;
}

function checkAccess(
  { core, routes, access }: Config,
  origins: Readonly<Record<string, string>>,
  ofRoutes: readonly GivenRouteOption[],
): void {
  const { access: name, tlsCert, engine } = core;
  if (name !== undefined && !access.has(name)) {
    throw new ConfigError(
      `cannot use access: there is no section [access ${name}]`,
      origins.access,
    );
  }
  for (const { pattern, fields: { access: name } } of routes) {
    if (name === undefined || access.has(name)) continue;
    throw new ConfigError(
      `cannot use access of route "${pattern.text}": there is no section [access ${name}]`,
      ofRoutes.findLast((each) =>
        each.name === pattern.text && each.option === "access"
      )?.origin,
    );
  }
  checkConflict(
    findAdminConflict(core, access) ??
      findLimitsConflict(core, access.values()),
    origins,
  );
  for (const { name, origin, certificate } of access.values()) {
    if (certificate === undefined) continue;
    const why = engine !== "stream"
      ? "engine native asks for no certificate"
      : tlsCert.length === 0
      ? "it needs tls-cert, too"
      : undefined;
    if (why === undefined) continue;
    throw new ConfigError(
      `cannot use client-ca of access "${name}": ${why}`,
      origin,
    );
  }
}

/**
 * Finds access sections that no option names, so that they let everyone in.
 *
 * @param config The configuration.
 * @returns Their names.
 */
export function findUnusedAccess(
  { core, routes, access }: Pick<Config, "core" | "routes" | "access">,
): string[] {
  const used = new Set([
    core.access,
    core.adminAccess,
    ...routes.map(({ fields }) => fields.access),
  ]);
  return Array.from(access.keys()).filter((name) => !used.has(name));
}

/** An option that cannot be used, and why. */
type Conflict = readonly [name: string, why: string];

function checkConflict(
  conflict: Conflict | undefined,
  origins: Readonly<Record<string, string>>,
): void {
  if (conflict === undefined) return;
  const [name, why] = conflict;
  throw new ConfigError(`cannot use ${name}: ${why}`, origins[name]);
}

function findTlsConflict(
  { tlsCert, tlsKey, listen, engine }: CoreConfig,
): Conflict | undefined {
  if (tlsCert.length === 0 && tlsKey.length === 0) return undefined;
  const why = tlsKey.length === 0
    ? "it needs tls-key, too"
    : tlsCert.length === 0
    ? "it needs tls-cert, too"
    : tlsCert.length !== tlsKey.length
    ? `it is given ${tlsCert.length} times, and tls-key ${tlsKey.length} times`
    : tlsCert.length > 1 && engine === "native"
    ? "engine native has only one certificate"
    : listen.transport === "unix"
    ? "a Unix socket has no TLS"
    : undefined;
  if (why === undefined) return undefined;
  return [tlsCert.length === 0 ? "tls-key" : "tls-cert", why];
}

function findSocketConflict(
  { listen, listenMode, reusePort }: CoreConfig,
): Conflict | undefined {
  if (listen.transport !== "unix") return undefined;
  if (listenMode !== undefined && isAbstract(listen.path)) {
    return ["listen-mode", "an abstract socket has no permissions"];
  }
  return reusePort ? ["reuse-port", "a Unix socket has no port"] : undefined;
}

function checkCompression(
  { core, routes }: Config,
  origins: Readonly<Record<string, string>>,
): void {
  if (core.engine === "stream") return;
  const why = "only engine = stream has it";
  if (core.compression > 0) {
    throw new ConfigError(
      `cannot use compression: ${why}`,
      origins["compression"],
    );
  }
  for (const { pattern, fields } of routes) {
    if (!fields.compression) continue;
    throw new ConfigError(
      `cannot use compression of route "${pattern.text}": ${why}`,
    );
  }
}

function coreOptionNamed(name: string, origin: string): CoreOption {
  const option = coreOptions.find((option) => option.name === name);
  if (option !== undefined) return option;
  const meant = suggest(name, coreOptions.map(({ name }) => name));
  throw new ConfigError(`unknown option "${name}" in [core]${meant}`, origin);
}

function parseCoreOption(
  option: CoreOption,
  value: string,
  origin: string,
): Partial<CoreConfig> {
  const { name } = option;
  try {
    return option.parse(value);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`cannot use ${name}: ${why}`, origin, {
      cause: error,
    });
  }
}

/**
 * Puts the options of the command line behind those of a configuration file, and
 * in place of those that they repeat: who adds `-c host=...` means another peer,
 * not a second one.
 *
 * @param fromFile The options of the file.
 * @param commandLine Those of the command line.
 * @returns All of them, in order.
 */
export function override(
  fromFile: readonly GivenOption[],
  commandLine: readonly GivenOption[],
): GivenOption[] {
  const seen = new Set<string>();
  const replacing = commandLine.map((each) => {
    const { option, section } = each;
    if (section === "plugin" || section === "access") return each;
    const key = `${section} ${option} ${"name" in each ? each.name : ""}`;
    if (seen.has(key)) return each;
    seen.add(key);
    return { ...each, replaces: true };
  });
  return [...fromFile, ...replacing];
}

/**
 * Parses a configuration file.
 *
 * @param content INI text, or the bytes of it, UTF-8.
 * @param file Name of the file, for errors.
 * @returns Its options. Those of `[core]`, which choose the backend, are
 * before all others, and those with which a route chooses its backend before the
 * others of the route; otherwise they are in the order of the file.
 * @throws {ConfigError} If a line is not valid or not UTF-8, or a section unknown.
 */
export function parseConfigFile(
  content: string | Uint8Array,
  file: string,
): GivenOption[] {
  const text = typeof content === "string" ? content : decode(content, file);
  const core: GivenOption[] = [];
  const others: GivenOption[] = [];
  /** For each route, its own options, and those of its backend. */
  const routes = new Map<
    string,
    [own: GivenOption[], backend: GivenOption[]]
  >();
  const empty = new Map<string, number>();
  parseVerbatim(text, file, {
    onSection(section, line): void {
      if (section.section !== "route" || routes.has(section.name)) return;
      routes.set(section.name, [[], []]);
      empty.set(section.name, line);
    },
    onPair(section, option, value, line): void {
      const given = { ...section, option, value, origin: `${file}:${line}` };
      if (given.section === "route") {
        const [own, backend] = routes.get(given.name)!;
        (isRouteOption(option) ? own : backend).push(given);
        empty.delete(given.name);
      } else (given.section === "core" ? core : others).push(given);
    },
  });
  for (const [name, line] of empty) {
    throw new ConfigError(
      `cannot use route "${name}": it has no option, such as backend or host`,
      `${file}:${line}`,
    );
  }
  return [...core, ...others, ...[...routes.values()].flat(2)];
}

function decode(bytes: Uint8Array, file: string): string {
  const decoded = decodeText(bytes);
  if ("text" in decoded) return decoded.text;
  throw new ConfigError(decoded.why, `${file}:${decoded.line}`);
}

/** A section of the file, as all options in it name it. */
type Section =
  | { readonly section: "core" | "backend" }
  | { readonly section: NamedSection; readonly name: string };

/** A section with a name behind its kind, as in `[plugin rooms]`. */
type NamedSection = keyof typeof namedSections;

/** For each kind of these, what checks a name. */
const namedSections = {
  access: checkAccessName,
  plugin: checkPluginName,
  route: parsePattern,
} as const;

/** Who is told what a file says, in its order. */
interface Visitor {
  onSection(section: Section, line: number): void;
  onPair(section: Section, option: string, value: string, line: number): void;
}

/**
 * Tells what a file says. `parse` would turn values such as `0080` and `true`
 * into numbers and booleans, and keeps no line numbers. So each value is passed
 * to it in double quotes, which it removes, after its line number.
 */
function parseVerbatim(text: string, file: string, visitor: Visitor): void {
  const quoted = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/).map(
    (line, index) => {
      const name = SECTION.exec(line.trim())?.[1];
      if (name === undefined) return quoteValue(line.trim(), index + 1);
      visitor.onSection(sectionNamed(name, index + 1, file), index + 1);
      return `[${name}]`;
    },
  ).join("\n");
  try {
    parse(quoted, {
      reviver(option, value, section): unknown {
        const [, line, verbatim] = /^(\d+):(.*)$/s.exec(String(value))!;
        visitor.onPair(
          sectionNamed(section, Number(line), file),
          option,
          verbatim!,
          +line!,
        );
        return value;
      },
    });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const number = /line (\d+)/.exec(error.message)?.[1];
    if (number === undefined) {
      throw new ConfigError(`cannot read it: ${error.message}`, file, {
        cause: error,
      });
    }
    const line = quoted.split("\n")[Number(number) - 1]!;
    throw new ConfigError(
      line.startsWith("[")
        ? "cannot read this line: a section is [NAME], and only a comment may follow it"
        : "cannot read this line: it is neither [SECTION], nor OPTION = VALUE, nor a comment",
      `${file}:${number}`,
      { cause: error },
    );
  }
}

/** A section, and perhaps a comment after it, as in the C version. */
const SECTION = /^\[(.*?)\](?:\s*[#;].*|\s+\/\/.*|\s*)$/;

function quoteValue(line: string, number: number): string {
  if (/^(#|;|\/\/|\[)/.test(line)) return line;
  const equals = line.indexOf("=");
  if (equals < 1) return line;
  const value = line.slice(equals + 1).trim();
  const inner = /^"(.*)"$/s.exec(value)?.[1] ?? value;
  return `${line.slice(0, equals)}="${number}:${inner}"`;
}

function sectionNamed(
  name: string | undefined,
  line: number,
  file: string,
): Section {
  // As in the C version, options before any section belong to [core].
  const section = name === undefined ? "core" : name.trim();
  if (section === "core" || section === "backend") return { section };
  const [, kind = "", own = ""] = /^(\w+)(?:\s+(.*))?$/s.exec(section) ?? [];
  const origin = `${file}:${line}`;
  if (isNamed(kind)) {
    try {
      namedSections[kind](own);
    } catch (error) {
      throw new ConfigError((error as Error).message, origin, { cause: error });
    }
    return { section: kind, name: own };
  }
  const meant = suggest(kind || section, sectionNames)
    .replace(/"(.*)"/, "[$1]");
  throw new ConfigError(`unknown section [${section}]${meant}`, origin);
}

const sectionNames = ["core", "backend", ...Object.keys(namedSections)];

function isNamed(kind: string): kind is NamedSection {
  return Object.hasOwn(namedSections, kind);
}
