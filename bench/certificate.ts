/**
 * Certificates for bridges and peers that speak TLS.
 *
 * @module
 */

import { join } from "node:path";

/** A certificate for 127.0.0.1 that is its own authority. */
export interface Certificate {
  /** File of the certificate, PEM. */
  readonly certificate: string;
  /** File of its private key, PEM. */
  readonly key: string;
  /** File of both. */
  readonly both: string;
}

/**
 * Makes a certificate, with a key on the curve P-256, as most have.
 *
 * @param directory Where its files are to be.
 * @param name The beginning of their names.
 * @throws {Error} If `openssl` cannot be run, or fails.
 */
export async function makeCertificate(
  directory: string,
  name: string,
): Promise<Certificate> {
  const [certificate, key, both] = ["cert", "key", "both"]
    .map((part) => join(directory, `${name}-${part}.pem`)) as [
      string,
      string,
      string,
    ];
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt"],
      ...["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", `/CN=${name}`, "-keyout", key, "-out", certificate],
      ...["-addext", "subjectAltName=IP:127.0.0.1"],
      // Deno does not accept an authority's certificate as that of a server.
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  await Deno.writeTextFile(
    both,
    await Deno.readTextFile(certificate) + await Deno.readTextFile(key),
  );
  return { certificate, key, both };
}
