/**
 * Keeps a plugin running: starts it, and restarts it when it has failed.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { withinTime } from "./time.ts";
import { PluginLink, type PluginLinkOptions } from "./link.ts";
import {
  asExports,
  type CallName,
  type LoadedExports,
  type ModuleSources,
  type SandboxCalls,
} from "./messages.ts";
import { PluginOutput } from "./output.ts";

/** Options for {@linkcode PluginSupervisor.start}. */
export interface PluginSupervisorOptions
  extends Omit<PluginLinkOptions, "onFailure" | "onOutput"> {
  /** Its modules. */
  readonly sources: ModuleSources;
  /** Milliseconds that each step of a start may take. */
  readonly startTimeout: number;
  /** The log. */
  readonly log: Log;
  /** Counts its restarts. */
  readonly telemetry?: Telemetry | undefined;
  /**
   * Milliseconds before a plugin that has failed is restarted; doubled with
   * each further failure within a minute.
   *
   * @default {100}
   */
  readonly pause?: number;
}

/** A call that makes a backend; the first argument is the backend's number. */
type StepName = "create" | "configure" | "start";

/** A step of a start, which each restart repeats. */
interface Step<Name extends StepName = StepName> {
  readonly name: Name;
  readonly args: Parameters<SandboxCalls[Name]>;
}

const longestPause = 30_000;
/**
 * Milliseconds after which a running plugin no longer counts as failing at its
 * start.
 */
const steadyAfter = 60_000;
/**
 * Longest time until the next start, in milliseconds, for which a client waits.
 */
const longestWait = 1000;

/** A plugin that is restarted when it fails. */
export class PluginSupervisor {
  #options: PluginSupervisorOptions;
  #exports: LoadedExports = { backend: false, framings: [] };
  #link: PluginLink | undefined;
  /** What a start consists of, after loading the plugin. */
  #steps: Step[] = [];
  #pause: number;
  #startedAt = 0;
  #failure: Error | undefined;
  /**
   * Present while the plugin is down; resolves when it runs again, or was
   * ended.
   */
  #restarting: Promise<void> | undefined;
  /** The next start: resolves when it has worked or failed. */
  #attempt = Promise.withResolvers<void>();
  #attemptAt = 0;
  #starting: PluginLink | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | undefined;
  #ending: Promise<void> | undefined;
  #users = 0;
  #output: PluginOutput;
  #unused = Promise.withResolvers<void>();

  private constructor(options: PluginSupervisorOptions) {
    this.#options = options;
    this.#output = new PluginOutput(options.name, options.log);
    this.#pause = this.#firstPause;
  }

  /**
   * Starts a plugin.
   *
   * @param options The plugin, and its limits.
   * @returns The plugin, loaded.
   * @throws {Error} If it cannot be loaded.
   */
  static async start(
    options: PluginSupervisorOptions,
  ): Promise<PluginSupervisor> {
    const process = new PluginSupervisor(options);
    await process.#start();
    return process;
  }

  /** What it exports. */
  get exports(): LoadedExports {
    return this.#exports;
  }

  /** Name of the plugin. */
  get name(): string {
    return this.#options.name;
  }

  /** The limits it runs with. */
  get options(): PluginSupervisorOptions {
    return this.#options;
  }

  /**
   * Waits until the plugin runs. If the next start is not near, it throws at
   * once.
   *
   * @returns The plugin.
   * @throws {Error} If it does not run.
   */
  async running(): Promise<PluginLink> {
    if (this.#restarting !== undefined) {
      const wait = this.#attemptAt - performance.now();
      if (wait > longestWait) throw this.#failure;
      await this.#attempt.promise;
    }
    if (this.#link === undefined) throw this.#failure;
    return this.#link;
  }

  /**
   * Calls the plugin as a step of its start: it is repeated with each start.
   *
   * @param name What for.
   * @param args Arguments.
   * @returns The answer, not checked.
   * @throws {Error} If the plugin throws, has failed, or takes too long.
   */
  async step<Name extends StepName>(
    name: Name,
    args: Parameters<SandboxCalls[Name]>,
  ): Promise<unknown> {
    const link = await this.running();
    const answer = await this.#inTime(link.call(name, args), name);
    const step: Step<Name> = { name, args };
    this.#steps.push(step as unknown as Step);
    return answer;
  }

  /**
   * Logs a failure that has no other consequence.
   *
   * @param what What.
   * @param error Why.
   */
  warn(what: string, error: unknown): void {
    this.#options.log("warn", "plugin", {
      name: this.name,
      what: `${what}: ${describeError(error)}`,
    });
  }

  /**
   * Forgets the steps of its start that make a backend.
   *
   * @param backend Number of the backend.
   */
  clearSteps(backend: number): void {
    this.#steps = this.#steps.filter(({ args: [number] }) =>
      number !== backend
    );
  }

  /** Counts a connection that uses the plugin. */
  retain(): void {
    this.#users++;
  }

  /** Stops counting a connection. */
  release(): void {
    if (--this.#users === 0) this.#unused.resolve();
  }

  /**
   * Ends the plugin when the last connection that uses it has ended.
   *
   * @returns A promise that resolves when it is gone.
   */
  async retire(): Promise<void> {
    if (this.#users > 0) await this.#unused.promise;
    await this.end();
  }

  /**
   * Ends the plugin at once. A second call waits for the first.
   *
   * @returns A promise that resolves when it is gone.
   */
  end(): Promise<void> {
    return this.#ending ??= this.#end();
  }

  async #end(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    this.#failure ??= new Error(`plugin "${this.name}" was ended`);
    clearTimeout(this.#timer);
    this.#wake?.();
    await Promise.all([link?.end(), this.#starting?.end()]);
    await this.#restarting;
  }

  get #firstPause(): number {
    return this.#options.pause ?? 100;
  }

  async #start(): Promise<void> {
    let failed = false;
    const link = new PluginLink({
      ...this.#options,
      onOutput: (line) => this.#output.write(line),
      onFailure: () => {
        failed = true;
        if (this.#link === link) this.#restart(link);
      },
    });
    this.#starting = link;
    try {
      const exports = await this.#inTime(
        link.call("load", [this.#options.sources]),
        "load",
      );
      this.#exports = asExports(exports);
      for (const { name, args } of this.#steps) {
        await this.#inTime(link.call(name, args), name);
      }
      if (failed) throw link.failure;
      if (this.#ending !== undefined) throw new Error("it was ended");
    } catch (error) {
      await link.end();
      throw error;
    } finally {
      this.#starting = undefined;
    }
    this.#link = link;
    this.#startedAt = performance.now();
  }

  #inTime<T>(promise: Promise<T>, name: CallName): Promise<T> {
    return withinTime(promise, {
      timeout: this.#options.startTimeout,
      what: `plugin "${this.name}": ${name}`,
    });
  }

  #restart(link: PluginLink): void {
    this.#link = undefined;
    if (this.#ending !== undefined) return;
    const lived = performance.now() - this.#startedAt;
    if (lived >= steadyAfter) this.#pause = this.#firstPause;
    this.#restarting = this.#restartUntilDone(link);
  }

  async #restartUntilDone(link: PluginLink): Promise<void> {
    let error = link.failure!;
    const gone = link.end();
    while (this.#ending === undefined) {
      const pause = this.#pause;
      this.#pause = Math.min(longestPause, pause * 2);
      this.#attempt = Promise.withResolvers();
      this.#attemptAt = performance.now() + pause;
      this.#failure = error;
      this.#log(error.message, pause);
      await Promise.all([gone, this.#sleep(pause)]);
      if (this.#ending !== undefined) break;
      try {
        await this.#start();
        this.#log("it runs again");
        this.#options.telemetry?.pluginRestart(this.name, "running");
        break;
      } catch (cause) {
        this.#options.telemetry?.pluginRestart(this.name, "failed");
        error = cause instanceof Error ? cause : new Error(String(cause));
      } finally {
        this.#attempt.resolve();
      }
    }
    this.#attempt.resolve();
    await gone;
    this.#restarting = undefined;
  }

  #log(what: string, pause?: number): void {
    this.#options.log(pause === undefined ? "info" : "warn", "plugin", {
      name: this.name,
      what: what.replace(`plugin "${this.name}": `, ""),
      "pause-seconds": pause === undefined ? undefined : pause / 1000,
    });
  }

  async #sleep(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, milliseconds);
    });
  }
}
