/**
 * What a configuration would do, as JSON for other programs.
 *
 * @module
 */

import type { Config, GivenCoreOption, GivenOption } from "../config/config.ts";
import { findIneffective } from "../config/ineffective.ts";
import { coreOptions } from "../config/options.ts";
import { isRouteOption } from "../config/route_options.ts";
import { formatUrl, withoutSecrets } from "./describe.ts";

/** Values of options by their names: the last one given, or all where they add up. */
export type OptionValues = Readonly<Record<string, string | readonly string[]>>;

/** A configuration, as `docs/configuration.schema.json` has it. */
export interface ConfigurationJson {
  /** The `[core]` options, all of them. */
  readonly core: OptionValues;
  /** The backend of the requests that match no route; absent: they get 404. */
  readonly backend?: BackendJson;
  /** The routes, in the order in which they are tried. */
  readonly routes: readonly (BackendJson & RouteJson)[];
  /** The plugins that are declared, by name. */
  readonly plugins: Readonly<Record<string, OptionValues>>;
  /** The access sections, by name. */
  readonly access: Readonly<Record<string, OptionValues>>;
}

/** A backend and its options. */
export interface BackendJson {
  /** Its name. */
  readonly name: string;
  /** Its options, in the order in which they are applied. */
  readonly options: readonly {
    readonly option: string;
    readonly value: string;
  }[];
}

/** What a route has beside its backend. */
export interface RouteJson {
  /** The pattern. */
  readonly pattern: string;
  /** The `[core]` options that it sets for its requests. */
  readonly core: OptionValues;
}

/**
 * Describes what a configuration would do, for `--check --json`.
 *
 * @param config The configuration, valid.
 * @param options The options that it was made of.
 * @param isolations Where each plugin runs, in words, by its name.
 * @returns What is printed.
 */
export function describeAsJson(
  config: Config,
  options: readonly GivenOption[],
  isolations: ReadonlyMap<string, string> = new Map(),
): string {
  const description = {
    valid: true,
    address: formatUrl(config.core, config.core.port),
    configuration: toJson(config, options),
    isolations: Object.fromEntries(isolations),
    warnings: findIneffective(config),
  };
  return JSON.stringify(description, null, 2);
}

function toJson(
  { backend, routes }: Config,
  options: readonly GivenOption[],
): ConfigurationJson {
  function namedSections(
    section: "plugin" | "access",
  ): ConfigurationJson["access"] {
    const own = options.flatMap((each) =>
      each.section === section ? [each] : []
    );
    const byName = Object.groupBy(own, ({ name }) => name);
    return Object.fromEntries(
      Object.entries(byName).map(([name, options = []]) => [
        name,
        valuesOf(options, () => true),
      ]),
    );
  }
  const core = options.filter(({ section }) => section === "core");
  return {
    core: {
      ...Object.fromEntries(
        coreOptions.map((option) => [option.name, option.default]),
      ),
      ...valuesOf(core, addsUp),
    },
    ...backend.length > 0 && { backend: toBackend(backend) },
    routes: routes.map(({ pattern, backend }) => ({
      pattern: pattern.text,
      ...toBackend(backend),
      core: valuesOf(
        options.filter((each) =>
          each.section === "route" && each.name === pattern.text &&
          each.option !== "backend" && isRouteOption(each.option)
        ),
        addsUp,
      ),
    })),
    plugins: namedSections("plugin"),
    access: namedSections("access"),
  };
}

function addsUp(option: string): boolean {
  return coreOptions.find(({ name }) => name === option)?.join !== undefined;
}

/** Puts values together: all of an option that adds up, if there are several. */
function valuesOf(
  options: readonly Pick<GivenCoreOption, "option" | "value" | "replaces">[],
  addsUp: (option: string) => boolean,
): OptionValues {
  const values: Record<string, string | string[]> = {};
  for (const { option, value: given, replaces = false } of options) {
    const value = withoutSecrets(option, given);
    const before = values[option];
    const isAdded = before !== undefined && addsUp(option) && !replaces &&
      value !== "";
    values[option] = isAdded ? [before, value].flat() : value;
  }
  return values;
}

function toBackend(steps: Config["backend"]): BackendJson {
  const loaded = steps.findLastIndex(({ step }) => step === "load");
  const load = steps[loaded];
  return {
    name: load?.step === "load" ? load.name : "",
    options: steps.slice(loaded + 1).flatMap((step) =>
      step.step === "configure"
        ? [{
          option: step.option,
          value: withoutSecrets(step.option, step.value),
        }]
        : []
    ),
  };
}
