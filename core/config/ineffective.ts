/**
 * Which options of a valid configuration do nothing beside the others.
 *
 * @module
 */

import type { AccessConfig } from "./access_options.ts";
import type { BackendStep } from "./backend_step.ts";
import type { Config } from "./config.ts";
import { type CoreConfig, defaultCoreConfig } from "./options.ts";
import { grantNames, type PluginConfig } from "./plugin_options.ts";

/**
 * Finds options that have no effect, so that a user who expects one learns of
 * it. A value that is the default anyway is none of them.
 *
 * @param config The configuration.
 * @returns For each of them, its name and why, as a sentence without an end.
 */
export function findIneffective(
  { core, backend, routes, access, plugins }: Config,
): string[] {
  const compresses = core.compression > 0 ||
    routes.some(({ fields }) => (fields.compression ?? 0) > 0);
  return [
    ...ofListening(core),
    ...core.compressionMemory !== defaultCoreConfig.compressionMemory &&
        !compresses
      ? ["compression-memory has no effect: compression is off"]
      : [],
    ...ofBackend(core.backend, backend, ""),
    ...routes.flatMap(({ pattern, backendName, backend }) =>
      ofBackend(backendName, backend, ` of route "${pattern.text}"`)
    ),
    ...ofOperators({ core, routes }, access),
    ...plugins.flatMap(ofPlugin),
  ];
}

function ofListening(core: CoreConfig): string[] {
  const { listen, listenMode, port, engine, admin, trustedProxy } = core;
  const { networks, unix } = trustedProxy;
  const isUnix = listen.transport === "unix";
  const differs = (name: keyof CoreConfig): boolean =>
    core[name] !== defaultCoreConfig[name];
  const found: string[] = [];
  if (listenMode !== undefined && !isUnix) {
    found.push("listen-mode has no effect: listen is no Unix socket");
  }
  if (isUnix && differs("port") && port !== 0) {
    found.push("port has no effect: listen is a Unix socket");
  }
  if (engine === "stream" && differs("maxBuffer")) {
    found.push("max-buffer has no effect: only engine = native needs it");
  }
  if (engine === "native" && differs("headTimeout")) {
    found.push(
      "head-timeout does not hold for clients: engine = native has no such limit",
    );
  }
  // Operators have a listener of their own.
  const other = admin?.address.transport ?? listen.transport;
  if (isUnix && !unix) {
    if (core.maxConnectionsPerAddress > 0) {
      found.push(
        "max-connections-per-address has no effect: clients of a Unix socket have no address, unless trusted-proxy contains unix",
      );
    }
    if (networks.length > 0 && other === "unix") {
      found.push(
        "trusted-proxy has no effect: on a Unix socket, it has to contain unix",
      );
    }
  }
  if (!isUnix && unix && networks.length === 0 && other === "tcp") {
    found.push("trusted-proxy has no effect: listen is no Unix socket");
  }
  return found;
}

/** Framing functions that take any configuration and look at none, as in the C version. */
const withoutConfig = ["auto", "binary"];

/** Of a backend that names the same peer to all: what others answer may complete their options. */
function ofBackend(
  name: string,
  steps: readonly BackendStep[],
  where: string,
): string[] {
  if (name !== "defaultpeer") return [];
  const loaded = steps.findLastIndex(({ step }) => step === "load");
  const values = (option: string): string[] =>
    steps.slice(loaded + 1).flatMap((step) =>
      step.step === "configure" && step.option === option ? [step.value] : []
    );
  const framing = values("framing").at(-1) || "auto";
  const hosts = values("host");
  const found: string[] = [];
  if (values("framing-config").at(-1) && withoutConfig.includes(framing)) {
    found.push(
      `framing-config${where} has no effect: framing ${framing} has no configuration`,
    );
  }
  if (
    values("port").length > 0 && hosts.length > 0 &&
    hosts.every((host) => /^unix(?:-dgram)?:/.test(host))
  ) {
    found.push(`port${where} has no effect: host is a Unix socket`);
  }
  return found;
}

/** What only holds for WebSockets, of a section that only requests of operators have to satisfy. */
function ofOperators(
  { core, routes }: Pick<Config, "core" | "routes">,
  access: ReadonlyMap<string, AccessConfig>,
): string[] {
  const { adminAccess: name } = core;
  const section = name === undefined ? undefined : access.get(name);
  if (section === undefined || core.access === name) return [];
  if (routes.some(({ fields }) => fields.access === name)) return [];
  const { maxConnectionsPerUser, bandwidth, bandwidthUser, maxLifetime } =
    section;
  const limits = {
    "max-connections-per-user": maxConnectionsPerUser,
    "bandwidth": bandwidth,
    "bandwidth-user": bandwidthUser,
    "max-lifetime": maxLifetime,
  };
  return Object.entries(limits).flatMap(([option, value]) =>
    value === undefined ? [] : [
      `${option} of access "${name}" has no effect: only admin-access names the section`,
    ]
  );
}

function ofPlugin(
  { name, trusted, isolation, grants }: PluginConfig,
): string[] {
  if (!trusted) return [];
  const options = [
    ...grantNames.filter((kind) => grants[kind].length > 0),
    ...isolation === undefined ? [] : ["isolation"],
  ];
  return options.map((option) =>
    `${option} of plugin "${name}" has no effect: with trust = full, it runs with the program's permissions`
  );
}
