import { assertEquals, assertThrows } from "@std/assert";
import {
  formatIp,
  formatNetwork,
  isInNetwork,
  parseIp,
  parseNetwork,
  parseZonedIp,
  toIpv6,
} from "../../../core/net/ip_address.ts";

const permissions = "none";

Deno.test("parseIp() and formatIp() take an address there and back", {
  permissions,
}, () => {
  const cases: [text: string, formatted: string, family: 4 | 6][] = [
    ["0.0.0.0", "0.0.0.0", 4],
    ["127.0.0.1", "127.0.0.1", 4],
    ["255.255.255.255", "255.255.255.255", 4],
    ["::ffff:10.0.0.1", "10.0.0.1", 4],
    ["::FFFF:a00:1", "10.0.0.1", 4],
    ["0:0:0:0:0:ffff:0a00:0001", "10.0.0.1", 4],
    ["::", "::", 6],
    ["::1", "::1", 6],
    ["1::", "1::", 6],
    ["2001:DB8::0001", "2001:db8::1", 6],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1", 6],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1", 6],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1", 6],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", 6],
    ["10:0:0:10:0:0:10:0", "10::10:0:0:10:0", 6],
    ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::", 6],
    ["0:0:3:4:5:6:7:8", "::3:4:5:6:7:8", 6],
    ["::10.0.0.1", "::a00:1", 6],
    ["64:ff9b::10.0.0.1", "64:ff9b::a00:1", 6],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", 6],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", 6],
  ];
  for (const [text, formatted, family] of cases) {
    const address = parseIp(text);
    assertEquals(address?.family, family, text);
    assertEquals(formatIp(address!), formatted, text);
    assertEquals(parseIp(formatted), address, text);
  }
});

Deno.test("parseIp() takes nothing else", { permissions }, () => {
  const texts = [
    ...["", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "0x7f.0.0.1"],
    ...["1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.", "a.b.c.d", "localhost"],
    ...[":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::g"],
    ...["1:2:3:4:5:6:7::8", "::12345", "[::1]", "fe80::1%eth0", "::1.2.3"],
    ...["1.2.3.4::", "::1.2.3.4:5", "1:", ":1", "::1.2.3.04"],
  ];
  for (const text of texts) assertEquals(parseIp(text), undefined, text);
});

Deno.test("toIpv6() maps IPv4 and leaves IPv6 as it is", {
  permissions,
}, () => {
  assertEquals(
    formatIp(toIpv6(parseIp("192.0.2.7")!)),
    "::ffff:c000:207",
  );
  assertEquals(toIpv6(parseIp("::1")!), parseIp("::1"));
});

Deno.test("isInNetwork() tells what lies in a network", {
  permissions,
}, () => {
  const cases: [network: string, inside: string[], outside: string[]][] = [
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], [
      "9.255.255.255",
      "11.0.0.0",
      "a00::",
      "::10.0.0.1",
    ]],
    ["192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]],
    ["0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "::1"]],
    ["::/0", ["::", "::1", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]],
    ["2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::"]],
    ["[fd00::/9]", ["fd00::1"], ["fd80::"]],
    ["::1", ["::1"], ["::2", "127.0.0.1"]],
    ["::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.0"]],
    ["::ffff:1.2.3.4", ["1.2.3.4"], ["1.2.3.5"]],
    ["192.0.2.0/31", ["192.0.2.0", "192.0.2.1"], ["192.0.2.2"]],
  ];
  for (const [text, inside, outside] of cases) {
    const network = parseNetwork(text);
    for (const address of inside) {
      assertEquals(isInNetwork(network, parseIp(address)!), true, address);
    }
    for (const address of outside) {
      assertEquals(isInNetwork(network, parseIp(address)!), false, address);
    }
  }
});

Deno.test(
  "parseNetwork() refuses what is not a network",
  { permissions },
  () => {
    const malformed = [
      ...["", "x", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/08", "/8"],
      ...["10.0.0.0/8/8", "[::1", "::1]", "10.0.0.0/-1", "localhost/8"],
    ];
    for (const text of malformed) {
      assertThrows(() => parseNetwork(text), SyntaxError, `"${text}"`);
    }
    assertThrows(
      () => parseNetwork("10.0.0.1/8"),
      RangeError,
      '"10.0.0.1/8" is not a network: its first 8 bits are 10.0.0.0/8',
    );
    assertThrows(
      () => parseNetwork("::1/64"),
      RangeError,
      "its first 64 bits are ::/64",
    );
    assertThrows(() => parseNetwork("::ffff:0.0.0.1/90"), RangeError);
  },
);

Deno.test("formatNetwork() is what parseNetwork() takes", {
  permissions,
}, () => {
  for (const text of ["10.0.0.0/8", "::/0", "2001:db8::/32", "::1/128"]) {
    assertEquals(formatNetwork(parseNetwork(text)), text);
  }
});

Deno.test("parseZonedIp() takes a zone with IPv6 only", { permissions }, () => {
  assertEquals(parseZonedIp("fe80::1%eth0"), parseIp("fe80::1"));
  assertEquals(parseZonedIp("10.0.0.1"), parseIp("10.0.0.1"));
  // It is resolved like any name, to whatever address that has.
  for (const name of ["10.0.0.1%eth0", "10.0.0.1%.evil.test", "%", "a%b"]) {
    assertEquals(parseZonedIp(name), undefined, name);
  }
});
