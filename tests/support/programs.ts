/**
 * Programs that tests cannot do without.
 *
 * @module
 */

import { delimiter, join } from "node:path";

/**
 * Fails unless a program is installed: a test that was skipped instead would
 * say that all is well.
 *
 * @param program Its name.
 * @param debianPackage The package of Debian that has it.
 * @throws {Error} If it is not on the path.
 */
export function requireProgram(program: string, debianPackage: string): void {
  for (const directory of Deno.env.get("PATH")!.split(delimiter)) {
    try {
      if (Deno.statSync(join(directory, program)).isFile) return;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(
    `Cannot run "${program}": it is not installed; apt-get install ${debianPackage}`,
  );
}
