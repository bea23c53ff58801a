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
}

/** The signature of version 2, section 2.2. */
const signature = "\r\n\r\n\0\r\nQUIT\n";

/** Commands and families of version 2, section 2.2. */
const local = 0x20;
const proxy = 0x21;
const unspecified = 0x00;
const tcp4 = 0x11;
const tcp6 = 0x21;

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
  return version === "v1" ? encodeText(pair) : encodeBinary(pair);
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
function encodeBinary(pair: AddressPair | undefined): Uint8Array<ArrayBuffer> {
  const isKnown = pair !== undefined;
  const size = !isKnown ? 0 : pair.source.family === 4 ? 4 : 16;
  const length = isKnown ? 2 * size + 4 : 0;
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
  return header;
}

/** The bytes of an address, the most significant first. */
function toBytes({ value }: IpAddress, size: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, index) => Number(value >> BigInt(8 * (size - 1 - index)) & 0xffn),
  );
}

const encoder = new TextEncoder();
