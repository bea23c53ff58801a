/**
 * What a configuration says about one backend.
 *
 * @module
 */

/** One step that chooses or configures the backend. */
export type BackendStep =
  | {
    /** Unload the present backend, if there is one, and load another. */
    readonly step: "load";
    /** Its name. */
    readonly name: string;
    /** Where it is named; absent for the default. */
    readonly origin: string | undefined;
  }
  | {
    /** Pass an option to the backend that is loaded. */
    readonly step: "configure";
    /** Name of the option. */
    readonly option: string;
    /** Its value, verbatim. */
    readonly value: string;
    /** Where it stands. */
    readonly origin: string;
  };

/**
 * Adds a step that configures the backend.
 *
 * @param steps The steps before it.
 * @param step The step.
 * @param replaces Whether it takes the place of those that give the same option
 * of the same backend a value.
 */
export function addStep(
  steps: BackendStep[],
  step: BackendStep & { readonly step: "configure" },
  replaces: boolean,
): void {
  if (replaces) {
    const loaded = steps.findLastIndex(({ step }) => step === "load");
    const kept = steps.slice(loaded + 1).filter((each) =>
      each.step === "load" || each.option !== step.option
    );
    steps.splice(loaded + 1, Infinity, ...kept);
  }
  steps.push(step);
}
