/** Captures, block by block and packet by packet. */

import { assertEquals } from "@std/assert";
import { type CaptureEnd, Conversation } from "../../../core/log/pcapng.ts";

const permissions = "none";

/** A block of the file. */
interface Block {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Reads blocks, big-endian as they are written. */
function blocksOf(file: Uint8Array): Block[] {
  const blocks: Block[] = [];
  for (let start = 0; start < file.length;) {
    const view = new DataView(file.buffer, file.byteOffset + start);
    const length = view.getUint32(4);
    assertEquals(length % 4, 0);
    assertEquals(view.getUint32(length - 4), length);
    const body = file.subarray(start + 8, start + length - 4);
    blocks.push({ type: view.getUint32(0), body });
    start += length;
  }
  return blocks;
}

/** A packet, read as RFC 791, 8200, 9293 and 768 have it. */
interface Packet {
  readonly time: number;
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly ports: readonly [number, number];
  readonly sequence?: readonly [number, number];
  readonly flags?: number;
  readonly data: string;
}

function packetOf({ type, body }: Block): Packet {
  assertEquals(type, 6);
  const head = new DataView(body.buffer, body.byteOffset);
  const time = head.getUint32(4) * 2 ** 32 + head.getUint32(8);
  const length = head.getUint32(12);
  assertEquals(head.getUint32(16), length);
  const ip = body.subarray(20, 20 + length);
  const view = new DataView(ip.buffer, ip.byteOffset);
  const isV4 = ip[0]! >> 4 === 4;
  const start = isV4 ? 20 : 40;
  const [from, to] = isV4
    ? [ip.subarray(12, 16), ip.subarray(16, 20)]
    : [ip.subarray(8, 24), ip.subarray(24, 40)];
  if (isV4) {
    assertEquals(view.getUint16(2), length);
    assertEquals(sumOf(ip.subarray(0, 20)), 0xffff);
  } else assertEquals(view.getUint16(4), length - 40);
  const protocol = ip[isV4 ? 9 : 6]!;
  const payload = ip.subarray(start);
  const pseudo = new Uint8Array(from.length * 2 + 8);
  pseudo.set(from);
  pseudo.set(to, from.length);
  const tail = new DataView(pseudo.buffer, from.length * 2);
  tail.setUint32(0, payload.length);
  tail.setUint32(4, protocol);
  assertEquals(sumOf(new Uint8Array([...pseudo, ...payload])), 0xffff);
  const ports = [view.getUint16(start), view.getUint16(start + 2)] as const;
  const isTcp = protocol === 6;
  if (!isTcp) assertEquals(view.getUint16(start + 4), payload.length);
  return {
    time,
    from: from.join("."),
    to: to.join("."),
    protocol,
    ports,
    ...isTcp && {
      sequence: [view.getUint32(start + 4), view.getUint32(start + 8)],
      flags: ip[start + 13]!,
    },
    data: new TextDecoder().decode(payload.subarray(isTcp ? 20 : 8)),
  };
}

/** The sum of RFC 1071; with a right checksum in it, all bits are set. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) {
    sum += bytes[index]! * 256 + (bytes[index + 1] ?? 0);
    sum = sum % 0x10000 + Math.floor(sum / 0x10000);
  }
  return sum;
}

const client: CaptureEnd = { address: "192.0.2.7", port: 4242 };
const peer: CaptureEnd = { address: "198.51.100.1", port: 6379 };
/** More than 32 bits, as the time of today. */
const time = 1_796_000_000_123_456;
const utf8 = new TextEncoder();

Deno.test("Conversation begins a file of raw IP packets", {
  permissions,
}, () => {
  for (const comment of ["", "abc", "abcd", "grüß"]) {
    const [section, link, ...others] = blocksOf(
      new Conversation(client, peer, false).begin(comment),
    );
    assertEquals(others, []);
    assertEquals([section!.type, link!.type], [0x0a0d0d0a, 1]);
    const { body } = section!;
    const view = new DataView(body.buffer, body.byteOffset);
    // The order of bytes, version 1.0, and a length that is not told.
    assertEquals(view.getUint32(0), 0x1a2b3c4d);
    assertEquals([view.getUint16(4), view.getUint16(6)], [1, 0]);
    assertEquals(view.getBigInt64(8), -1n);
    // The option comment, and the end of the options.
    const length = view.getUint16(18);
    assertEquals(view.getUint16(16), 1);
    const text = new TextDecoder().decode(body.subarray(20, 20 + length));
    assertEquals(text, comment);
    assertEquals([...body.subarray(-4)], [0, 0, 0, 0]);
    assertEquals([...link!.body], [0, 101, 0, 0, 0, 0, 0, 0]);
  }
});

Deno.test("Conversation numbers the bytes of both directions", {
  permissions,
}, () => {
  const conversation = new Conversation(client, peer, false);
  const large = "x".repeat(16 * 1024 + 3);
  const packets = [
    conversation.send(0, utf8.encode("odd"), time),
    conversation.send(1, utf8.encode(large), time + 1),
    conversation.send(0, new Uint8Array(), time + 2),
    conversation.send(0, utf8.encode("more"), time + 2),
    conversation.end(time + 3),
  ].flatMap((part) => blocksOf(part).map(packetOf));
  const up = {
    from: "192.0.2.7",
    to: "198.51.100.1",
    protocol: 6,
    ports: [4242, 6379] as const,
  };
  const down = {
    from: up.to,
    to: up.from,
    protocol: 6,
    ports: [6379, 4242] as const,
  };
  const [push, acknowledge, fin] = [0x18, 0x10, 0x11];
  const all = large.length;
  assertEquals(packets, [
    { ...up, time, sequence: [1, 1], flags: push, data: "odd" },
    {
      ...down,
      time: time + 1,
      sequence: [1, 4],
      flags: acknowledge,
      data: large.slice(3),
    },
    {
      ...down,
      time: time + 1,
      sequence: [1 + all - 3, 4],
      flags: push,
      data: "xxx",
    },
    {
      ...up,
      time: time + 2,
      sequence: [4, 1 + all],
      flags: push,
      data: "more",
    },
    { ...up, time: time + 3, sequence: [8, 1 + all], flags: fin, data: "" },
    { ...down, time: time + 3, sequence: [1 + all, 9], flags: fin, data: "" },
  ]);
});

Deno.test("Conversation makes a packet of each datagram, an empty one too", {
  permissions,
}, () => {
  const conversation = new Conversation(client, peer, true);
  for (const data of ["", "odd", "even"]) {
    const [packet, ...others] = blocksOf(
      conversation.send(1, utf8.encode(data), time),
    ).map(packetOf);
    assertEquals(others, []);
    assertEquals(packet, {
      time,
      from: "198.51.100.1",
      to: "192.0.2.7",
      protocol: 17,
      ports: [6379, 4242],
      data,
    });
  }
  assertEquals(conversation.end(time).length, 0);
});

Deno.test("Conversation cuts datagrams that fit no packet", {
  permissions,
}, () => {
  const conversation = new Conversation(client, peer, true);
  const [block] = blocksOf(
    conversation.send(0, new Uint8Array(200_000).fill(120), time),
  );
  const head = new DataView(block!.body.buffer, block!.body.byteOffset);
  assertEquals(head.getUint32(12), 65_535);
  assertEquals(head.getUint32(16), 28 + 200_000);
  // Of the packet, all is there.
  head.setUint32(16, 65_535);
  assertEquals(packetOf(block!).data, "x".repeat(65_507));
});

Deno.test("Conversation has a block for a pause", { permissions }, () => {
  const [{ type, body }, ...others] = blocksOf(
    new Conversation(client, peer, false).pause(time),
  ) as [Block];
  assertEquals([type, others], [5, []]);
  const view = new DataView(body.buffer, body.byteOffset);
  assertEquals(view.getUint32(0), 0);
  assertEquals(view.getUint32(4) * 2 ** 32 + view.getUint32(8), time);
});

Deno.test("Conversation has addresses of one family", { permissions }, () => {
  const v6 = (tail: string): string => `${"0.".repeat(10)}255.255.${tail}`;
  const one = `32.1.13.184.${"0.".repeat(11)}1`;
  const table: [client: string, peer: string, from: string, to: string][] = [
    ["2001:db8::1", "2001:db8::1", one, one],
    ["2001:db8::1", "192.0.2.9", one, v6("192.0.2.9")],
    ["192.0.2.9", "2001:db8::1", v6("192.0.2.9"), one],
    // What is no address is one that nobody has.
    ["unix:", "service.example", "192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "service.example", one, v6("192.0.2.1")],
  ];
  for (const [client, peer, from, to] of table) {
    for (const isDatagram of [false, true]) {
      const conversation = new Conversation(
        { address: client, port: 1 },
        { address: peer, port: 65535 },
        isDatagram,
      );
      const [block] = blocksOf(conversation.send(0, utf8.encode("a"), time));
      const packet = packetOf(block!);
      assertEquals([packet.from, packet.to], [from, to], `${client} ${peer}`);
      assertEquals(packet.ports, [1, 65535]);
    }
  }
});
