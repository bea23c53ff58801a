/**
 * The options of backends that say which certificates of `tls` peers are
 * trusted.
 *
 * @module
 */

import { absolutePath } from "../core/absolute_path.ts";
import {
  parseCertificates,
  parseFingerprints,
  parseTlsName,
  type TlsTrust,
} from "../core/net/tls_trust.ts";

/** Their names. */
export const tlsOptions: readonly string[] = [
  "tls-ca",
  "tls-fingerprint",
  "tls-name",
];

/**
 * Applies one of these options. `tls-ca` names a file, which is read at once.
 *
 * @param before The result of the options before it.
 * @param option Name of the option.
 * @param value Its value.
 * @returns The result; an empty value unsets the option.
 * @throws {Error} If the value is not valid, or the file cannot be read.
 */
export async function setTlsOption(
  before: TlsTrust,
  option: string,
  value: string,
): Promise<TlsTrust> {
  const field = option === "tls-ca"
    ? "tlsCa"
    : option === "tls-name"
    ? "tlsName"
    : "tlsFingerprint";
  if (value === "") {
    const { [field]: _, ...others } = before;
    return others;
  }
  try {
    return { ...before, [field]: await parse(option, value) };
  } catch (cause) {
    throw new SyntaxError(`Cannot use ${option} "${value}"`, { cause });
  }
}

/**
 * Reads the certificates of authorities.
 *
 * @param option Name of the option that names the file.
 * @param path The file, PEM.
 * @returns Its text; `undefined` if the path is empty, which unsets the option.
 * @throws {SyntaxError} If it cannot be read, or has none.
 */
export async function readAuthorities(
  option: string,
  path: string,
): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    return await parse("tls-ca", path);
  } catch (cause) {
    throw new SyntaxError(`Cannot use ${option} "${path}"`, { cause });
  }
}

async function parse(option: string, value: string): Promise<string> {
  switch (option) {
    case "tls-ca": {
      const text = await readFile(value);
      parseCertificates(text);
      return text;
    }
    case "tls-name":
      return parseTlsName(value);
    default:
      parseFingerprints(value);
      return value;
  }
}

async function readFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(absolutePath(path));
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotCapable)) throw cause;
    throw new Deno.errors.NotCapable(
      `the program lacks the permission, run it with "--allow-read=${path}"`,
      { cause },
    );
  }
}
