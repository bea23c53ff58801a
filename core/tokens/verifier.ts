/**
 * Checks tokens: JSON Web Tokens (RFC 7519), signed or encrypted, with regard to
 * RFC 8725.
 *
 * @module
 */

import { type Jose, loadJose } from "./jose.ts";
import { type TokenKey, toPublic } from "./key_set.ts";
import {
  type KeySource,
  type KeySourceOptions,
  openKeySource,
} from "./key_source.ts";

/** What a token has to say. */
export interface TokenRules {
  /** The issuers that it may have; absent: any. */
  readonly issuers?: readonly string[] | undefined;
  /** The audiences of which it has to have one; absent: any. */
  readonly audiences?: readonly string[] | undefined;
  /**
   * Whether it may be encrypted.
   *
   * @default {false}
   */
  readonly mayBeEncrypted?: boolean;
  /**
   * Whether it may lack `exp`.
   *
   * @default {false}
   */
  readonly mayLackExpiry?: boolean;
}

/** What is wrong with a token. */
export type TokenFault =
  /** It is not a token, or one of a kind that is not accepted. */
  | "malformed"
  /** It has more characters than any token needs. */
  | "too large"
  /** No key of ours fits it, or its signature is not by that key. */
  | "not signed by a key that is trusted"
  /** Its time is over. */
  | "expired"
  /** Its time has not begun. */
  | "not valid yet"
  /** It lacks what it has to say, or says something else: who issued it, for whom. */
  | "not for this service"
  /** There are no keys yet to check it with. */
  | "cannot be checked";

/** A token that is not accepted. Its message tells nothing of what is in it. */
export class TokenError extends Error {
  /** What is wrong. */
  readonly fault: TokenFault;

  /**
   * Constructs a new instance.
   *
   * @param fault What is wrong.
   * @param detail What else may be told, such as the claim that is wrong.
   */
  constructor(fault: TokenFault, detail?: string) {
    super(`token ${fault}${detail === undefined ? "" : `: ${detail}`}`);
    this.name = "TokenError";
    this.fault = fault;
  }
}

/** What a token that was accepted says. */
export interface Token {
  /** What it claims. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Seconds since 1970 at which it expires; absent: never. */
  readonly expires: number | undefined;
  /** The key that vouches for it, by its thumbprint. */
  readonly key: string;
}

/** Characters: the largest token that is looked at. */
const largestToken = 8192;

/** Most keys that one token is tried with: only its `kid` tells which one it is. */
const mostTried = 100;

/** Seconds by which the clock of an issuer may be ahead of ours. */
const leeway = 30;

/** Checks tokens with the keys of a file or a service. */
export class TokenVerifier {
  #source: KeySource;
  #jose: Jose;

  private constructor(source: KeySource, jose: Jose) {
    this.#source = source;
    this.#jose = jose;
  }

  /**
   * Loads keys.
   *
   * @param source Path of a file, or URL, of the keys.
   * @param options Who is told if they cannot be read again.
   * @returns Checks tokens with them.
   * @throws {ConfigError} If the file cannot be used, or the URL is not valid.
   */
  static async load(
    source: string,
    options: KeySourceOptions,
  ): Promise<TokenVerifier> {
    const jose = await loadJose();
    return new TokenVerifier(await openKeySource(source, options), jose);
  }

  /**
   * Checks a token.
   *
   * @param token The token, as it was sent.
   * @param rules What it has to say.
   * @returns What it says.
   * @throws {TokenError} If it is not accepted.
   */
  async verify(token: string, rules: TokenRules = {}): Promise<Token> {
    if (token.length > largestToken) throw new TokenError("too large");
    const isEncrypted = COMPACT.exec(token)?.[1] !== undefined;
    if (
      !COMPACT.test(token) || isEncrypted && rules.mayBeEncrypted !== true
    ) throw new TokenError("malformed");
    try {
      return isEncrypted
        ? await this.#decrypt(token, rules)
        : await this.#verify(token, rules);
    } catch (error) {
      throw this.#toTokenError(error);
    }
  }

  /**
   * Tells whether a key is still among those that are trusted.
   *
   * @param thumbprint The key.
   */
  async trusts(thumbprint: string): Promise<boolean> {
    const keys = await this.#source.current();
    // While there are none, it is not known.
    return keys === undefined ||
      keys.some((key) => key.thumbprint === thumbprint);
  }

  async #verify(token: string, rules: TokenRules): Promise<Token> {
    return await this.#withKeyFor(token, "signatures", async (key) => {
      const { payload } = await this.#jose.jwtVerify(token, toPublic(key.jwk), {
        ...toOptions(rules),
        algorithms: [...key.signatures],
      });
      return toToken(payload, key, rules);
    });
  }

  /**
   * Only the holder of a shared secret can encrypt with it. Anyone can encrypt
   * with a public key: a signed token has to be inside.
   */
  async #decrypt(token: string, rules: TokenRules): Promise<Token> {
    return await this.#withKeyFor(token, "encryptions", async (key) => {
      const { plaintext, protectedHeader } = await this.#jose.compactDecrypt(
        token,
        key.jwk,
        {
          keyManagementAlgorithms: [...key.encryptions],
          // A few characters could become thousands of times as many.
          maxDecompressedLength: 0,
        },
      );
      const inner = new TextDecoder().decode(plaintext);
      const isNested = String(protectedHeader.cty).toUpperCase() === "JWT" ||
        COMPACT.test(inner);
      if (isNested) {
        if (!COMPACT.test(inner)) throw new TokenError("malformed");
        return await this.#verify(inner, rules);
      }
      if (key.jwk.kty !== "oct") {
        throw new TokenError("not signed by a key that is trusted");
      }
      const { payload } = await this.#jose.jwtDecrypt(token, key.jwk, {
        ...toOptions(rules),
        keyManagementAlgorithms: [...key.encryptions],
      });
      return toToken(payload, key, rules);
    });
  }

  /** Tries the keys that a token may be for, and looks for new ones if it names one that is unknown. */
  async #withKeyFor(
    token: string,
    purpose: "signatures" | "encryptions",
    attempt: (key: TokenKey) => Promise<Token>,
  ): Promise<Token> {
    const { alg, kid } = this.#jose.decodeProtectedHeader(token);
    const fits = (key: TokenKey): boolean =>
      key[purpose].includes(String(alg)) &&
      (kid === undefined || key.kid === undefined || key.kid === kid);
    let keys = await this.#source.current();
    let found = keys?.filter(fits).slice(0, mostTried) ?? [];
    if (found.length === 0 && typeof kid === "string") {
      keys = await this.#source.renew();
      found = keys?.filter(fits).slice(0, mostTried) ?? [];
    }
    if (keys === undefined) throw new TokenError("cannot be checked");
    for (const key of found) {
      try {
        return await attempt(key);
      } catch (error) {
        const isOtherKey =
          error instanceof this.#jose.errors.JWSSignatureVerificationFailed ||
          error instanceof this.#jose.errors.JWEDecryptionFailed;
        if (!isOtherKey) throw error;
      }
    }
    throw new TokenError("not signed by a key that is trusted");
  }

  #toTokenError(error: unknown): TokenError {
    if (error instanceof TokenError) return error;
    const { errors } = this.#jose;
    if (error instanceof errors.JWTExpired) return new TokenError("expired");
    if (error instanceof errors.JWTClaimValidationFailed) {
      return error.claim === "nbf" && error.reason === "check_failed"
        ? new TokenError("not valid yet")
        : new TokenError("not for this service", `claim ${error.claim}`);
    }
    return new TokenError("malformed");
  }
}

/** Three parts in base64url: signed; five: encrypted. */
const COMPACT = /^[\w-]+\.[\w-]*\.[\w-]+(\.[\w-]+\.[\w-]+)?$/;

function toOptions({ issuers, audiences, mayLackExpiry }: TokenRules): {
  clockTolerance: number;
  issuer?: string[];
  audience?: string[];
  requiredClaims: string[];
} {
  return {
    clockTolerance: leeway,
    requiredClaims: mayLackExpiry ? [] : ["exp"],
    ...issuers && { issuer: [...issuers] },
    ...audiences && { audience: [...audiences] },
  };
}

function toToken(
  claims: Readonly<Record<string, unknown>>,
  key: TokenKey,
  { mayLackExpiry }: TokenRules,
): Token {
  const expires = claims.exp as number | undefined;
  // JSON has numbers that are too large to be one here.
  if (expires === Infinity) {
    throw new TokenError("not for this service", "claim exp");
  }
  // Only the begin has a leeway: after `exp`, a WebSocket would end at once.
  if (expires !== undefined && !(expires > Date.now() / 1000)) {
    throw new TokenError("expired");
  }
  if (expires === undefined && !mayLackExpiry) {
    throw new TokenError("not for this service", "claim exp");
  }
  return { claims, expires, key: key.thumbprint };
}
