/**
 * Loads the plugins of a configuration, and adds their backends and framing
 * functions to the built-in ones.
 *
 * @module
 */

import type { CreateFraming } from "../api.ts";
import type { BackendTable } from "../accept/backend.ts";
import type { Config } from "../config/config.ts";
import { ConfigError, describeError } from "../errors.ts";
import type {
  FramingTable,
  IsolatedFraming,
} from "../bridge/message_framer.ts";
import type { Log } from "../log/log.ts";
import type { CoreConfig } from "../config/options.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { PluginBackend } from "./backend.ts";
import {
  isSpecifier,
  noGrants,
  type PluginConfig,
} from "../config/plugin_options.ts";
import { PluginFramer } from "./framer.ts";
import { checkGrants, toPermissions } from "./permissions.ts";
import type { StartIsolate } from "./isolate.ts";
import { PluginLink } from "./link.ts";
import { readLock } from "./lock.ts";
import { findProcessProgram } from "./process_program.ts";
import { PluginSupervisor } from "./supervisor.ts";
import { ModuleLoader } from "./source.ts";
import { importTrusted } from "./trusted.ts";

/** Options for {@linkcode Plugins.load}. */
export interface LoadPluginsOptions {
  /** The built-in backends. */
  readonly backends: BackendTable;
  /** The built-in framing functions. */
  readonly framings: FramingTable;
  /** The log. */
  readonly log: Log;
  /** Counts restarts of plugins. */
  readonly telemetry?: Telemetry;
}

type CreateBackend = BackendTable[string];

/** The plugins of a configuration, and what can be used with them. */
export class Plugins {
  #builtIn: LoadPluginsOptions;
  #core: CoreConfig;
  #backends: Record<string, CreateBackend>;
  #framings: Record<string, CreateFraming | IsolatedFraming>;
  /** For each framing function of a plugin, the plugin's name. */
  #owners = new Map<string, string>();
  #processes: PluginSupervisor[] = [];
  #isolations = new Map<string, string>();

  private constructor(core: CoreConfig, options: LoadPluginsOptions) {
    this.#core = core;
    this.#builtIn = options;
    this.#backends = { ...options.backends };
    this.#framings = { ...options.framings };
  }

  /**
   * Loads the plugins that a configuration declares, and those that it names
   * as backends by their path or URL.
   *
   * @param config The configuration.
   * @param options What is built in.
   * @returns The plugins; the caller ends them.
   * @throws {ConfigError} If one cannot be loaded.
   */
  static async load(
    config: Config,
    options: LoadPluginsOptions,
  ): Promise<Plugins> {
    const plugins = new Plugins(config.core, options);
    try {
      for (const plugin of [...config.plugins, ...undeclared(config)]) {
        await plugins.#add(plugin);
      }
      return plugins;
    } catch (error) {
      await plugins.end();
      throw error;
    }
  }

  /** The backends that can be loaded, by name. */
  get backends(): BackendTable {
    return this.#backends;
  }

  /** Where each of them runs, in words, by its name. */
  get isolations(): ReadonlyMap<string, string> {
    return this.#isolations;
  }

  /** The framing functions that can be used, by name. */
  get framings(): FramingTable {
    return this.#framings;
  }

  /**
   * Ends each plugin when the last connection that uses it has ended.
   *
   * @returns A promise that resolves when all are gone.
   */
  async retire(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.retire()));
  }

  /**
   * Ends the plugins at once.
   *
   * @returns A promise that resolves when all are gone.
   */
  async end(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.end()));
  }

  async #add(plugin: PluginConfig): Promise<void> {
    try {
      if (Object.hasOwn(this.#builtIn.backends, plugin.name)) {
        throw new TypeError("a built-in backend has this name");
      }
      await checkGrants(plugin.grants);
      const timeout = this.#core.connectTimeout * 1000;
      const chosen = plugin.trusted ? undefined : await chooseIsolate(plugin);
      const loader = new ModuleLoader(plugin.specifier, {
        timeout,
        sha256: plugin.sha256,
        lock: plugin.lock === undefined
          ? undefined
          : await readLock(plugin.lock),
        hosts: plugin.grants.import,
        confined: !plugin.trusted,
        strip: chosen?.strips === true
          ? (text, url) => this.#strip(chosen.startIsolate, text, url)
          : undefined,
      });
      const sources = await loader.load();
      if (chosen === undefined) {
        this.#isolations.set(plugin.name, "in the program's own thread");
        const { createBackend, framings } = await importTrusted(
          sources,
          (specifier, importer) => loader.import(specifier, importer),
        );
        if (createBackend !== undefined) {
          this.#backends[plugin.name] = createBackend;
        }
        this.#addFramings(plugin, framings);
        return;
      }
      const { startIsolate, where } = chosen;
      this.#isolations.set(plugin.name, where);
      const process = await PluginSupervisor.start({
        name: plugin.name,
        sources,
        onImport: ({ specifier, importer }) =>
          loader.import(specifier, importer),
        startIsolate,
        permissions: toPermissions(plugin.grants),
        maxMessage: this.#core.maxMessage,
        timeout: this.#core.pluginTimeout * 1000,
        startTimeout: timeout,
        log: this.#builtIn.log,
        telemetry: this.#builtIn.telemetry,
      });
      this.#processes.push(process);
      const { backend, framings } = process.exports;
      if (backend) {
        this.#backends[plugin.name] = () => PluginBackend.create(process);
      }
      this.#addFramings(
        plugin,
        Object.fromEntries(framings.map((name): [string, IsolatedFraming] => [
          name,
          { open: (config) => PluginFramer.open(process, name, config) },
        ])),
      );
    } catch (error) {
      const why = describeError(error).replace(`plugin "${plugin.name}": `, "");
      throw new ConfigError(
        `cannot load plugin "${plugin.name}": ${why}`,
        plugin.origin,
        { cause: error },
      );
    }
  }

  /** Converts TypeScript to JavaScript in an isolate without a plugin. */
  async #strip(
    startIsolate: StartIsolate,
    text: string,
    url: string,
  ): Promise<string> {
    const link = new PluginLink({
      name: "",
      permissions: toPermissions(noGrants),
      maxMessage: this.#core.maxMessage,
      timeout: this.#core.connectTimeout * 1000,
      startIsolate,
      onImport: () => Promise.reject(new TypeError("there is no plugin")),
      onOutput: () => {},
      onFailure: () => {},
    });
    try {
      return String(await link.call("strip", [text, url]));
    } catch (cause) {
      throw new SyntaxError(describeError(cause).replace(`plugin "": `, ""));
    } finally {
      await link.end();
    }
  }

  #addFramings(
    plugin: PluginConfig,
    framings: Readonly<Record<string, CreateFraming | IsolatedFraming>>,
  ): void {
    for (const [name, framing] of Object.entries(framings)) {
      const owner = this.#owners.get(name);
      if (owner !== undefined) {
        throw new TypeError(
          `its framing "${name}" is one of plugin "${owner}", too`,
        );
      }
      if (Object.hasOwn(this.#builtIn.framings, name) && !plugin.trusted) {
        throw new TypeError(
          `its framing "${name}" has the name of a built-in one, which takes trust = full`,
        );
      }
      this.#owners.set(name, plugin.name);
      this.#framings[name] = framing;
    }
  }
}

/** What a plugin runs in. */
interface ChosenIsolate {
  readonly startIsolate: StartIsolate;
  /** In words. */
  readonly where: string;
  /**
   * Whether it also converts TypeScript: input that crashes the parser ends its
   * process.
   */
  readonly strips: boolean;
}

/** Chooses what a plugin runs in, and loads only that. */
async function chooseIsolate(
  { isolation }: PluginConfig,
): Promise<ChosenIsolate> {
  let why = "";
  if (isolation !== "worker") {
    const program = await findProcessProgram();
    if (!("why" in program)) {
      const { ProcessIsolate } = await import("./process_isolate.ts");
      return {
        startIsolate: (options) => new ProcessIsolate(options, program),
        where: "isolated in a process",
        strips: true,
      };
    }
    why = `: ${program.why}`;
    if (isolation === "process") {
      throw new Deno.errors.NotCapable(
        `it cannot be isolated in a process: ${program.why}`,
      );
    }
  }
  const { WorkerIsolate } = await import("./worker_isolate.ts");
  return {
    startIsolate: (options) => new WorkerIsolate(options),
    where: `isolated in a worker${why}`,
    strips: false,
  };
}

/** Backends that are named by a path or URL are plugins without grants. */
function undeclared({ backend, routes, plugins }: Config): PluginConfig[] {
  const found = new Map<string, PluginConfig>();
  const all = [backend, ...routes.map(({ backend }) => backend)].flat();
  for (const step of all) {
    if (step.step !== "load" || !isSpecifier(step.name)) continue;
    const { name, origin } = step;
    if (plugins.some((plugin) => plugin.name === name)) continue;
    found.set(name, {
      name,
      specifier: name,
      trusted: false,
      grants: noGrants,
      origin,
    });
  }
  return [...found.values()];
}
