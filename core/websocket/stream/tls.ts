/**
 * What a server shows to clients that use TLS.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import {
  isValidFor,
  readCertificateNames,
} from "../../net/certificate_names.ts";
import type { CertifiedKey, ServerCertificate } from "../engine.ts";
import { ClientAuthorities } from "./client_certificate.ts";
import { type CodecContext, hasCodecs, toCodecContext } from "./tls_codec.ts";
import { TlsConnection, type TlsSettings } from "./tls_connection.ts";

export { TlsConnection };

/**
 * Reads certificates and keys.
 *
 * @param certificate The certificates and keys.
 * @returns What connections need.
 * @throws {Error} If one is malformed, or this version of Deno cannot use it.
 */
export function toTlsSettings(
  { cert, key, others = [], clientAuthorities: ca }: ServerCertificate,
): TlsSettings {
  if (!hasCodecs()) {
    throw new Error(
      `Cannot use TLS: Deno ${Deno.version.deno} differs from 2.9 in what the engine "stream" needs for it; the engine "native" does not`,
    );
  }
  function toContext({ cert, key }: CertifiedKey): CodecContext {
    const context = createSecureContext({
      cert,
      key,
      ...ca !== undefined && { ca },
    });
    return toCodecContext(context, ca !== undefined);
  }
  const first = toContext({ cert, key });
  const authorities = ca === undefined ? undefined : new ClientAuthorities(ca);
  if (others.length === 0) return { contextFor: () => first, authorities };
  const find = finderOf([
    [cert, first],
    ...others.map((one) => [one.cert, toContext(one)] as const),
  ]);
  return { contextFor: (name) => find(name) ?? first, authorities };
}

/** Makes a function that finds the first context whose certificate is valid for a name. */
function finderOf(
  contexts: readonly (readonly [cert: string, context: CodecContext])[],
): (name: string) => CodecContext | undefined {
  const named = contexts.map(([cert, context]) => ({
    names: readCertificateNames(new X509Certificate(cert).raw),
    context,
  }));
  return (name) => named.find(({ names }) => isValidFor(names, name))?.context;
}
