/**
 * The certificate of a client that speaks TLS, and whether an authority vouches
 * for it.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { readCertificateNames } from "../../net/certificate_names.ts";
import { parseCertificates } from "../../net/tls_trust.ts";
import type { ClientCertificate } from "../engine.ts";
import type { TlsCodec } from "./tls_codec.ts";

/** An authority whose certificates clients may show. */
export interface Authority {
  /** Its certificate. */
  readonly certificate: X509Certificate;
  /** That of its certificate. */
  readonly fingerprint: string;
}

/**
 * Reads the certificates of authorities.
 *
 * @param pem Them, one after another.
 * @returns The authorities.
 * @throws {Error} If there is none, or one is malformed.
 */
export function readAuthorities(pem: string): Authority[] {
  return parseCertificates(pem).map((der) => {
    const certificate = new X509Certificate(der);
    return { certificate, fingerprint: certificate.fingerprint256 };
  });
}

/** Who vouches for a certificate. */
type Vouchers = Pick<ClientCertificate, "authorities" | "isCertain">;

/**
 * The certificates that were found to be right in a whole handshake, by their
 * fingerprints. A TLS session that is resumed shows a certificate again without
 * a proof, and without a check: only one that was checked counts then.
 */
const checked = new Map<string, Vouchers>();
const mostChecked = 10_000;

/** The authorities that clients' certificates may be of. */
export class ClientAuthorities {
  #authorities: readonly Authority[];

  /**
   * Constructs a new instance.
   *
   * @param pem Their certificates, one after another.
   * @throws {Error} If one is malformed.
   */
  constructor(pem: string) {
    this.#authorities = readAuthorities(pem);
  }

  /**
   * Reads the certificate of a client.
   *
   * @param codec Its connection's, after the handshake.
   * @returns The certificate; `undefined` if it has shown none.
   */
  read(codec: TlsCodec): ClientCertificate | undefined {
    const raw = codec.getPeerCertificateChain()?.certificates[0];
    if (raw === undefined) return undefined;
    try {
      const certificate = new X509Certificate(raw);
      const { version, common, others } = readCertificateNames(raw);
      const expires = Date.parse(certificate.validTo);
      const fault = version !== 3
        // Deno takes any signature for theirs.
        ? `it is of version ${version}`
        : certificate.ca
        ? "it is that of an authority"
        : !(Date.now() >= Date.parse(certificate.validFrom))
        ? "it is not valid yet"
        : !(Date.now() < expires)
        ? "it has expired"
        : undefined;
      const vouchers = fault === undefined
        ? this.#vouchersOf(certificate, codec)
        : { fault };
      const names = [...common, ...others];
      return "fault" in vouchers
        ? { names, expires, authorities: [], isCertain: true, ...vouchers }
        : { names, expires, ...vouchers };
    } catch {
      const fault = "it is malformed";
      return { names: [], expires: 0, authorities: [], isCertain: true, fault };
    }
  }

  #vouchersOf(
    certificate: X509Certificate,
    codec: TlsCodec,
  ): Vouchers | { readonly fault: string } {
    const { fingerprint256 } = certificate;
    if (codec.isSessionReused()) {
      return checked.get(fingerprint256) ??
        { fault: "its TLS session was resumed, and it was never checked" };
    }
    // What Deno has found wrong in a whole handshake.
    const verdict = codec.verifyError();
    if (verdict !== "") return { fault: verdict };
    const direct = this.#authorities.filter(({ certificate: authority }) =>
      certificate.checkIssued(authority) &&
      certificate.verify(authority.publicKey)
    );
    const isCertain = direct.length > 0;
    const vouchers = {
      // With others between, it is not known which of them it was.
      authorities: (isCertain ? direct : this.#authorities)
        .map(({ fingerprint }) => fingerprint),
      isCertain,
    };
    checked.delete(fingerprint256);
    checked.set(fingerprint256, vouchers);
    if (checked.size > mostChecked) checked.delete([...checked.keys()][0]!);
    return vouchers;
  }
}
