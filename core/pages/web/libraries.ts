/**
 * The packages that serve files. They are only loaded if files are served. The
 * package `send`, which Express uses, is made of the same ones, but writes to a
 * response of Node.js instead of returning a `Response`.
 *
 * @module
 */

import { ConfigError, describeError } from "../../errors.ts";

/** Header fields, by their names in lower case. */
export type Fields = Readonly<Record<string, string>>;

/** These packages. */
export interface WebLibraries {
  /** `mime-types`: the value of `content-type` for a file's name; false: unknown. */
  readonly contentType: (extension: string) => string | false;
  /** `fresh`: whether the client's copy is the same as the response. */
  readonly isFresh: (request: Fields, response: Fields) => boolean;
  /** `range-parser`: the ranges of a size; -1: none of them is in it, -2: malformed. */
  readonly parseRange: (
    size: number,
    header: string,
  ) => (readonly Range[] & { readonly type?: string }) | -1 | -2;
}

/** Places of bytes, both of them included. */
export interface Range {
  /** That of the first one. */
  readonly start: number;
  /** That of the last one. */
  readonly end: number;
}

/**
 * Loads them. Their names are not literals of the `import`: Deno would look
 * them up at each start, even if they are never used.
 *
 * @returns What they export.
 * @throws {ConfigError} If one cannot be loaded.
 */
export async function loadWebLibraries(): Promise<WebLibraries> {
  const [mimeTypes, fresh, rangeParser] = await Promise.all(
    ["mime-types", "fresh", "range-parser"].map(load),
  );
  return {
    contentType: mimeTypes.contentType,
    isFresh: fresh,
    parseRange: rangeParser,
  };
}

// deno-lint-ignore no-explicit-any -- They are written in JavaScript.
async function load(name: string): Promise<any> {
  try {
    return (await import(name)).default;
  } catch (error) {
    throw new ConfigError(
      `cannot use web: cannot load ${name}: ${describeError(error)}`,
      undefined,
      { cause: error },
    );
  }
}
