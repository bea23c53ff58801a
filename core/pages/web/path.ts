/**
 * Converts the target of a request to a place below a folder.
 *
 * @module
 */

/** A place below a folder. */
export interface WebPath {
  /** The names on the way, decoded, and safe to join; none: the folder itself. */
  readonly names: readonly string[];
  /** Whether it ends with a slash, and so names a folder. */
  readonly isFolder: boolean;
  /** The last name as sent; empty if there is none. */
  readonly last: string;
  /** The query string, with its `?`, or empty. */
  readonly query: string;
}

/**
 * Parses the target of a request.
 *
 * @param target A path, and perhaps a query string, as sent.
 * @returns The place; `undefined` if it is not valid: a name in it leads
 * elsewhere, is hidden or empty, or is not text.
 */
export function parseWebPath(target: string): WebPath | undefined {
  const [, path, query] = /^([^?]*)(.*)$/s.exec(target)!;
  const [root, ...sent] = path!.split("/");
  if (root !== "" || sent.length === 0) return undefined;
  const isFolder = sent.at(-1) === "";
  if (isFolder) sent.pop();
  const names = sent.map(decode);
  return arePlainNames(names)
    ? { names, isFolder, last: sent.at(-1) ?? "", query: query! }
    : undefined;
}

/**
 * Reports whether what lies below a folder may be served.
 *
 * @param names The names on the way to it.
 */
export function arePlainNames(
  names: readonly (string | undefined)[],
): names is readonly string[] {
  // The only hidden folder that is for visitors (RFC 8615), as of ACME.
  const isWellKnown = names[0] === ".well-known";
  return (isWellKnown ? names.slice(1) : names).every(isPlainName);
}

/**
 * What names a file on Windows in another way than by its name: a colon follows
 * a drive, or precedes an alternate stream; a dot or space at the end is
 * dropped; `SECRET~1` is a short name of another file.
 */
const WINDOWS_NAME = /:|[. ]$|^[^.~]{1,6}~\d+(?:\.|$)/;

/**
 * Reports whether a file or folder of a name may be served: whether it is a
 * single name on every system, and not hidden.
 *
 * @param name The name.
 */
export function isPlainName(name: string | undefined): name is string {
  return name !== undefined && name !== "" && !name.startsWith(".") &&
    !/[/\\\0]/.test(name) &&
    !(Deno.build.os === "windows" && WINDOWS_NAME.test(name));
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Its escapes are not UTF-8.
    return undefined;
  }
}
