/**
 * Which parameters of a query string the backends of a configuration take for
 * secrets.
 *
 * @module
 */

import type { Config } from "./config.ts";

/**
 * Options of backends that make of a request what gets a client its peer: a
 * token, the key of a directory, the question for a service.
 */
const options: readonly string[] = ["key", "token", "url"];

/** A variable that stands for a parameter. */
const VARIABLE = /%query:([^%|]+)(?:\|[^%]*)?%/g;

/**
 * Finds them, in the options of all backends.
 *
 * @param config The configuration.
 * @returns Their names.
 */
export function secretParametersOf(
  { backend, routes }: Pick<Config, "backend" | "routes">,
): string[] {
  const steps = [backend, ...routes.map(({ backend }) => backend)].flat();
  return steps.flatMap((step) =>
    step.step === "configure" && options.includes(step.option)
      ? Array.from(step.value.matchAll(VARIABLE), ([, name]) => name!)
      : []
  );
}
