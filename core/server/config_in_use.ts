/**
 * A configuration, and how long it is needed.
 *
 * @module
 */

import type { Backend } from "../api.ts";
import { describeError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import type { ServerConfig } from "./options.ts";

/** A configuration in use: its backends are cleaned up after the last query. */
export class ConfigInUse {
  /** The configuration. */
  readonly current: ServerConfig;
  #log: Log;
  #users = 1;
  #unused = Promise.withResolvers<void>();

  /**
   * Constructs a new instance.
   *
   * @param current The configuration.
   * @param log Told if the backend cannot be cleaned up.
   */
  constructor(current: ServerConfig, log: Log) {
    this.current = current;
    this.#log = log;
  }

  /** Counts a query that begins. */
  take(): void {
    this.#users++;
  }

  /** Stops counting a query that has ended. */
  release(): void {
    this.#users--;
    if (this.#users === 0) this.#unused.resolve();
  }

  /** Cleans the backends up once no query uses them. */
  async retire(): Promise<void> {
    this.release();
    await this.#unused.promise;
    const { backend, routes = [] } = this.current;
    await Promise.all(
      [backend, ...routes.map(({ backend }) => backend)].map((each) =>
        this.#cleanUp(each)
      ),
    );
  }

  async #cleanUp(backend: Backend | undefined): Promise<void> {
    try {
      await backend?.cleanup?.();
    } catch (error) {
      this.#log("error", "cleanup", { error: describeError(error) });
    }
  }
}
