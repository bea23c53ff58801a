/**
 * What the log has of what a client has sent: nothing that lets others in.
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
    const text = pair.slice(0, equals);
    const name = /[%+]/.test(text) ? nameOf(text) : text;
    return secrets.has(name.toLowerCase()) || more?.has(name)
      ? `${text}=…`
      : pair;
  });
  return `${target.slice(0, question)}?${pairs.join("&")}`;
}

/**
 * Leaves what lets others in out of the value of a header field.
 *
 * @param name Name of the field, in lower case.
 * @param value The value.
 * @param more As of {@linkcode withoutSecrets}.
 * @returns The value, with `…` in its place.
 */
export function withoutCredentials(
  name: string,
  value: string,
  more?: ReadonlySet<string>,
): string {
  switch (name) {
    case "authorization":
    case "proxy-authorization":
      // The scheme tells how somebody wanted to come in.
      return value.replace(/^(\w+ )?.+$/s, "$1…");
    case "cookie":
      return value.replace(/=[^;]*/g, "=…");
    case "referer":
      // It is the target of another request.
      return withoutSecrets(value, more);
    default:
      return value;
  }
}

/**
 * Three parts in base64url, or five, of which the first one is an object in
 * JSON. It begins only where such characters do, so that each is looked at a few
 * times at the most.
 */
const TOKEN = /(?<![\w-])eyJ[\w-]+\.[\w-]*\.[\w-]*(?:\.[\w-]*\.[\w-]*)?/g;

/** One in a list of subprotocols, in base64url once more, as Kubernetes has it. */
const CARRIED = /(base64url\.bearer\.authorization\.k8s\.io\.)[\w=-]+/gi;

/**
 * Leaves JSON Web Tokens out of a text, wherever a client has put them: in a
 * path, a cookie, a subprotocol.
 *
 * @param text The text.
 * @returns The text, with `…` in their place.
 *
 * @example Usage
 * ```ts
 * import { withoutTokens } from "./target.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(withoutTokens("/vnc/eyJhbGci.eyJzdWIi.c2ln/x"), "/vnc/…/x");
 * ```
 */
export function withoutTokens(text: string): string {
  // It is asked for every line of the log.
  return text.includes("eyJ") || text.includes("base64url.bearer")
    ? text.replace(TOKEN, "…").replace(CARRIED, "$1…")
    : text;
}

/** A parameter's name, as a reader of the query string decodes it. */
function nameOf(text: string): string {
  const [name] = new URLSearchParams(`${text}=`).keys();
  return name ?? "";
}
