/**
 * The token of HTTP, of which methods, subprotocols and parameters are made.
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
