/**
 * Stand-in for `@std/ini/parse`.
 *
 * @module
 */

/** What a value is before a reviver sees it. */
export type IniValue = string | number | boolean | null;

/** Options for {@linkcode parse}. */
export interface ParseOptions {
  /** Called for each pair, in order; what it returns is kept as the value. */
  readonly reviver?: (
    key: string,
    value: IniValue,
    section?: string,
  ) => unknown;
}

/**
 * Parses INI text. Values that look like numbers, booleans or `null` become
 * such; of a repeated key the last value is kept.
 *
 * @param text The text.
 * @param options What to do with each pair.
 * @returns The pairs before the first section, and an object for each section.
 * @throws {SyntaxError} If a line is neither a section, a pair nor a comment.
 */
export function parse<T extends object>(
  text: string,
  options: ParseOptions = {},
): T {
  const root = {};
  let target: object = root;
  let section: string | undefined;
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const line = raw.trim();
    if (line === "" || /^(?:#|;|\/\/)/.test(line)) continue;
    if (line.startsWith("[")) {
      section = parseSection(line, index + 1);
      target = {};
      put(root, section, target);
      continue;
    }
    const [key, written] = parsePair(line, index + 1);
    const value = coerce(written);
    put(
      target,
      key,
      options.reviver ? options.reviver(key, value, section) : value,
    );
  }
  return root as T;
}

function parseSection(line: string, number: number): string {
  if (!line.endsWith("]")) {
    throw new SyntaxError(`Unexpected end of INI section at line ${number}`);
  }
  const name = line.slice(1, -1);
  if (!/^.*\S.*$/.test(name)) {
    throw new SyntaxError(`Unexpected empty section name at line ${number}`);
  }
  return name;
}

// A dot matches no line separator (U+2028, U+2029): neither does @std/ini's.
function parsePair(line: string, number: number): [key: string, value: string] {
  const pair = /^(.*?)\s*=\s*(.*)$/.exec(line);
  if (pair === null) {
    throw new SyntaxError(
      `Unexpected token ${line[0]} in INI at line ${number}`,
    );
  }
  const [, key = "", value = ""] = pair;
  if (key === "") {
    throw new SyntaxError(`Unexpected empty key name at line ${number}`);
  }
  return [key, value];
}

function coerce(written: string): IniValue {
  if (written === "null") return null;
  if (written === "true") return true;
  if (written === "false") return false;
  if (/^".*"$/.test(written)) return written.slice(1, -1);
  const number = Number(written);
  return Number.isNaN(number) ? written : number;
}

// An assignment would take `__proto__` for the prototype.
function put(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
