/**
 * Finds out whether Deno exports telemetry, and loads what that takes.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import { noTelemetry, type Telemetry } from "./telemetry.ts";

/**
 * Where Deno puts its providers for the OpenTelemetry API if `OTEL_DENO` is
 * `true`. To look here takes no permission, as reading the variable would.
 */
const providers = Symbol.for("opentelemetry.js.api.1");

/**
 * The package is not named within the `import` itself: Deno would look it up at
 * each start, and wait for the registry, though it may never be needed.
 */
const api = "@opentelemetry/api";

/** Whether Deno exports telemetry. */
export function isTelemetryOn(): boolean {
  return providers in globalThis;
}

/**
 * Loads OpenTelemetry, if Deno exports telemetry.
 *
 * @param log Told if it cannot be loaded, which is no reason not to serve.
 * @returns What records what happens.
 */
export async function loadTelemetry(log: Log): Promise<Telemetry> {
  if (!isTelemetryOn()) return noTelemetry;
  try {
    const { OpenTelemetry } = await import("./opentelemetry.ts");
    return new OpenTelemetry(await import(api));
  } catch (error) {
    log("warn", "telemetry", {
      error: `cannot load ${api}: ${describeError(error)}`,
    });
    return noTelemetry;
  }
}
