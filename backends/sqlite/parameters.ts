/**
 * The bound parameters of a statement of SQL.
 *
 * @module
 */

/**
 * Finds the names of the parameters in a statement.
 *
 * @param sql The statement; parameters are `:NAME`.
 * @returns The names, without the colon.
 * @throws {SyntaxError} If it has parameters of another kind.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { findParameters } from "./parameters.ts";
 *
 * assertEquals(
 *   findParameters("SELECT host FROM p WHERE t = :token -- not :this"),
 *   ["token"],
 * );
 * ```
 */
export function findParameters(sql: string): string[] {
  // Quoted texts and names, and comments, have none.
  const code = sql.replace(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[^]*?\*\//g,
    " ",
  );
  const other = /[?@$]\w*/.exec(code);
  if (other !== null) {
    throw new SyntaxError(`write :NAME for a parameter, not "${other[0]}"`);
  }
  const names = code.matchAll(/:(\w+)/g);
  return [...new Set(Array.from(names, ([, name]) => name!))];
}
