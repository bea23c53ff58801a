/**
 * The names in a certificate. They are read from its bytes: as one text, as
 * libraries give them, a name could look like several.
 *
 * @module
 */

/** What is read of a certificate. */
export interface CertificateNames {
  /** Its version, from 1. */
  readonly version: number;
  /** Its common names (CN), mostly one. */
  readonly common: readonly string[];
  /** Its other names: mail addresses, DNS names, URIs (RFC 5280 section 4.2.1.6). */
  readonly others: readonly string[];
}

/** An element of DER: its tag, and where its content begins and ends. */
interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

const sequence = 0x30;
const set = 0x31;
const objectId = 0x06;
const octets = 0x04;
const boolean = 0x01;
const versionTag = 0xa0;
const extensionsTag = 0xa3;

/** The tags of texts: UTF8String, PrintableString, IA5String. */
const texts: readonly number[] = [0x0c, 0x13, 0x16];

/** The tags of rfc822Name, dNSName and uniformResourceIdentifier. */
const otherNames: readonly number[] = [0x81, 0x82, 0x86];

/** 2.5.4.3 and 2.5.29.17. */
const commonName = "55 4 3";
const alternativeName = "55 1d 11";

/**
 * Reads the names of a certificate.
 *
 * @param der The certificate.
 * @returns Its names; those of kinds that are no text are left out.
 * @throws {SyntaxError} If it is not a certificate.
 */
export function readCertificateNames(der: Uint8Array): CertificateNames {
  const [certificate] = elementsOf(der, { start: 0, end: der.length });
  const [body] = elementsOf(der, expect(certificate, sequence));
  const fields = elementsOf(der, expect(body, sequence));
  const hasVersion = fields[0]?.tag === versionTag;
  const [version] = hasVersion ? elementsOf(der, fields[0]!) : [];
  // Serial number, algorithm, issuer and validity come before the subject.
  const subject = expect(fields[hasVersion ? 5 : 4], sequence);
  const extensions = fields.find(({ tag }) => tag === extensionsTag);
  return {
    version: version === undefined ? 1 : der[version.end - 1]! + 1,
    common: commonNamesOf(der, subject),
    others: extensions === undefined ? [] : otherNamesOf(der, extensions),
  };
}

function commonNamesOf(der: Uint8Array, subject: Element): string[] {
  return elementsOf(der, subject).flatMap((names) =>
    elementsOf(der, expect(names, set)).flatMap((pair) => {
      const [type, value] = elementsOf(der, expect(pair, sequence));
      return idOf(der, type) === commonName &&
          texts.includes(value?.tag ?? 0)
        ? [textOf(der, value!)]
        : [];
    })
  );
}

function otherNamesOf(der: Uint8Array, wrapper: Element): string[] {
  const [list] = elementsOf(der, wrapper);
  return elementsOf(der, expect(list, sequence)).flatMap((extension) => {
    const parts = elementsOf(der, expect(extension, sequence));
    if (idOf(der, parts[0]) !== alternativeName) return [];
    const value = parts[1]?.tag === boolean ? parts[2] : parts[1];
    const [names] = elementsOf(der, expect(value, octets));
    return elementsOf(der, expect(names, sequence))
      .filter(({ tag }) => otherNames.includes(tag))
      .map((name) => textOf(der, name));
  });
}

/** The elements within another one. */
function elementsOf(
  der: Uint8Array,
  { start, end }: Pick<Element, "start" | "end">,
): Element[] {
  const found: Element[] = [];
  for (let at = start; at < end;) {
    const tag = der[at]!;
    let length = der[at + 1] ?? NaN;
    let content = at + 2;
    if (length >= 0x80) {
      const bytes = length & 0x7f;
      length = 0;
      for (let index = 0; index < bytes; index++) {
        length = length * 256 + (der[content + index] ?? NaN);
      }
      content += bytes;
      if (bytes === 0 || bytes > 4) length = NaN;
    }
    if (!(content + length <= end)) throw malformed();
    found.push({ tag, start: content, end: content + length });
    at = content + length;
  }
  return found;
}

function expect(element: Element | undefined, tag: number): Element {
  if (element?.tag === tag) return element;
  throw malformed();
}

function idOf(der: Uint8Array, element: Element | undefined): string {
  const { start, end } = expect(element, objectId);
  return Array.from(der.subarray(start, end), (byte) => byte.toString(16))
    .join(" ");
}

function textOf(der: Uint8Array, { start, end }: Element): string {
  return decoder.decode(der.subarray(start, end));
}

const decoder = new TextDecoder();

function malformed(): SyntaxError {
  return new SyntaxError("it is not a certificate");
}

/**
 * Reports whether a server's certificate is valid for the name of a host, RFC
 * 6125 section 6.4.
 *
 * @param names The names in the certificate.
 * @param host The name.
 */
export function isValidFor(
  { common, others }: Pick<CertificateNames, "common" | "others">,
  host: string,
): boolean {
  const asked = host.toLowerCase().replace(/\.$/, "");
  const parent = asked.slice(asked.indexOf("."));
  // The common name counts only where there is no other.
  return (others.length > 0 ? others : common).some((name) => {
    const lower = name.toLowerCase();
    return lower === asked ||
      lower.startsWith("*.") && lower.slice(1) === parent && parent !== asked;
  });
}
