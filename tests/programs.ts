/**
 * Programs that tests cannot do without.
 *
 * @module
 */

import { hasProgram } from "./e2e_service.ts";

/**
 * Fails unless a program is installed: a test that was skipped instead would
 * say that all is well.
 *
 * @param program Its name.
 * @param debianPackage The package of Debian that has it.
 * @throws {Error} If it is not there.
 */
export function requireProgram(program: string, debianPackage: string): void {
  if (hasProgram(program)) return;
  throw new Error(
    `Cannot run "${program}": it is not installed; apt-get install ${debianPackage}`,
  );
}
