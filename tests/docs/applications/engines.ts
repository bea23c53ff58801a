/**
 * The engines that applications are tested with.
 *
 * @module
 */

import { type EngineName, engines } from "../../support/command.ts";
import { isLong } from "../../support/long.ts";

/**
 * The engines that the test of an application runs with: the default one, or all.
 * What applications need of an engine, messages both ways and their ends, other
 * files show of each engine; a few applications show that either can be chosen,
 * and all of them with `WEBSOCKSY_LONG=1`.
 *
 * @param application The application.
 */
export function enginesOf(
  { showsEngines = false }: { readonly showsEngines?: boolean },
): readonly EngineName[] {
  return isLong || showsEngines ? engines : ["stream"];
}
