/**
 * What goes through a connection as a file that Wireshark opens: pcapng, with
 * the packets that TCP or UDP could have made of it.
 *
 * @module
 */

import { joinBytes } from "../memory/join_bytes.ts";
import { parseIp } from "../net/ip_address.ts";

/** One end of a conversation. */
export interface CaptureEnd {
  /** Its IP address; anything else is shown as 192.0.2.1, which no machine has. */
  readonly address: string;
  /** Its port. */
  readonly port: number;
}

/** Bytes of a TCP segment, at the most. */
const mostSegment = 16 * 1024;

/**
 * Bytes of a datagram that fit an IP packet; one between Unix sockets may have
 * more.
 */
const mostDatagram = 65_507;

/** Raw IP packets, without a link layer. */
const linkType = 101;

const [fin, push, acknowledge] = [0x01, 0x08, 0x10];

/** Makes the packets of one conversation. */
export class Conversation {
  #ends: readonly [client: Uint8Array, peer: Uint8Array];
  #ports: readonly [client: number, peer: number];
  #isDatagram: boolean;
  #sequence: [client: number, peer: number] = [1, 1];

  /**
   * Constructs a new instance.
   *
   * @param client The client.
   * @param peer The peer.
   * @param isDatagram Whether the peer takes datagrams.
   */
  constructor(client: CaptureEnd, peer: CaptureEnd, isDatagram: boolean) {
    this.#ends = toSameFamily(client.address, peer.address);
    this.#ports = [client.port, peer.port];
    this.#isDatagram = isDatagram;
  }

  /**
   * Makes the beginning of the file.
   *
   * @param comment What it is about.
   */
  begin(comment: string): Uint8Array {
    const text = new TextEncoder().encode(comment);
    const section = new Uint8Array(16 + 4 + padded(text.length) + 4);
    const view = new DataView(section.buffer);
    view.setUint32(0, 0x1a2b3c4d);
    view.setUint16(4, 1);
    view.setBigInt64(8, -1n);
    view.setUint16(16, 1);
    view.setUint16(18, text.length);
    section.set(text, 20);
    const link = new Uint8Array(8);
    new DataView(link.buffer).setUint16(0, linkType);
    return joinBytes([block(0x0a0d0d0a, section), block(1, link)]);
  }

  /**
   * Makes the packets of a message, or of bytes of a stream.
   *
   * @param from Who has sent it: 0 the client, 1 the peer.
   * @param data The bytes.
   * @param time Microseconds since 1970.
   */
  send(from: 0 | 1, data: Uint8Array, time: number): Uint8Array {
    if (this.#isDatagram) {
      const part = data.subarray(0, mostDatagram);
      const cut = data.length - part.length;
      return packet(this.#udp(from, part), time, cut);
    }
    const packets: Uint8Array[] = [];
    for (let start = 0; start < data.length; start += mostSegment) {
      const part = data.subarray(start, start + mostSegment);
      const isLast = start + part.length === data.length;
      const flags = acknowledge | (isLast ? push : 0);
      packets.push(packet(this.#tcp(from, part, flags), time));
    }
    return joinBytes(packets);
  }

  /**
   * Makes a block that says that nothing has come: the statistics of an
   * interface, without any.
   *
   * @param time Microseconds since 1970.
   */
  pause(time: number): Uint8Array {
    const body = new Uint8Array(12);
    const view = new DataView(body.buffer);
    setTime(view, 4, time);
    return block(5, body);
  }

  /**
   * Makes the end of the conversation.
   *
   * @param time Microseconds since 1970.
   */
  end(time: number): Uint8Array {
    if (this.#isDatagram) return new Uint8Array();
    return joinBytes(
      ([0, 1] as const).map((from) =>
        packet(this.#tcp(from, new Uint8Array(), fin | acknowledge), time)
      ),
    );
  }

  #tcp(from: 0 | 1, data: Uint8Array, flags: number): Uint8Array {
    const to = from === 0 ? 1 : 0;
    const header = new DataView(new ArrayBuffer(20));
    header.setUint16(0, this.#ports[from]);
    header.setUint16(2, this.#ports[to]);
    header.setUint32(4, this.#sequence[from]);
    header.setUint32(8, this.#sequence[to]);
    header.setUint16(12, 5 << 12 | flags);
    header.setUint16(14, 0xffff);
    const more = data.length + (flags & fin);
    this.#sequence[from] = (this.#sequence[from] + more) >>> 0;
    return this.#ip(from, 6, header, 16, data);
  }

  #udp(from: 0 | 1, data: Uint8Array): Uint8Array {
    const header = new DataView(new ArrayBuffer(8));
    header.setUint16(0, this.#ports[from]);
    header.setUint16(2, this.#ports[from === 0 ? 1 : 0]);
    header.setUint16(4, 8 + data.length);
    return this.#ip(from, 17, header, 6, data);
  }

  #ip(
    from: 0 | 1,
    protocol: number,
    header: DataView<ArrayBuffer>,
    checksumAt: number,
    data: Uint8Array,
  ): Uint8Array {
    const ends = [this.#ends[from], this.#ends[from === 0 ? 1 : 0]] as const;
    const length = header.byteLength + data.length;
    const pseudo = new DataView(new ArrayBuffer(8));
    pseudo.setUint32(0, length);
    pseudo.setUint32(4, protocol);
    header.setUint16(
      checksumAt,
      checksum([...ends, bytesOf(pseudo), bytesOf(header), data]) || 0xffff,
    );
    const isV4 = ends[0].length === 4;
    const ip = new DataView(new ArrayBuffer(isV4 ? 12 : 8));
    if (isV4) {
      ip.setUint16(0, 0x4500);
      ip.setUint16(2, 20 + length);
      ip.setUint16(6, 0x4000);
      ip.setUint8(8, 64);
      ip.setUint8(9, protocol);
      ip.setUint16(10, checksum([bytesOf(ip), ...ends]));
    } else {
      ip.setUint32(0, 0x60000000);
      ip.setUint16(4, length);
      ip.setUint8(6, protocol);
      ip.setUint8(7, 64);
    }
    return joinBytes([bytesOf(ip), ...ends, bytesOf(header), data]);
  }
}

function packet(bytes: Uint8Array, time: number, cut = 0): Uint8Array {
  const body = new Uint8Array(20 + padded(bytes.length));
  const view = new DataView(body.buffer);
  setTime(view, 4, time);
  view.setUint32(12, bytes.length);
  view.setUint32(16, bytes.length + cut);
  body.set(bytes, 20);
  return block(6, body);
}

function setTime(view: DataView, at: number, time: number): void {
  view.setUint32(at, Math.floor(time / 2 ** 32));
  view.setUint32(at + 4, time % 2 ** 32);
}

function block(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type);
  view.setUint32(4, bytes.length);
  bytes.set(body, 8);
  view.setUint32(bytes.length - 4, bytes.length);
  return bytes;
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function bytesOf(view: DataView<ArrayBuffer>): Uint8Array {
  return new Uint8Array(view.buffer);
}

/** The checksum of the Internet, RFC 1071; all parts but the last have an even length. */
function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let index = 0; index < part.length; index += 2) {
      sum += part[index]! << 8 | (part[index + 1] ?? 0);
    }
  }
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + sum % 0x10000;
  return ~sum & 0xffff;
}

/** The bytes of both addresses; those of IPv4 are mapped to IPv6 beside one. */
function toSameFamily(one: string, other: string): [Uint8Array, Uint8Array] {
  const ips = [one, other].map((text) =>
    parseIp(text) ?? parseIp("192.0.2.1")!
  );
  const isV4 = ips.every(({ family }) => family === 4);
  const [first, second] = ips.map(({ family, value }) => {
    const mapped = family === 4 && !isV4 ? value | 0xffffn << 32n : value;
    return Uint8Array.from(
      { length: isV4 ? 4 : 16 },
      (_, index) =>
        Number(mapped >> BigInt(8 * ((isV4 ? 3 : 15) - index)) & 0xffn),
    );
  });
  return [first!, second!];
}
