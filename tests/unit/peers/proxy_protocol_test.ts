import { assertEquals, assertLessOrEqual } from "@std/assert";
import type { RemoteAddress } from "../../../core/api.ts";
import {
  encodeProxyHeader,
  type ProxiedClient,
} from "../../../core/peers/proxy_protocol.ts";

const permissions = "none";

/** Client, what it connected to, and the header of each version. */
interface Case {
  readonly source: RemoteAddress;
  readonly destination?: RemoteAddress;
  readonly v1: string;
  /** In hexadecimal, behind the signature. */
  readonly v2: string;
}

/** `\r\n\r\n\0\r\nQUIT\n`. */
const signature = "0d0a0d0a000d0a515549540a";

const cases: readonly Case[] = [
  {
    // The examples of section 2.1.
    source: { address: "255.255.255.255", port: 65535 },
    destination: { address: "255.255.255.255", port: 65535 },
    v1: "TCP4 255.255.255.255 255.255.255.255 65535 65535",
    v2: "2111000c ffffffff ffffffff ffff ffff",
  },
  {
    source: { address: "192.168.0.1", port: 56324 },
    destination: { address: "192.168.0.11", port: 443 },
    v1: "TCP4 192.168.0.1 192.168.0.11 56324 443",
    v2: "2111000c c0a80001 c0a8000b dc04 01bb",
  },
  {
    source: { address: "2001:DB8:0::7", port: 1 },
    destination: { address: "::1", port: 8001 },
    v1: "TCP6 2001:db8::7 ::1 1 8001",
    v2:
      "21210024 20010db8000000000000000000000007 00000000000000000000000000000001 0001 1f41",
  },
  {
    source: {
      address: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      port: 65535,
    },
    destination: {
      address: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      port: 65535,
    },
    v1:
      "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
    v2: `21210024 ${"f".repeat(32)} ${"f".repeat(32)} ffff ffff`,
  },
  {
    // Two families: both as IPv6.
    source: { address: "192.0.2.7" },
    destination: { address: "::1", port: 80 },
    v1: "TCP6 ::ffff:c000:207 ::1 0 80",
    v2:
      "21210024 00000000000000000000ffffc0000207 00000000000000000000000000000001 0000 0050",
  },
  {
    source: { address: "2001:db8::7", port: 9 },
    destination: { address: "127.0.0.1", port: 80 },
    v1: "TCP6 2001:db8::7 ::ffff:7f00:1 9 80",
    v2:
      "21210024 20010db8000000000000000000000007 00000000000000000000ffff7f000001 0009 0050",
  },
  {
    // A listener on any address does not say which.
    source: { address: "192.0.2.7", port: 9 },
    destination: { address: "::", port: 80 },
    v1: "TCP4 192.0.2.7 0.0.0.0 9 80",
    v2: "2111000c c0000207 00000000 0009 0050",
  },
  {
    source: { address: "fe80::1%eth0", port: 9 },
    destination: { address: "0.0.0.0", port: 80 },
    v1: "TCP6 fe80::1 :: 9 80",
    v2: `21210024 fe800000000000000000000000000001 ${"0".repeat(32)} 0009 0050`,
  },
  {
    source: { address: "192.0.2.7", port: 9 },
    v1: "TCP4 192.0.2.7 0.0.0.0 9 0",
    v2: "2111000c c0000207 00000000 0009 0000",
  },
  {
    source: { address: "192.0.2.7", port: 9 },
    destination: { address: "/run/websocksy.sock" },
    v1: "TCP4 192.0.2.7 0.0.0.0 9 0",
    v2: "2111000c c0000207 00000000 0009 0000",
  },
  {
    source: { address: "unix" },
    destination: { address: "/run/websocksy.sock" },
    v1: "UNKNOWN",
    v2: "20000000",
  },
];

Deno.test("encodeProxyHeader() encodes version 1", { permissions }, () => {
  for (const { source, destination, v1 } of cases) {
    const header = encodeProxyHeader("v1", { source, destination });
    assertEquals(new TextDecoder().decode(header), `PROXY ${v1}\r\n`);
    // Section 2.1: a receiver has room for 107 bytes.
    assertLessOrEqual(header.length, 107);
  }
});

Deno.test("encodeProxyHeader() encodes version 2", { permissions }, () => {
  for (const { source, destination, v2 } of cases) {
    const header = encodeProxyHeader("v2", { source, destination });
    assertEquals(header.toHex(), signature + v2.replaceAll(" ", ""));
  }
});

Deno.test("encodeProxyHeader() tells more of a client in version 2", {
  permissions: "none",
}, () => {
  const source = { address: "192.0.2.7", port: 9 };
  const addresses = "c0000207 00000000 0009 0000";
  const cases: [ProxiedClient, string][] = [
    [{}, "000c"],
    [{ host: "a.b", id: "1-2" }, "000c | 02 0003 612e62 | 05 0003 312d32"],
    [{ host: "", user: "ß" }, "000c | e0 0002 c39f"],
    [{ tls: {} }, "000c | 20 0005 01 00000001"],
    [{ tls: { name: "ada" } }, "000c | 20 000b 07 00000000 22 0003 616461"],
    [{ user: "x".repeat(1025) }, "000c"],
  ];
  for (const [client, expected] of cases) {
    const destination = undefined;
    const connection = { source, destination, client };
    const [, ...fields] = expected.split("|");
    const more = fields.join("").replaceAll(" ", "");
    const length = (12 + more.length / 2).toString(16).padStart(4, "0");
    assertEquals(
      encodeProxyHeader("v2", connection).toHex(),
      `${signature}2111${length}${addresses.replaceAll(" ", "")}${more}`,
    );
    assertEquals(
      encodeProxyHeader("v1", connection),
      encodeProxyHeader("v1", { source, destination }),
    );
  }
});
