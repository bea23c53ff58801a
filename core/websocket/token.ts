/**
 * The token of HTTP, of which methods, subprotocols and parameters are made, and
 * the white space that may be around it.
 *
 * @module
 */

/** The source of a regular expression for a token, RFC 9110 section 5.6.2. */
export const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";

const WHOLE = new RegExp(`^${TOKEN}$`);

/**
 * Reports whether a text is a token.
 *
 * @param text The text.
 */
export function isToken(text: string): boolean {
  return WHOLE.test(text);
}

/**
 * Cuts a part out of a text, without optional white space around it, RFC 9110
 * section 5.6.3. `trim` would cut off more.
 *
 * @param text The text.
 * @param start Offset of the part.
 * @param end Offset of its end.
 * @returns The part.
 */
export function sliceTrimmed(
  text: string,
  start: number,
  end: number,
): string {
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(character: number): boolean {
  return character === 0x20 || character === 0x09;
}

/**
 * How an element of the list of subprotocols begins that carries a token.
 * Kubernetes has chosen it, as there is no standard.
 */
export const tokenProtocol = "base64url.bearer.authorization.k8s.io.";

/**
 * Tells whether an element of the list of subprotocols carries a token: it is
 * none to talk in, and is never sent back.
 *
 * @param protocol The element.
 */
export function isTokenProtocol(protocol: string): boolean {
  return protocol.startsWith(tokenProtocol);
}
