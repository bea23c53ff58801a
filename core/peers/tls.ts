/**
 * TLS to a peer.
 *
 * @module
 */

import type { TlsTrust } from "../net/tls_trust.ts";
import { parseFingerprints } from "../net/tls_trust.ts";
import {
  type CertificateFault,
  certificateFault,
} from "../net/certificate_fault.ts";
import { startTls } from "../net/start_tls.ts";

/** The members of a connection that a peer needs. */
export type ByteConnection = Pick<
  Deno.Conn,
  "read" | "write" | "closeWrite" | "close"
>;

/** Options for {@linkcode openTls}. */
export interface OpenTlsOptions {
  /** Which certificates are trusted, beside those of the public authorities. */
  readonly trust: TlsTrust;
  /** Aborts the attempt. */
  readonly signal: AbortSignal;
  /** Makes a connection without TLS. */
  readonly connect: () => Promise<Deno.TcpConn>;
}

/**
 * Opens a connection with TLS.
 *
 * @param host Host of the peer.
 * @param options How to connect, and whom to trust.
 * @returns The connection.
 * @throws {Error} If the peer cannot be reached or is not trusted.
 */
export async function openTls(
  host: string,
  options: OpenTlsOptions,
): Promise<ByteConnection> {
  const { trust, signal, connect } = options;
  const { tlsCa, tlsFingerprint, tlsName: name = host } = trust;
  if (tlsFingerprint !== undefined) {
    const fingerprints = parseFingerprints(tlsFingerprint);
    const { startPinnedTls } = await import("./pinned_tls.ts");
    const pin = { fingerprints, name, isChecked: false };
    return await startPinnedTls(await connect(), pin, signal);
  }
  if (tlsCa !== undefined && isOwnCertificate(tlsCa, host)) {
    return await openWithOwn(tlsCa, name, options);
  }
  try {
    const caCerts = tlsCa === undefined ? [] : [tlsCa];
    return await startTls(await connect(), { hostname: name, caCerts }, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (tlsCa === undefined || certificateFault(error) !== "own") {
      throw explain(error, name);
    }
    const connection = await openWithOwn(tlsCa, name, options);
    rememberOwn(tlsCa, host);
    return connection;
  }
}

/** Opens a connection to a peer whose certificate itself is in `tlsCa`. */
async function openWithOwn(
  tlsCa: string,
  name: string,
  { connect, signal }: OpenTlsOptions,
): Promise<ByteConnection> {
  const { fingerprintsOf, startPinnedTls } = await import("./pinned_tls.ts");
  const fingerprints = await fingerprintsOf(tlsCa);
  const pin = { fingerprints, name, isChecked: true };
  return await startPinnedTls(await connect(), pin, signal);
}

/** Most peers that are remembered. */
const mostOwn = 1000;

/**
 * The peers, by how they are trusted, whose certificate turned out to be in
 * `tlsCa` itself.
 */
const own = new Set<string>();

function isOwnCertificate(tlsCa: string, host: string): boolean {
  return own.has(`${host}\n${tlsCa}`);
}

function rememberOwn(tlsCa: string, host: string): void {
  if (own.size >= mostOwn) own.clear();
  own.add(`${host}\n${tlsCa}`);
}

/** Advice for the user. */
const remedies: Readonly<Record<CertificateFault, string>> = {
  own:
    "it has signed itself: trust it with the backend's option tls-ca = FILE, or tls-fingerprint = sha256/…",
  unknown:
    "name the authority that signed it with the backend's option tls-ca = FILE, or itself with tls-fingerprint = sha256/…",
  name: "name what it is for with the backend's option tls-name",
  expired: "renew it, or trust it with tls-fingerprint = sha256/…",
};

function explain(error: unknown, name: string): unknown {
  const fault = certificateFault(error);
  if (fault === undefined) return error;
  return new Error(
    `the peer's certificate is not trusted for "${name}" (${remedies[fault]})`,
    { cause: error },
  );
}
