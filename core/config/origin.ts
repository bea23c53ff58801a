/**
 * The `origin` option: which sites' pages may open a WebSocket.
 *
 * @module
 */

/**
 * What browsers send for a page with an opaque origin (RFC 6454 section 7.1).
 */
const opaque = "null";

/**
 * An origin whose scheme `URL` does not know, such as that of a browser
 * extension.
 */
const OTHER_SCHEME = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@,*]+$/;

/**
 * Parses allowed origins. Each must be spelled as browsers send it: another
 * spelling would match no request, and nothing would say why.
 *
 * @param value Origins, separated by commas; or `*` for any.
 * @returns The origins.
 * @throws {SyntaxError} If no browser sends one of them; the message contains
 * the right spelling, if there is one.
 *
 * @example Usage
 * ```ts
 * import { parseOrigin } from "./origin.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * assertEquals(parseOrigin("https://a.example, http://localhost:8080"), [
 *   "https://a.example",
 *   "http://localhost:8080",
 * ]);
 * assertThrows(() => parseOrigin("https://a.example/"), SyntaxError);
 * ```
 */
export function parseOrigin(value: string): "*" | readonly string[] {
  const origins = value.split(",").map((origin) => origin.trim())
    .filter((origin) => origin !== "");
  if (origins.length === 0) throw new SyntaxError("it names no origin");
  if (origins.includes("*")) return "*";
  for (const origin of origins) checkOrigin(origin);
  return origins;
}

function checkOrigin(origin: string): void {
  // For pages from files, Android's web views send `file://`, browsers `null`.
  if (origin === opaque || origin === "file://") return;
  if (/\s/.test(origin)) {
    throw notSent(origin, "a comma between two origins");
  }
  if (/^(?:["']?null["']?|file:.*)$/i.test(origin)) {
    throw notSent(origin, opaque);
  }
  if (/^(?:any|all)$/i.test(origin)) throw notSent(origin, "*");
  if (origin.includes("*")) {
    throw notSent(origin, "each host by its name, or only * for any origin");
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(origin)) {
    const rest = origin.replace(/^[a-z]+:(?!\d)\/*|^\/*/i, "");
    const secure = originOf(`https://${rest}`);
    throw notSent(
      origin,
      secure === undefined
        ? "a scheme and a host, such as https://app.example.com"
        : `${secure} or ${originOf(`http://${rest}`)}`,
    );
  }
  const right = originOf(origin);
  if (right === undefined) {
    throw notSent(
      origin,
      "a scheme and a host, such as https://app.example.com",
    );
  }
  if (right !== origin) throw notSent(origin, right);
}

/** An origin as a browser sends it; `undefined` if the text has none. */
function originOf(text: string): string | undefined {
  // The origin of a page, not of the WebSocket that it opens.
  const page = text.replace(/^ws(s?):/i, "http$1:");
  if (!URL.canParse(page)) return undefined;
  const { protocol, origin, host } = new URL(page);
  if (origin !== opaque) return origin;
  const other = `${protocol}//${host}`;
  return OTHER_SCHEME.test(other) ? other : undefined;
}

function notSent(origin: string, right: string): SyntaxError {
  return new SyntaxError(`no browser sends "${origin}": write ${right}`);
}
