/**
 * The package that checks signatures and decrypts: loaded only where an option
 * names keys of tokens.
 *
 * @module
 */

import { ConfigError, describeError } from "../errors.ts";

/** What is used of it. */
export type Jose = Pick<
  typeof import("jose"),
  | "compactDecrypt"
  | "decodeProtectedHeader"
  | "errors"
  | "jwtDecrypt"
  | "jwtVerify"
>;

/** The name is no literal in the `import`: Deno would look it up at each start. */
const name = "jose";

/**
 * Loads it.
 *
 * @returns What it exports.
 * @throws {ConfigError} If it cannot be loaded.
 */
export async function loadJose(): Promise<Jose> {
  try {
    return await import(name);
  } catch (error) {
    throw new ConfigError(
      `cannot load ${name}: ${describeError(error)}`,
      undefined,
      { cause: error },
    );
  }
}
