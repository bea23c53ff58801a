/**
 * The target of a request, as the log has it.
 *
 * @module
 */

/** Parameters that name a secret, whatever the configuration says. */
const secrets: ReadonlySet<string> = new Set([
  "access_token",
  "api_key",
  "apikey",
  "auth",
  "authorization",
  "id_token",
  "jwt",
  "key",
  "pass",
  "passwd",
  "password",
  "secret",
  "token",
]);

/**
 * Leaves the values of secrets out of a request's target.
 *
 * @param target A path, and perhaps a query string.
 * @param more Further parameters whose values are secrets.
 * @returns The target, with `…` in their place.
 *
 * @example Usage
 * ```ts
 * import { withoutSecrets } from "./target.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(withoutSecrets("/vnc?token=abc&room=7"), "/vnc?token=…&room=7");
 * ```
 */
export function withoutSecrets(
  target: string,
  more?: ReadonlySet<string>,
): string {
  const question = target.indexOf("?");
  if (question < 0) return target;
  const pairs = target.slice(question + 1).split("&").map((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 0) return pair;
    const name = nameOf(pair.slice(0, equals));
    return secrets.has(name.toLowerCase()) || more?.has(name)
      ? `${pair.slice(0, equals)}=…`
      : pair;
  });
  return `${target.slice(0, question)}?${pairs.join("&")}`;
}

/** A parameter's name, as one who reads the query string takes it. */
function nameOf(text: string): string {
  const [name] = new URLSearchParams(`${text}=`).keys();
  return name ?? "";
}
