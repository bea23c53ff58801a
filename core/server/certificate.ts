/**
 * Reads and checks the certificates for clients.
 *
 * @module
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { describeError, FileConfigError } from "../errors.ts";
import type { Log } from "../log/log.ts";
import type { CoreConfig } from "../config/options.ts";
import type {
  CertifiedKey,
  EngineServer,
  ServerCertificate,
} from "../websocket/engine.ts";

/**
 * Reads the certificates that `tls-cert` and `tls-key` name.
 *
 * @param core The options.
 * @returns The certificates; `undefined` if the server does not use TLS.
 * @throws {ConfigError} If a file cannot be read, is not what it should be, or
 * a key is not that of its certificate.
 */
export async function readCertificate(
  { tlsCert, tlsKey }: Pick<CoreConfig, "tlsCert" | "tlsKey">,
): Promise<ServerCertificate | undefined> {
  const [first, ...others] = await Promise.all(
    tlsCert.map((file, index) => readCertifiedKey(file, tlsKey[index]!)),
  );
  return first && { ...first, ...others.length > 0 && { others } };
}

/**
 * Finds when certificates expire.
 *
 * @param certificate The certificates.
 * @returns When each of them does, in their order, in milliseconds since 1970.
 */
export function expiriesOf(
  { others = [], ...first }: ServerCertificate,
): number[] {
  return [first, ...others].map(({ cert }) =>
    Date.parse(new X509Certificate(cert).validTo)
  );
}

async function readCertifiedKey(
  tlsCert: string,
  tlsKey: string,
): Promise<CertifiedKey> {
  // One file may contain both, in any order, which not every parser supports.
  const cert = blocksOf(await readPem("tls-cert", tlsCert), /^CERTIFICATE$/)
    .join("");
  const [key = ""] = blocksOf(
    await readPem("tls-key", tlsKey),
    /^(\w+ )?PRIVATE KEY$/,
  );
  const certificate = parse("tls-cert", tlsCert, "certificate", () => {
    if (cert === "") throw new SyntaxError("no such block in it");
    return new X509Certificate(cert);
  });
  const privateKey = parse<KeyObject>(
    "tls-key",
    tlsKey,
    "private key without a passphrase",
    () => createPrivateKey(key),
  );
  // Neither engine would notice before a client connects.
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new FileConfigError(
      `cannot use tls-key: "${tlsKey}" is not the key of the certificate in "${tlsCert}"`,
      { option: "tls-key", file: tlsKey },
    );
  }
  return { cert, key };
}

async function readPem(option: string, file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : describeError(error);
    throw new FileConfigError(
      `cannot use ${option}: cannot read "${file}": ${why}`,
      { cause: error, option, file },
    );
  }
}

/** The blocks of a PEM text whose label matches, each with the end of its line. */
function blocksOf(text: string, label: RegExp): string[] {
  const blocks = text.matchAll(
    /^-----BEGIN ([A-Z0-9 ]+)-----\r?$[^]*?^-----END \1-----$/gm,
  );
  return [...blocks].filter(([, name]) => label.test(name!))
    .map(([block]) => `${block}\n`);
}

function parse<T>(
  option: string,
  file: string,
  what: string,
  parse: () => T,
): T {
  try {
    return parse();
  } catch (error) {
    // The parser's message names a place in its own source, not in the file.
    throw new FileConfigError(
      `cannot use ${option}: "${file}" has no ${what}, in PEM`,
      { cause: error, option, file },
    );
  }
}

/** Options for {@linkcode replaceCertificate}. */
export interface ReplaceCertificateOptions {
  /** The server that shows it. */
  readonly engine: EngineServer;
  /** Logs whether it could be replaced. */
  readonly log: Log;
}

/**
 * Replaces the certificate for new connections, if the engine can.
 *
 * @param old The one that is shown.
 * @param certificate The one that is wanted.
 * @param options Where, and who is told.
 * @returns The one that is shown from now on.
 */
export function replaceCertificate(
  old: ServerCertificate | undefined,
  certificate: ServerCertificate | undefined,
  { engine, log }: ReplaceCertificateOptions,
): ServerCertificate | undefined {
  // They are texts, and lists of texts.
  if (JSON.stringify(old) === JSON.stringify(certificate)) return old;
  if (old === undefined || certificate === undefined) {
    log("warn", "certificate", {
      error: "TLS is switched on or off by a restart",
    });
    return old;
  }
  if (engine.useCertificate(certificate)) {
    log("info", "certificate");
    return certificate;
  }
  log("warn", "certificate", {
    error: "the native engine shows another one after a restart only",
  });
  return old;
}
