/**
 * The routes of a configuration: which requests get which backend.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import { parseIp } from "../net/ip_address.ts";
import { addStep, type BackendStep } from "./backend_step.ts";
import { type CoreConfig, coreOptions, defaultCoreConfig } from "./options.ts";

/** Which requests a route is for. */
export interface RoutePattern {
  /** As it was written. */
  readonly text: string;
  /** Their host, in lower case, IPv6 without brackets; absent: any. */
  readonly host?: string;
  /** Their path, or how it begins. */
  readonly path: string;
  /** Whether `path` is only the beginning. */
  readonly isPrefix: boolean;
}

/** The options of `[core]` that a route may set for its own requests. */
export type RouteFields = Partial<
  Pick<CoreConfig, typeof routeOptions[number]>
>;

/** A route. */
export interface RouteConfig {
  /** Which requests it is for. */
  readonly pattern: RoutePattern;
  /** Name of its backend. */
  readonly backendName: string;
  /** The steps that choose and configure its backend, in order. */
  readonly backend: readonly BackendStep[];
  /** The options of `[core]` that it sets. */
  readonly fields: RouteFields;
}

/** One option of a route with its value, as it was written somewhere. */
export interface GivenRouteOption {
  /** Pattern of the route. */
  readonly name: string;
  /** Name of the option. */
  readonly option: string;
  /** Its value, verbatim. */
  readonly value: string;
  /** Where it stands. */
  readonly origin: string;
  /** Whether it replaces the values before it also where values add up. */
  readonly replaces?: boolean;
}

/** Names of these options; all others of a route are those of its backend. */
export const routeOptions = [
  "access",
  "backend",
  "balance",
  "compression",
  "origin",
] as const;

/**
 * Tells whether an option of a route is one of `[core]`, and none of its backend.
 *
 * @param option Name of the option.
 */
export function isRouteOption(option: string): boolean {
  return (routeOptions as readonly string[]).includes(option);
}

const PATTERN = /^(?:\/\/([^/]*)|(?!\/\/))(\/.*)$/s;

/** The name of a host, or an IPv4 address. */
const HOST = /^[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*$/;

/**
 * Parses the pattern of a route.
 *
 * @param text `/mqtt` for that path alone, `/vnc/*` for all paths that begin with
 * `/vnc/`, either with `//HOST` in front for that host.
 * @returns The pattern.
 * @throws {SyntaxError} If it is not a pattern, or no request could match it.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parsePattern } from "./route_options.ts";
 *
 * assertEquals(parsePattern("//vnc.example/desk/*"), {
 *   text: "//vnc.example/desk/*",
 *   host: "vnc.example",
 *   path: "/desk/",
 *   isPrefix: true,
 * });
 * ```
 */
export function parsePattern(text: string): RoutePattern {
  function fail(why: string): never {
    throw new SyntaxError(`cannot use route "${text}": ${why}`);
  }
  const match = PATTERN.exec(text);
  if (match === null) {
    fail("it is /PATH, /PATH/*, or //HOST and either of these");
  }
  const host = match[1]?.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  const isIpv6 = host?.includes(":") && parseIp(host) !== undefined;
  if (host !== undefined && !isIpv6 && !HOST.test(host)) {
    fail(`"${host}" is not the name or address of a host, without a port`);
  }
  const isPrefix = match[2]!.endsWith("/*");
  const path = isPrefix ? match[2]!.slice(0, -1) : match[2]!;
  if (path.includes("*")) fail("* stands only at its end, behind a slash");
  const why = findPathFault(path);
  if (why !== undefined) fail(why);
  if (path !== plainPath(path)) {
    fail(`write ${plainPath(path)} for its path`);
  }
  return {
    text,
    ...(host !== undefined && { host }),
    path,
    isPrefix,
  };
}

/** `.` or `..` between slashes. */
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;

/**
 * Finds what makes a path one that different programs read differently: one in
 * front of the server, which decides who may have which path, could take it for
 * another one than the server does.
 *
 * @param path The path.
 * @returns What, in words; `undefined` if it is clear.
 */
export function findPathFault(path: string): string | undefined {
  if (path.includes("//")) return 'its path has "//" in it';
  if (path.includes("\\")) return "its path has a backslash in it";
  if (/%(?![0-9a-f]{2})/i.test(path)) {
    return 'its path has "%" in it without two hexadecimal digits';
  }
  if (/%(?:2f|5c|00)/i.test(path)) {
    return "its path has an encoded slash, backslash or NUL in it";
  }
  if (DOT_SEGMENT.test(normalizePath(path))) {
    return 'its path has "." or ".." in it';
  }
  return /^\/[!"$-\[\]-~]*$/.test(path)
    ? undefined
    : "its path has a character in it that is not sent";
}

/**
 * Decodes percent-escapes of letters, digits, `-`, `.`, `_` and `~`, which mean
 * the same (RFC 3986 section 6.2.2.2), and writes all others in upper case.
 *
 * @param path The path.
 */
export function normalizePath(path: string): string {
  return decode(path, /[\w.~-]/);
}

/**
 * Decodes percent-escapes of all characters that may stand in a path as they
 * are, as patterns have them. What serves files takes `%40` for an `@`: no
 * spelling may lead around a route.
 *
 * @param path The path.
 */
export function plainPath(path: string): string {
  return decode(path, /[!"$&-.0->@-[\]-~]/);
}

function decode(path: string, decoded: RegExp): string {
  return path.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    return decoded.test(character) ? character : escape.toUpperCase();
  });
}

/** A route of which not all options are known. */
interface Draft {
  readonly pattern: RoutePattern;
  readonly steps: BackendStep[];
  fields: RouteFields;
}

/**
 * Puts the options of routes together.
 *
 * @param options The options, in order.
 * @returns The routes, in the order in which they are first named.
 * @throws {ConfigError} If a value is not valid.
 */
export function resolveRoutes(
  options: readonly GivenRouteOption[],
): RouteConfig[] {
  const drafts = new Map<string, Draft>();
  for (const each of options) {
    let draft = drafts.get(each.name);
    if (draft === undefined) {
      const name = defaultCoreConfig.backend;
      const pattern = parsePattern(each.name);
      draft = {
        pattern,
        steps: [{ step: "load", name, origin: undefined }],
        fields: {},
      };
      drafts.set(each.name, draft);
    }
    apply(draft, each);
  }
  checkReached([...drafts.values()].map(({ pattern }) => pattern), options);
  return Array.from(drafts.values(), ({ pattern, steps, fields }) => {
    const { backend = defaultCoreConfig.backend, ...others } = fields;
    return { pattern, backendName: backend, backend: steps, fields: others };
  });
}

/** A route that no request reaches is a mistake, and perhaps one about who may what. */
function checkReached(
  patterns: readonly RoutePattern[],
  options: readonly GivenRouteOption[],
): void {
  for (const [index, pattern] of patterns.entries()) {
    const before = patterns.slice(0, index).find((one) => covers(one, pattern));
    if (before === undefined) continue;
    throw new ConfigError(
      `no request reaches route "${pattern.text}": route "${before.text}" before it takes them`,
      options.find(({ name }) => name === pattern.text)?.origin,
    );
  }
}

function covers(one: RoutePattern, other: RoutePattern): boolean {
  return (one.host === undefined || one.host === other.host) &&
    (one.isPrefix
      ? other.path.startsWith(one.path)
      : !other.isPrefix && other.path === one.path);
}

function apply(
  draft: Draft,
  { option, value, origin, replaces = false }: GivenRouteOption,
): void {
  if (!isRouteOption(option)) {
    const step = { step: "configure", option, value, origin } as const;
    addStep(draft.steps, step, replaces);
    return;
  }
  const known = coreOptions.find(({ name }) => name === option)!;
  try {
    draft.fields = { ...draft.fields, ...known.parse(value) };
  } catch (error) {
    throw new ConfigError(
      `cannot use ${option}: ${(error as Error).message}`,
      origin,
      { cause: error },
    );
  }
  if (option === "backend") {
    draft.steps.push({ step: "load", name: value, origin });
  }
}
