/**
 * Finds out whether Deno exports telemetry, and loads the package for it.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import { noTelemetry, type Telemetry } from "./telemetry.ts";

/**
 * Where Deno registers its providers for the OpenTelemetry API if `OTEL_DENO`
 * is `true`. Reading the variable itself would need a permission.
 */
const providers = Symbol.for("opentelemetry.js.api.1");

/**
 * The name is not a literal in the `import`: Deno would look the package up at
 * each start, and wait for the registry, although it may never be needed.
 */
const api = "@opentelemetry/api";

/** Whether Deno exports telemetry. */
export function isTelemetryOn(): boolean {
  return providers in globalThis;
}

/**
 * Loads OpenTelemetry, if Deno exports telemetry.
 *
 * @param log Logs if it cannot be loaded; the server runs without it.
 * @returns Records metrics and traces, or nothing.
 */
export async function loadTelemetry(log: Log): Promise<Telemetry> {
  if (!isTelemetryOn()) return noTelemetry;
  try {
    const { openTelemetry } = await import("./opentelemetry.ts");
    return openTelemetry(await import(api));
  } catch (error) {
    log("warn", "telemetry", {
      error: `cannot load ${api}: ${describeError(error)}`,
    });
    return noTelemetry;
  }
}
