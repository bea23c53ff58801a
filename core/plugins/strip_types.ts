/**
 * Makes JavaScript of TypeScript.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";

/**
 * Makes JavaScript of TypeScript. A module that is deep enough overflows the
 * stack of Deno's parser, which ends the process (2.9).
 *
 * @param text The TypeScript.
 * @param url URL of the module.
 * @returns The JavaScript.
 * @throws {SyntaxError} If it cannot be parsed; nothing of it is quoted.
 */
export function stripTypes(text: string, url: string): string {
  try {
    return stripTypeScriptTypes(text, { mode: "transform", sourceUrl: url });
  } catch {
    throw new SyntaxError("it is not valid TypeScript");
  }
}
