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
