/**
 * Tells why a server's certificate is not trusted, and what to do about it.
 *
 * @module
 */

import { describeError } from "../errors.ts";

/**
 * Why a certificate is not trusted: it is an authority's own, which has signed
 * itself; the one who has signed it is unknown; it is for another name; it has
 * expired.
 */
export type CertificateFault = "own" | "unknown" | "name" | "expired";

/** Faults, by a part of Deno's message. */
const faults: readonly (readonly [words: string, fault: CertificateFault])[] = [
  ["CaUsedAsEndEntity", "own"],
  ["UnknownIssuer", "unknown"],
  ["not valid for name", "name"],
  ["Expired", "expired"],
];

/**
 * Finds what is wrong with a server's certificate.
 *
 * @param error What the TLS handshake threw.
 * @returns The fault; `undefined` if the error is another one.
 */
export function certificateFault(error: unknown): CertificateFault | undefined {
  if (!(error instanceof Error)) return undefined;
  // `fetch` has it as the cause of its error.
  const message = describeError(error);
  if (!/certificate/i.test(message)) return undefined;
  return faults.find(([words]) => message.includes(words))?.[1];
}

/**
 * Says what to do about the certificate of a server that is asked, as a
 * directory is.
 *
 * @param error What asking threw.
 * @param authorities How a file of authorities is named, such as
 * `directory-ca = FILE`.
 * @returns The error, or one that also says what to do.
 */
export function withCertificateRemedy(
  error: unknown,
  authorities: string,
): unknown {
  const fault = certificateFault(error);
  if (fault === undefined) return error;
  const remedy = {
    own:
      `it is that of an authority: make one with basicConstraints = CA:FALSE, and name it with ${authorities}`,
    unknown: `name the authority that signed it with ${authorities}`,
    name: "ask the server by a name that is in it",
    expired: "renew it",
  }[fault];
  return new Error(`its certificate is not trusted (${remedy})`, {
    cause: error,
  });
}
