/**
 * Bearer tokens for tests.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";

/** A shared secret for tokens, as a JWK. */
export const tokenKey: string = JSON.stringify({
  kty: "oct",
  k: "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA",
});

/** What a token of a test claims. */
export interface TestClaims {
  /** Seconds from now; absent: ten minutes. */
  readonly expiresIn?: number | undefined;
  /**
   * The user.
   *
   * @default {"ada"}
   */
  readonly sub?: string;
  /** What else it claims. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Another key than that of {@linkcode tokenKey}, as its bytes. */
  readonly secret?: Uint8Array;
}

/**
 * Makes a token, signed with HS256.
 *
 * @param options What it claims.
 */
export function makeToken(options: TestClaims = {}): string {
  const { expiresIn = 600, sub = "ada", claims } = options;
  const { secret = Buffer.from(JSON.parse(tokenKey).k, "base64url") } = options;
  const exp = Date.now() / 1000 + expiresIn;
  const parts = [{ alg: "HS256", typ: "JWT" }, { sub, exp, ...claims }].map((
    part,
  ) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = createHmac("sha256", secret).update(parts);
  return `${parts}.${signature.digest("base64url")}`;
}

/**
 * Makes an element of the list of subprotocols that carries a token.
 *
 * @param token The token.
 */
export function tokenProtocol(token: string): string {
  const text = Buffer.from(token).toString("base64url");
  return `base64url.bearer.authorization.k8s.io.${text}`;
}

/**
 * Makes the value of `Authorization` for HTTP Basic.
 *
 * @param user The user.
 * @param password The password.
 */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
