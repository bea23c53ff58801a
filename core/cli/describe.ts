/**
 * Formats what the command prints for its user.
 *
 * @module
 */

import type { AccessConfig } from "../config/access_options.ts";
import { formatHost } from "../net/address.ts";
import {
  type BackendStep,
  type Config,
  findUnusedAccess,
} from "../config/config.ts";
import { findIneffective } from "../config/ineffective.ts";
import { ConfigError, describeError, lacksIpv6 } from "../errors.ts";
import { type CoreConfig, formatListen } from "../config/options.ts";
import type { PageConfig } from "../config/page_options.ts";
import { grantNames, type PluginConfig } from "../config/plugin_options.ts";
import type { RouteConfig } from "../config/route_options.ts";

/**
 * Formats an error as one line.
 *
 * @param error What was thrown.
 * @returns The place in the configuration, and the reason.
 */
export function describeFailure(error: unknown): string {
  const origin = error instanceof ConfigError ? error.origin : undefined;
  const where = origin === undefined ? "" : `${origin}: `;
  return `${where}${describeError(error)}`.replaceAll(/\s*[\r\n]+\s*/g, " ");
}

/**
 * Explains why the server cannot listen, and what the user can do.
 *
 * @param error What listening threw.
 * @param core Where it should have listened.
 * @param options The options that say where.
 * @returns An error with a message for the user.
 */
export function explainListenError(
  error: unknown,
  { listen, port }: Pick<CoreConfig, "listen" | "port">,
  options: ListenOptionNames = { host: "-l", port: "-p" },
): Error {
  const where = formatListen(listen, port);
  const isPath = listen.transport === "unix";
  const why = isPath && whyNoPath(error, options) ||
    whyNotListening(error, options);
  return new Error(`Cannot listen on ${where}: ${why}`);
}

function whyNoPath(
  error: unknown,
  { host }: ListenOptionNames,
): string | undefined {
  if (error instanceof Deno.errors.AddrInUse) {
    return `it is in use; stop the program that uses it, or choose another path with ${host}`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `the system denies it; choose a path with ${host} where this user may create files, or run with the privilege for it`;
  }
  return undefined;
}

function whyNotListening(
  error: unknown,
  { host, port }: ListenOptionNames,
): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return `it is in use; stop the program that uses it, or choose another port with ${port}`;
  }
  if (lacksIpv6(error)) {
    return `this system has no IPv6; listen on 0.0.0.0, or another IPv4 address, with ${host}`;
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `this machine has no such address; choose one that it has with ${host}`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `the system denies it; choose a port of 1024 or more with ${port}, or run with the privilege for it`;
  }
  // Deno's message for a missing permission names the flag to add.
  return describeError(error);
}

/** The options that say where to listen. */
interface ListenOptionNames {
  readonly host: string;
  readonly port: string;
}

/**
 * Formats the address that clients connect to.
 *
 * @param core Where the server listens.
 * @param port The port, once it is known.
 * @returns A WebSocket URL, `wss:` with a certificate, or `unix:PATH`.
 */
export function formatUrl(core: CoreConfig, port: number): string {
  const { listen } = core;
  return listen.transport === "unix"
    ? formatListen(listen, port)
    : `${schemeOf(core)}://${formatHost(listen.hostname)}:${port}/`;
}

function schemeOf({ tlsCert }: CoreConfig): "ws" | "wss" {
  return tlsCert.length === 0 ? "ws" : "wss";
}

/**
 * Describes what a configuration would do, for `--check`.
 *
 * @param config The configuration, valid.
 * @param isolations Where each plugin runs, in words, by its name.
 * @returns Lines for stdout.
 */
export function describeConfig(
  config: Config,
  isolations: ReadonlyMap<string, string> = new Map(),
): string {
  const { core, backend, routes, plugins, access } = config;
  const unused = findUnusedAccess(config);
  const where = core.tlsCert.length === 0
    ? formatListen(core.listen, core.port)
    : formatUrl(core, core.port);
  return [
    "The configuration is valid.",
    `listen on ${where}, engine ${core.engine}${
      core.threads === 1 ? "" : `, threads ${core.threads}`
    }`,
    ...core.tlsCert.map((file, index) =>
      `certificate ${file}, key ${core.tlsKey[index]}`
    ),
    ...describeAdmin(core),
    ...core.access === undefined ? [] : [`all requests: access ${core.access}`],
    ...describeRoutes(routes),
    ...describeBackend(
      routes.length === 0 ? "" : "all other requests: ",
      core.backend,
      backend,
    ),
    ...describeLimits(core),
    ...describePages(core),
    ...Array.from(access.values(), (section) =>
      describeAccess(section) +
      (unused.includes(section.name)
        ? " (protects nothing: no option names it)"
        : "")),
    ...plugins.map((plugin) =>
      describePlugin(plugin, isolations.get(plugin.name))
    ),
    ...core.accessLog === undefined ? [] : [`access log ${core.accessLog}`],
    ...findIneffective(config).map((why) => `warning: ${why}`),
  ].join("\n");
}

function describeAdmin(
  { admin, adminAccess }: CoreConfig,
): string[] {
  if (admin === undefined) return [];
  const entry = adminAccess === undefined ? "" : `, access ${adminAccess}`;
  return [`operators on ${formatListen(admin.address, admin.port)}${entry}`];
}

function describeLimits({ limits, limitsOpen }: CoreConfig): string[] {
  if (limits === undefined) return [];
  const otherwise = limitsOpen ? "counted by each instance" : "refused";
  return [
    `limits per address and user counted in ${limits.name} for all instances; while it is away, who has one is ${otherwise}`,
  ];
}

/** A line for each route, in the order in which they are tried. */
function describeRoutes(routes: readonly RouteConfig[]): string[] {
  return routes.flatMap(({ pattern, backendName, backend, fields }) => {
    const { access, origin, balance, compression } = fields;
    const entry = access === undefined ? "" : `, access ${access}`;
    const origins = origin === undefined
      ? ""
      : `, origin ${origin === "*" ? "*" : origin.join(", ")}`;
    const balanced = balance === undefined ? "" : `, balance ${balance}`;
    const compressed = compression === undefined
      ? ""
      : `, compression ${compression === 0 ? "off" : compression}`;
    return describeBackend(
      `route ${pattern.text}${entry}${origins}${balanced}${compressed}: `,
      backendName,
      backend,
    );
  });
}

function describeBackend(
  before: string,
  name: string,
  steps: readonly BackendStep[],
): string[] {
  if (steps.length === 0) return [`${before}404`];
  const loaded = steps.findLastIndex(({ step }) => step === "load");
  const options = steps.slice(loaded + 1).map((step) =>
    step.step === "configure"
      ? `  ${step.option} = ${withoutSecrets(step.option, step.value)}`
      : ""
  );
  return [
    `${before}backend ${name}${options.length === 0 ? "" : ", with"}`,
    ...options,
  ];
}

/**
 * Hides passwords: what is printed may end in the log of a build.
 *
 * @param option Name of an option.
 * @param value Its value.
 * @returns The value, without a password.
 */
export function withoutSecrets(option: string, value: string): string {
  return /^(?:password|bearer)$/.test(option)
    ? "(not shown)"
    : value.replace(/(:\/\/)[^/\s]*:[^/\s]*@/g, "$1(not shown)@")
      .replace(/^(unix:.*[?&]password=)[^&]*/, "$1(not shown)");
}

function describeAccess(
  { name, address, users, token, certificate, userHeader, ...limits }:
    AccessConfig,
): string {
  const { rate, rateUser, maxConnectionsPerUser, bandwidth, bandwidthUser } =
    limits;
  const credentials = [
    ...users === undefined ? [] : [`a password in ${users}`],
    ...token === undefined ? [] : [`a token by ${token.key}`],
    ...certificate === undefined ? [] : [`a certificate by ${certificate.ca}`],
    ...userHeader === undefined ? [] : [`a proxy's ${userHeader}`],
  ];
  const limited = [
    rate,
    rateUser,
    bandwidth,
    bandwidthUser,
    maxConnectionsPerUser,
  ]
    .some((limit) => limit !== undefined);
  return `access ${name}: ${
    [
      ...address === undefined ? [] : ["some addresses"],
      ...credentials.length === 0 ? [] : [credentials.join(" or ")],
      ...limited ? ["limits"] : [],
    ].join(", ")
  }`;
}

function describePages(
  { console: path, health, metrics, web, webListing }: PageConfig,
): string[] {
  const lists = webListing ? ", with listings" : "";
  return [
    ...path === undefined ? [] : [`console at ${path}`],
    ...health === undefined ? [] : [`health at ${health}`],
    ...metrics === undefined ? [] : [`metrics at ${metrics}`],
    ...web === undefined ? [] : [`files of ${web}${lists}`],
  ];
}

function describePlugin(
  { name, specifier, trusted, grants }: PluginConfig,
  isolation: string | undefined,
): string {
  const granted = grantNames.filter((kind) => grants[kind].length > 0).map(
    (kind) => `${kind} ${grants[kind].join(", ")}`,
  );
  const rights = trusted
    ? "with the program's permissions"
    : granted.length === 0
    ? "with no permission"
    : `granted ${granted.join("; ")}`;
  const where = isolation === undefined ? "" : `, ${isolation}`;
  return `plugin ${name} from ${specifier}, ${rights}${where}`;
}

/**
 * Explains how to try the demo.
 *
 * @param core Where the server listens.
 * @param port The port.
 * @param deno The command that runs Deno.
 * @returns Lines for stdout.
 */
export function describeDemo(
  core: CoreConfig,
  port: number,
  deno: string,
): string {
  const { listen } = core;
  const isAny = listen.transport === "unix" ||
    ["::", "0.0.0.0"].includes(listen.hostname);
  const host = isAny ? "localhost" : formatHost(listen.hostname);
  const place = `${host}:${port}`;
  const url = `${schemeOf(core)}://${place}/`;
  const script = `const s = new WebSocket('${url}'); let n = 0; ` +
    `s.onopen = () => s.send('hello\\n'); ` +
    `s.onmessage = (e) => { console.log(e.data); if (++n === 2) s.close(); };`;
  const page = `${schemeOf(core).replace("ws", "http")}://${place}`;
  return [
    // No browser can open a Unix socket.
    ...core.console === undefined || listen.transport === "unix"
      ? []
      : [`Open ${page}${core.console} in a browser to talk to it.`, ""],
    `Connect a WebSocket to ${url}, or try it with this command:`,
    "",
    `  ${deno} eval "${script}"`,
    "",
    "Press Ctrl-C to stop.",
  ].join("\n");
}
