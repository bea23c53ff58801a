/**
 * The header of the PROXY protocol, which sends the client's address to a peer:
 * https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
 *
 * @module
 */

import type { RemoteAddress } from "../api.ts";
import {
  formatIp,
  type IpAddress,
  parseZonedIp,
  toIpv6,
} from "../net/ip_address.ts";

/** The two ends of a connection. */
export interface ProxiedConnection {
  /** The client. */
  readonly source: RemoteAddress;
  /**
   * The address that the client has connected to; absent if it is not known.
   */
  readonly destination: RemoteAddress | undefined;
  /** What else version 2 tells of the client; absent: nothing. */
  readonly client?: ProxiedClient | undefined;
}

/** What version 2 tells of a client, each as a TLV (section 2.2). */
export interface ProxiedClient {
  /** The host that it has asked for: `PP2_TYPE_AUTHORITY`. */
  readonly host?: string | undefined;
  /** Names the connection: `PP2_TYPE_UNIQUE_ID`. */
  readonly id?: string | undefined;
  /** That it speaks TLS: `PP2_TYPE_SSL`; absent: it does not, or it is not known. */
  readonly tls?: {
    /** The common name of its certificate, which is right: `PP2_SUBTYPE_SSL_CN`; absent: it has none. */
    readonly name?: string | undefined;
  } | undefined;
  /** Who it is: 0xE0, of the types that are free for all. */
  readonly user?: string | undefined;
}

/** The signature of version 2, section 2.2. */
const signature = "\r\n\r\n\0\r\nQUIT\n";

/** Commands and families of version 2, section 2.2. */
const local = 0x20;
const proxy = 0x21;
const unspecified = 0x00;
const tcp4 = 0x11;
const tcp6 = 0x21;

/** Types of what follows the addresses, section 2.2. */
const authorityType = 0x02;
const uniqueIdType = 0x05;
const sslType = 0x20;
const sslNameType = 0x22;
const userType = 0xe0;

/** That a client speaks TLS, and that it has shown a certificate, section 2.2.6. */
const hasTls = 0x01;
const hasCertificate = 0x02 | 0x04;

/** Bytes: the longest text that is told of a client. */
const longestText = 1024;

/**
 * Encodes the header that is sent before everything else.
 *
 * A client on a Unix socket has no address: the header is then `UNKNOWN`, or
 * `LOCAL` without addresses. A port that is not known is 0, a destination that
 * is not known the address `0.0.0.0` or `::`. Where one of the two addresses is
 * IPv4 and the other IPv6, both are sent as IPv6.
 *
 * @param version Version of the protocol: as text, or as bytes.
 * @param connection The two ends of the connection.
 * @returns The header.
 *
 * @example Usage
 * ```ts
 * import { encodeProxyHeader } from "./proxy_protocol.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const header = encodeProxyHeader("v1", {
 *   source: { address: "192.0.2.7", port: 56324 },
 *   destination: { address: "192.0.2.1", port: 443 },
 * });
 *
 * assertEquals(
 *   new TextDecoder().decode(header),
 *   "PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n",
 * );
 * ```
 */
export function encodeProxyHeader(
  version: "v1" | "v2",
  connection: ProxiedConnection,
): Uint8Array<ArrayBuffer> {
  const pair = pairOf(connection);
  return version === "v1"
    ? encodeText(pair)
    : encodeBinary(pair, connection.client);
}

/** The addresses, both of one family, and their ports. */
interface AddressPair {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly ports: readonly [source: number, destination: number];
}

function pairOf(connection: ProxiedConnection): AddressPair | undefined {
  const { source: client, destination: server } = connection;
  const source = parseZonedIp(client.address);
  if (source === undefined) return undefined;
  const known = parseZonedIp(server?.address ?? "");
  // The wildcard address of a listener means that it is not known.
  const destination = known === undefined || known.value === 0n
    ? { family: source.family, value: 0n }
    : known;
  const ports = [client.port ?? 0, server?.port ?? 0] as const;
  return source.family === destination.family
    ? { source, destination, ports }
    : { source: toIpv6(source), destination: toIpv6(destination), ports };
}

/** Version 1, section 2.1. */
function encodeText(pair: AddressPair | undefined): Uint8Array<ArrayBuffer> {
  if (pair === undefined) return encoder.encode("PROXY UNKNOWN\r\n");
  const { source, destination, ports } = pair;
  const addresses = `${formatIp(source)} ${formatIp(destination)}`;
  return encoder.encode(
    `PROXY TCP${source.family} ${addresses} ${ports.join(" ")}\r\n`,
  );
}

/** Version 2, section 2.2. */
function encodeBinary(
  pair: AddressPair | undefined,
  client: ProxiedClient = {},
): Uint8Array<ArrayBuffer> {
  const isKnown = pair !== undefined;
  const size = !isKnown ? 0 : pair.source.family === 4 ? 4 : 16;
  // What follows LOCAL is dropped by who reads it.
  const more = isKnown ? encodeClient(client) : [];
  const addresses = isKnown ? 2 * size + 4 : 0;
  const length = addresses + more.length;
  const header = new Uint8Array(16 + length);
  encoder.encodeInto(signature, header);
  header[12] = isKnown ? proxy : local;
  header[13] = !isKnown ? unspecified : size === 4 ? tcp4 : tcp6;
  const view = new DataView(header.buffer);
  view.setUint16(14, length);
  if (isKnown) {
    header.set(toBytes(pair.source, size), 16);
    header.set(toBytes(pair.destination, size), 16 + size);
    view.setUint16(16 + 2 * size, pair.ports[0]);
    view.setUint16(18 + 2 * size, pair.ports[1]);
  }
  header.set(more, 16 + addresses);
  return header;
}

function encodeClient({ host, id, tls, user }: ProxiedClient): number[] {
  return [
    ...encodeField(authorityType, host),
    ...encodeField(uniqueIdType, id),
    ...tls === undefined ? [] : encodeValue(sslType, [
      tls.name === undefined ? hasTls : hasTls | hasCertificate,
      // Not 0: no certificate was shown that is right.
      ...[0, 0, 0, tls.name === undefined ? 1 : 0],
      ...encodeField(sslNameType, tls.name),
    ]),
    ...encodeField(userType, user),
  ];
}

/** A text as a TLV; one that is too long, or empty, is left out. */
function encodeField(type: number, text = ""): number[] {
  const bytes = encoder.encode(text);
  const isLeftOut = bytes.length === 0 || bytes.length > longestText;
  return isLeftOut ? [] : encodeValue(type, [...bytes]);
}

function encodeValue(type: number, bytes: readonly number[]): number[] {
  return [type, bytes.length >> 8, bytes.length & 0xff, ...bytes];
}

/** The bytes of an address, the most significant first. */
function toBytes({ value }: IpAddress, size: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, index) => Number(value >> BigInt(8 * (size - 1 - index)) & 0xffn),
  );
}

const encoder = new TextEncoder();
