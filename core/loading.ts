/**
 * Loads what a configuration names: backends, plugins, pages, certificates,
 * access sections and logs.
 *
 * @module
 */

import { absolutePath } from "./absolute_path.ts";
import type { Access } from "./access/access.ts";
import type { Backend } from "./api.ts";
import type { Route } from "./accept/route.ts";
import { type BackendTable, loadBackend } from "./accept/backend.ts";
import type { AccessLog } from "./server/access_log.ts";
import { readCertificate } from "./server/certificate.ts";
import type { Config, GivenOption } from "./config/config.ts";
import { ConfigError, describeError, FileConfigError } from "./errors.ts";
import type { CoreConfig } from "./config/options.ts";
import { secretParametersOf } from "./config/secret_parameters.ts";
import type { FramingTable } from "./bridge/message_framer.ts";
import type { Log } from "./log/log.ts";
import { Pages } from "./pages/pages.ts";
import { Plugins } from "./plugins/plugins.ts";
import { parseCertificates } from "./net/tls_trust.ts";
import type { ServerConfig } from "./server/options.ts";
import type { FleetLimits } from "./redis/limits.ts";
import type { Roster } from "./server/roster.ts";
import type { TelemetrySelection } from "./telemetry/selection.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import type { ServerCertificate } from "./websocket/engine.ts";

/** The built-in backends and framing functions, by name. */
export interface BuiltInTables {
  /** The built-in backends. */
  readonly backends: BackendTable;
  /** The built-in framing functions. */
  readonly framings: FramingTable;
}

/** The backend, plugins and pages that a configuration has loaded. */
export interface Loaded {
  readonly config: Config;
  readonly backend: Backend | undefined;
  readonly routes: readonly Route[];
  readonly plugins: Plugins;
  readonly certificate: ServerCertificate | undefined;
  readonly pages: Pages | undefined;
  readonly telemetry: Telemetry;
  readonly access: Access | undefined;
}

/**
 * Loads what a configuration names.
 *
 * @param config The configuration.
 * @param tables The built-in backends and framing functions.
 * @param log Takes warnings.
 * @param selection Chooses what is measured.
 * @returns All of it; {@linkcode cleanUp}, and the plugins' own end, release it.
 * @throws {ConfigError} If something cannot be loaded.
 */
export async function load(
  config: Config,
  { backends, framings }: BuiltInTables,
  log: Log,
  selection: TelemetrySelection,
): Promise<Loaded> {
  const core = withAbsolutePaths(config.core);
  await checkCompression(config);
  const certificate = await readCertificate(core);
  const pages = await Pages.load(core, log);
  const telemetry = await selection.select(
    core.metrics !== undefined || core.admin !== undefined,
  );
  const builtIn = { backends, framings, log, telemetry };
  const plugins = await Plugins.load(config, builtIn);
  let access: Access | undefined;
  try {
    access = await loadAccess(config, log);
    const loaded = await loadBackends(config, plugins);
    return {
      config,
      ...loaded,
      plugins,
      certificate,
      pages,
      telemetry,
      access,
    };
  } catch (error) {
    access?.close();
    await plugins.end();
    throw error;
  }
}

/**
 * Finds where the option stands that names a file which cannot be used.
 *
 * @param error What loading a configuration threw.
 * @param options The options of the configuration.
 * @returns The error, with the place if there is one.
 */
export function locate(
  error: unknown,
  options: readonly GivenOption[],
): unknown {
  if (!(error instanceof FileConfigError)) return error;
  const { option, file, message, cause } = error;
  const given = options.findLast((each) =>
    each.section === "core" && each.option === option &&
    absolutePath(each.value) === file
  );
  if (given === undefined) return error;
  return new ConfigError(message, given.origin, { cause });
}

/** Checks that messages can be compressed, if some are to be. */
async function checkCompression({ core, routes }: Config): Promise<void> {
  const levels = routes.map(({ fields }) => fields.compression ?? 0);
  if (Math.max(core.compression, ...levels) === 0) return;
  const { assertUsable } = await import("./websocket/deflate/zlib.ts");
  assertUsable();
}

/** Loads the backends of all routes, and that of all other requests. */
async function loadBackends(
  { core, backend: steps, routes: configs }: Config,
  plugins: Plugins,
): Promise<Pick<Loaded, "backend" | "routes">> {
  const routes: Route[] = [];
  const { backends, framings } = plugins;
  const options = { backends, framings, allowed: core.allowPeer };
  try {
    for (const { pattern, backend, backendName, fields } of configs) {
      routes.push({
        pattern,
        backend: await loadBackend(backend, options),
        backendName,
        access: fields.access,
        origin: fields.origin ?? core.origin,
        compression: fields.compression,
        balance: fields.balance ?? core.balance,
      });
    }
    const backend = steps.length === 0
      ? undefined
      : await loadBackend(steps, options);
    return { backend, routes };
  } catch (error) {
    await cleanUp({ backend: undefined, routes });
    throw error;
  }
}

/** Releases the backends. */
export async function cleanUp(
  { backend, routes }: Pick<Loaded, "backend" | "routes">,
): Promise<void> {
  await backend?.cleanup?.();
  for (const { backend } of routes) await backend.cleanup?.();
}

/** Makes the list of connections that operators see, if there are operators. */
export async function createRoster(
  { admin }: CoreConfig,
): Promise<Roster | undefined> {
  if (admin === undefined) return undefined;
  const { Roster } = await import("./server/roster.ts");
  return new Roster();
}

/** Makes what counts connections together with other instances, if there are some. */
export async function createLimits(
  { limits: location, limitsCa }: CoreConfig,
): Promise<FleetLimits | undefined> {
  if (location === undefined) return undefined;
  let authorities: string | undefined;
  if (limitsCa !== undefined) {
    try {
      authorities = await Deno.readTextFile(absolutePath(limitsCa));
      parseCertificates(authorities);
    } catch (error) {
      throw new FileConfigError(
        `cannot use limits-ca "${limitsCa}": ${describeError(error)}`,
        { cause: error, option: "limits-ca", file: absolutePath(limitsCa) },
      );
    }
  }
  const { FleetLimits } = await import("./redis/limits.ts");
  return new FleetLimits({ location, authorities });
}

/** Opens the access log, if there is one. */
export async function openAccessLog(
  { accessLog, accessLogFormat }: CoreConfig,
  log: Log,
): Promise<AccessLog | undefined> {
  if (accessLog === undefined) return undefined;
  const path = accessLog === "-" ? accessLog : absolutePath(accessLog);
  const { AccessLog } = await import("./server/access_log.ts");
  return await AccessLog.open(path, accessLogFormat, log);
}

/** Loads the access sections, if there are some: most servers have none. */
async function loadAccess(
  { access, core: { trustedProxy } }: Config,
  log: Log,
): Promise<Access | undefined> {
  if (access.size === 0) return undefined;
  const { Access } = await import("./access/access.ts");
  const onWarning = (why: string): void => log("warn", "access", { why });
  return await Access.load(access.values(), { trustedProxy, onWarning });
}

/** What a server needs of it, with absolute paths. */
export function toServerConfig(loaded: Loaded): ServerConfig {
  const { config: { core }, plugins, certificate, ...others } = loaded;
  const clientAuthorities = loaded.access?.clientAuthorities;
  return {
    ...others,
    secretParameters: new Set([
      ...loaded.access?.secretParameters ?? [],
      ...secretParametersOf(loaded.config),
    ]),
    certificate: certificate && {
      ...certificate,
      ...clientAuthorities !== undefined && { clientAuthorities },
    },
    core: withAbsolutePaths(core),
    framings: plugins.framings,
  };
}

/** Makes paths absolute: the working directory may change. */
export function withAbsolutePaths(core: CoreConfig): CoreConfig {
  const { tlsCert, tlsKey, web, listen } = core;
  return {
    ...core,
    tlsCert: tlsCert.map(absolutePath),
    tlsKey: tlsKey.map(absolutePath),
    web: web && absolutePath(web),
    listen: listen.transport === "unix"
      ? { ...listen, path: absolutePath(listen.path) }
      : listen,
  };
}
