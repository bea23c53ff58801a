/**
 * Parses which certificates of a TLS peer are trusted, beside those of the
 * public authorities.
 *
 * @module
 */

import type { PeerInfo } from "../api.ts";

/** A backend's answer about the certificate of a `tls` peer. */
export type TlsTrust = Pick<PeerInfo, "tlsCa" | "tlsFingerprint" | "tlsName">;

const CERTIFICATE =
  /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** SHA-256 in base64, or in hexadecimal as `openssl x509 -fingerprint` prints it. */
const FINGERPRINT =
  /^sha256\/(?:([A-Za-z0-9+/]{43}=?)|([0-9a-f]{2}(?::?[0-9a-f]{2}){31}))$/i;

/** A host name; an IP address is not valid. */
const NAME = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?$/i;

/**
 * Parses certificates.
 *
 * @param text PEM (RFC 7468); text between the certificates is skipped.
 * @returns Their bytes, DER; at least one.
 * @throws {SyntaxError} If there is none, or one is malformed.
 */
export function parseCertificates(text: string): Uint8Array<ArrayBuffer>[] {
  const found = Array.from(
    text.matchAll(CERTIFICATE),
    ([, base64]) => fromBase64(base64!),
  );
  if (found.length > 0) return found;
  throw new SyntaxError(
    'it holds no certificate: none begins with "-----BEGIN CERTIFICATE-----"',
  );
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  let bytes: string;
  try {
    bytes = atob(text);
  } catch (cause) {
    throw new SyntaxError("it holds a certificate that is not base64", {
      cause,
    });
  }
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}

/**
 * Parses fingerprints of certificates.
 *
 * @param text `sha256/` and the SHA-256 of a certificate (DER), in base64 or
 * hexadecimal, with colons or without; several are separated by commas.
 * @returns Each in base64.
 * @throws {SyntaxError} If one is malformed.
 *
 * @example Usage
 * ```ts
 * import { parseFingerprints } from "./tls_trust.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseFingerprints(`sha256/${"00".repeat(32)}`), [
 *   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
 * ]);
 * ```
 */
export function parseFingerprints(text: string): string[] {
  return text.split(",").map((item) => {
    const [match, base64, hex] = FINGERPRINT.exec(item.trim()) ?? [];
    if (match === undefined) {
      throw new SyntaxError(
        `it is sha256/ and 32 bytes in base64 or hexadecimal, not "${item.trim()}"`,
      );
    }
    return base64 === undefined
      ? hexToBase64(hex!)
      : `${base64.replace(/=$/, "")}=`;
  });
}

function hexToBase64(hex: string): string {
  const pairs = hex.replaceAll(":", "").match(/../g)!;
  return btoa(String.fromCharCode(...pairs.map((pair) => parseInt(pair, 16))));
}

/**
 * Checks a backend's answer about the certificate of a peer.
 *
 * @param trust The answer.
 * @throws {SyntaxError | TypeError} If it is not valid; the message follows the
 * name of the property.
 */
export function checkTlsTrust(trust: TlsTrust): void {
  const { tlsCa, tlsFingerprint, tlsName } = trust;
  if (tlsCa !== undefined && tlsFingerprint !== undefined) {
    throw new TypeError(
      "it has an authority (tls-ca) and a fingerprint (tls-fingerprint); a fingerprint stands alone",
    );
  }
  named("tls-ca", () => tlsCa !== undefined && parseCertificates(tlsCa));
  named(
    "tls-fingerprint",
    () => tlsFingerprint !== undefined && parseFingerprints(tlsFingerprint),
  );
  named("tls-name", () => tlsName !== undefined && parseTlsName(tlsName));
}

function named(name: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    const { message, cause } = error as Error;
    throw new SyntaxError(`${name}: ${message}`, { cause });
  }
}

/**
 * Parses the name that a peer's certificate must have.
 *
 * @param text The name.
 * @returns The name.
 * @throws {SyntaxError} If it is not a host name.
 */
export function parseTlsName(text: string): string {
  if (NAME.test(text) && !/^[\d.]+$/.test(text)) return text;
  throw new SyntaxError(`it is the name of a host, not "${text}"`);
}

/**
 * Reports whether a certificate is of version 3 (RFC 5280, section 4.1.2.1).
 *
 * @param der The certificate.
 * @returns Whether it is.
 */
export function isVersion3(der: Uint8Array): boolean {
  // SEQUENCE { SEQUENCE { [0] { INTEGER 2 } … } … }
  const outer = contentOf(der, 0, 0x30);
  const inner = outer === undefined ? undefined : contentOf(der, outer, 0x30);
  if (inner === undefined) return false;
  return [0xa0, 0x03, 0x02, 0x01, 0x02].every((byte, index) =>
    der[inner + index] === byte
  );
}

/** Returns the offset of the content of a DER element. */
function contentOf(
  der: Uint8Array,
  start: number,
  tag: number,
): number | undefined {
  if (der[start] !== tag) return undefined;
  const length = der[start + 1];
  if (length === undefined) return undefined;
  return start + 2 + (length < 0x80 ? 0 : length & 0x7f);
}
