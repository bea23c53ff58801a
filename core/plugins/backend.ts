/**
 * The backend of a plugin that runs elsewhere.
 *
 * @module
 */

import type { Backend, BackendQuery, PeerInfo, Refusal } from "../api.ts";
import type { PluginSupervisor } from "./supervisor.ts";
import { withinTime } from "./time.ts";

/** Milliseconds that the backend's cleanup may take. */
const cleanupTimeout = 1000;

let lastBackend = 0;
let lastQuery = 0;

/** Passes the calls of a backend on to a plugin. */
export class PluginBackend implements Backend {
  #process: PluginSupervisor;
  /** Tells it from others that the plugin has made. */
  #number: number;

  readonly needsAllowPeer: boolean;

  private constructor(
    process: PluginSupervisor,
    number: number,
    needsAllowPeer: boolean,
  ) {
    this.#process = process;
    this.#number = number;
    this.needsAllowPeer = needsAllowPeer;
  }

  /**
   * Lets a plugin make its backend.
   *
   * @param process The plugin.
   * @returns The backend.
   * @throws {Error} If the plugin makes none.
   */
  static async create(process: PluginSupervisor): Promise<PluginBackend> {
    const number = ++lastBackend;
    const needsAllowPeer = await process.step("create", [number]);
    return new PluginBackend(process, number, needsAllowPeer === true);
  }

  async configure(option: string, value: string): Promise<void> {
    await this.#process.step("configure", [this.#number, option, value]);
  }

  async start(): Promise<PeerInfo | undefined> {
    const peer = await this.#process.step("start", [this.#number]);
    return peer as PeerInfo | undefined;
  }

  /** The caller checks the answer. */
  async query(
    request: BackendQuery,
  ): Promise<PeerInfo | Refusal | undefined> {
    const link = await this.#process.running();
    const { signal, ...asked } = request;
    const number = ++lastQuery;
    const abort = (): void => link.tell("abort", [number]);
    signal?.addEventListener("abort", abort);
    try {
      const answer = await link.call("query", [
        this.#number,
        number,
        asked,
      ]);
      return answer as PeerInfo | Refusal | undefined;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async cleanup(): Promise<void> {
    const process = this.#process;
    process.clearSteps(this.#number);
    try {
      await withinTime(this.#cleanUp(), {
        timeout: cleanupTimeout,
        what: "it",
      });
    } catch (error) {
      process.warn("cleanup failed", error);
    }
  }

  async #cleanUp(): Promise<void> {
    const link = await this.#process.running();
    await link.call("cleanup", [this.#number]);
  }
}
