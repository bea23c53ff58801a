/**
 * Packages that examples of the documentation import.
 *
 * @module
 */

import manifest from "../../deno.json" with { type: "json" };

/**
 * Replaces the names of packages by what `deno.json` has under them for files
 * of the documentation: it does not hold for a copy of their code elsewhere.
 *
 * @param code The code.
 * @returns The code, which imports the same from anywhere.
 */
export function withPackages(code: string): string {
  let text = code;
  for (const [name, specifier] of Object.entries(manifest.scopes["./docs/"])) {
    const end = name.endsWith("/") ? "" : '"';
    text = text.replaceAll(`"${name}${end}`, `"${specifier}${end}`);
  }
  return text;
}
