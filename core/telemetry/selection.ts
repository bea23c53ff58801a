/**
 * What records the events of a program: what Deno exports, and what is kept for
 * the page of metrics and the admin listener.
 *
 * @module
 */

import type { Log } from "../log/log.ts";
import { combine } from "./combined.ts";
import { loadTelemetry } from "./load.ts";
import type { Recorder } from "./recorder.ts";
import type { MetricsSnapshot } from "./snapshot.ts";
import type { Telemetry } from "./telemetry.ts";

/** Loaded once: a reload keeps it. */
let exporting: Promise<Telemetry> | undefined;

/** The telemetry of a program. */
export class TelemetrySelection {
  #exported: Telemetry;
  #recorder: Recorder | undefined;

  private constructor(exported: Telemetry) {
    this.#exported = exported;
  }

  /**
   * Loads what Deno exports.
   *
   * @param log Logs if it cannot be loaded.
   */
  static async load(log: Log): Promise<TelemetrySelection> {
    return new TelemetrySelection(await (exporting ??= loadTelemetry(log)));
  }

  /**
   * Selects what takes the events of new connections.
   *
   * @param isAskedFor Whether the options let the metrics be read. Once that is
   * so, they are counted until the end: a counter that starts again would be read
   * as a restart.
   * @returns Takes the events.
   */
  async select(isAskedFor: boolean): Promise<Telemetry> {
    if (isAskedFor && this.#recorder === undefined) {
      const { Recorder } = await import("./recorder.ts");
      this.#recorder = new Recorder();
    }
    return this.#recorder === undefined
      ? this.#exported
      : combine([this.#exported, this.#recorder]);
  }

  /**
   * Gives the metrics of now.
   *
   * @returns Their values; none if nothing has asked for them.
   */
  snapshot(): MetricsSnapshot {
    return this.#recorder?.snapshot() ??
      { origin: performance.timeOrigin, series: {} };
  }

  /** Ends what is kept. */
  end(): void {
    this.#recorder?.end();
  }
}
