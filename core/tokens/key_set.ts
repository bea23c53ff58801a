/**
 * The keys that check tokens: read from PEM, a JWK or a JWKS, and each good for
 * only the algorithms of its kind. What a token says of itself never widens
 * that: a public key is never taken for a shared secret.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";

/** A key, as JSON (RFC 7517). */
export type Jwk = Readonly<Record<string, unknown>> & { readonly kty: string };

/** A key that checks signatures, or decrypts. */
export interface TokenKey {
  /** The key. */
  readonly jwk: Jwk;
  /** Its name in the headers of tokens. */
  readonly kid: string | undefined;
  /** Names it without telling it: SHA-256 of only the key (RFC 7638). */
  readonly thumbprint: string;
  /** The signatures that it checks (RFC 7518 section 3.1). */
  readonly signatures: readonly string[];
  /** The ways in which it opens what was encrypted (RFC 7518 section 4.1). */
  readonly encryptions: readonly string[];
}

/** Most keys in a set; a larger one is refused. */
const mostKeys = 1000;

/** A shared secret has at least so many bytes, as its signatures have. */
const leastSecret = 32;

const leastModulus = 2048;

const rsaSignatures = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const rsaEncryptions = ["RSA-OAEP", "RSA-OAEP-256"];
const curveEncryptions = [
  "ECDH-ES",
  "ECDH-ES+A128KW",
  "ECDH-ES+A192KW",
  "ECDH-ES+A256KW",
];

/** The signature of each curve of `EC`, and those of `OKP`. */
const curveSignatures: Readonly<Record<string, readonly string[]>> = {
  "P-256": ["ES256"],
  "P-384": ["ES384"],
  "P-521": ["ES512"],
  Ed25519: ["EdDSA", "Ed25519"],
};

/** The members of a key that make it what it is (RFC 7638), public ones. */
const essential: Readonly<Record<string, readonly string[]>> = {
  oct: ["k", "kty"],
  RSA: ["e", "kty", "n"],
  EC: ["crv", "kty", "x", "y"],
  OKP: ["crv", "kty", "x"],
};

/**
 * Reads keys.
 *
 * @param text PEM with a public key, a private key or a certificate; a JWK; a
 * JWKS, of which keys of unknown kinds are left out; or a shared secret in
 * base64url.
 * @returns The keys, at least one.
 * @throws {SyntaxError} If there is none, or one is malformed; the message
 * quotes nothing of them.
 */
export function parseKeys(text: string): TokenKey[] {
  const keys = text.includes("-----BEGIN ") ? parsePem(text) : parseJson(text);
  if (keys.length > 0) return keys;
  throw new SyntaxError("it holds no key that checks or decrypts tokens");
}

function parsePem(text: string): TokenKey[] {
  const blocks = text.match(
    /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g,
  ) ?? [];
  checkNumber(blocks.length);
  return blocks.flatMap((pem) => {
    if (/^-----BEGIN (?:EC|DH|DSA) PARAMETERS/.test(pem)) return [];
    let jwk: unknown;
    try {
      jwk = (/^-----BEGIN [A-Z ]*PRIVATE KEY/.test(pem)
        ? createPrivateKey(pem)
        : createPublicKey(pem)).export({ format: "jwk" });
    } catch {
      // What the system says of it may quote the key.
      throw new SyntaxError("it holds a PEM block that is not a key");
    }
    return [toKey(jwk)];
  });
}

function parseJson(text: string): TokenKey[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [toKey({ kty: "oct", k: parseSecret(text) })];
  }
  const { keys } = Object(value) as { readonly keys?: unknown };
  if (keys === undefined) return [toKey(value)];
  if (!Array.isArray(keys)) throw new SyntaxError("its keys are not a list");
  checkNumber(keys.length);
  return keys.flatMap((key) => {
    // RFC 7517 section 5: what is not understood is to be ignored.
    try {
      return [toKey(key)];
    } catch {
      return [];
    }
  });
}

function checkNumber(keys: number): void {
  if (keys <= mostKeys) return;
  throw new SyntaxError(`it holds ${keys} keys, more than ${mostKeys}`);
}

/**
 * Reads a shared secret in base64url, as websockify does. A public key without
 * its PEM lines is not one: everyone could sign with it.
 */
function parseSecret(text: string): string {
  const secret = text.trim();
  if (/^[\w-]+$/.test(secret) && !isPublicKey(secret)) return secret;
  throw new SyntaxError("it is neither PEM nor JSON nor base64url");
}

function isPublicKey(base64url: string): boolean {
  try {
    const key = Buffer.from(base64url, "base64url");
    createPublicKey({ key, format: "der", type: "spki" });
    return true;
  } catch {
    return false;
  }
}

function toKey(value: unknown): TokenKey {
  const jwk = Object(value) as Jwk;
  const members = Object.hasOwn(essential, String(jwk.kty))
    ? essential[jwk.kty]
    : undefined;
  if (members?.every((name) => typeof jwk[name] === "string") !== true) {
    throw new SyntaxError("it holds a key of no kind that is known");
  }
  const { alg, use, kid, key_ops: operations } = jwk;
  const named = (each: string): boolean => alg === undefined || alg === each;
  const mayDo = (...names: readonly string[]): boolean =>
    !Array.isArray(operations) ||
    names.some((name) => operations.includes(name));
  const signatures = use === "enc" || !mayDo("verify", "sign")
    ? []
    : signaturesOf(jwk).filter(named);
  const encryptions =
    use === "sig" || !mayDo("decrypt", "unwrapKey", "deriveKey", "deriveBits")
      ? []
      : encryptionsOf(jwk).filter(named);
  if (signatures.length + encryptions.length === 0) {
    throw new SyntaxError(
      "it holds a key that is for neither signatures nor encryption",
    );
  }
  const canonical = JSON.stringify(jwk, [...members]);
  return {
    jwk: withoutPurpose(jwk),
    kid: typeof kid === "string" ? kid : undefined,
    thumbprint: createHash("sha256").update(canonical).digest("base64url"),
    signatures,
    encryptions,
  };
}

/** A key as such: what it is for was looked at. */
function withoutPurpose(jwk: Jwk): Jwk {
  const { alg: _alg, use: _use, key_ops: _operations, kid: _kid, ...key } = jwk;
  return { ...key, kty: jwk.kty };
}

/**
 * Takes what signs out of a key: what is left checks.
 *
 * @param jwk The key.
 * @returns The public key; a shared secret as it is.
 */
export function toPublic(jwk: Jwk): Jwk {
  if (jwk.kty === "oct" || jwk.d === undefined) return jwk;
  const members = essential[jwk.kty]!.map((name) => [name, jwk[name]]);
  return Object.fromEntries(members) as Jwk;
}

function signaturesOf(jwk: Jwk): readonly string[] {
  switch (jwk.kty) {
    case "oct":
      return lengthOf(jwk.k) < leastSecret
        ? weak("a shared secret of less than 32 bytes")
        : ["HS256", "HS384", "HS512"];
    case "RSA":
      return lengthOf(jwk.n) * 8 < leastModulus
        ? weak("an RSA key of less than 2048 bits")
        : rsaSignatures;
    default:
      return curveSignatures[String(jwk.crv)] ?? [];
  }
}

function encryptionsOf(jwk: Jwk): readonly string[] {
  switch (jwk.kty) {
    case "oct": {
      const bits = lengthOf(jwk.k) * 8;
      return ["dir", `A${bits}KW`, `A${bits}GCMKW`];
    }
    case "RSA":
      return jwk.d === undefined ? [] : rsaEncryptions;
    default:
      return jwk.d === undefined || jwk.crv === "Ed25519"
        ? []
        : curveEncryptions;
  }
}

/** The bytes of a member in base64url. */
function lengthOf(member: unknown): number {
  return Math.floor(String(member).replace(/=+$/, "").length * 3 / 4);
}

function weak(what: string): never {
  throw new SyntaxError(`it holds ${what}`);
}
