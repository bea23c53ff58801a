/**
 * The target of a request, as engines give it.
 *
 * @module
 */

/**
 * Makes the target of a request a path.
 *
 * @param target A path, or a whole URL (RFC 9112 section 3.2.2).
 * @returns The path, and perhaps a query string, as sent: `new URL` would
 * normalise it.
 */
export function toTarget(target: string): string {
  const match = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/is.exec(target);
  if (match === null) return target;
  return match[1]!.startsWith("/") ? match[1]! : `/${match[1]}`;
}
