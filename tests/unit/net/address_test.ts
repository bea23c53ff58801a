import { assertEquals, assertThrows } from "@std/assert";
import {
  formatAddress,
  formatHost,
  formatRemote,
  fromSystemPath,
  hasScheme,
  isAbstract,
  parseAddress,
  type PeerAddress,
  toInternetRemote,
  toSystemPath,
} from "../../../core/net/address.ts";

const permissions = "none";

const addresses: readonly (readonly [text: string, address: PeerAddress])[] = [
  ["tcp://h", { transport: "tcp", hostname: "h" }],
  ["tcp://h:1", { transport: "tcp", hostname: "h", port: 1 }],
  ["tcp://h:65535", { transport: "tcp", hostname: "h", port: 65535 }],
  ["tcp://a.b-c_d:80", { transport: "tcp", hostname: "a.b-c_d", port: 80 }],
  ["tcp://127.0.0.1:80", {
    transport: "tcp",
    hostname: "127.0.0.1",
    port: 80,
  }],
  ["tcp://[::1]:80", { transport: "tcp", hostname: "::1", port: 80 }],
  ["tcp://[::1]", { transport: "tcp", hostname: "::1" }],
  ["tcp://[::ffff:1.2.3.4]:80", {
    transport: "tcp",
    hostname: "::ffff:1.2.3.4",
    port: 80,
  }],
  ["tcp://[fe80::1%eth0]:80", {
    transport: "tcp",
    hostname: "fe80::1%eth0",
    port: 80,
  }],
  ["tls://h:443", { transport: "tls", hostname: "h", port: 443 }],
  ["udp://h:53", { transport: "udp", hostname: "h", port: 53 }],
  ["udp://[::1]:53", { transport: "udp", hostname: "::1", port: 53 }],
  ["unix:///run/x.sock", { transport: "unix", path: "/run/x.sock" }],
  ["unix://x.sock", { transport: "unix", path: "x.sock" }],
  ["unix:///a b:1?#%20", { transport: "unix", path: "/a b:1?#%20" }],
  ["unix://@name", { transport: "unix", path: "@name" }],
  ["unix-dgram://@a/../b@", { transport: "unix-dgram", path: "@a/../b@" }],
  ["unix-dgram:///run/x", { transport: "unix-dgram", path: "/run/x" }],
];

Deno.test("parseAddress() parses every scheme", { permissions }, () => {
  for (const [text, address] of addresses) {
    assertEquals(parseAddress(text), address, text);
  }
});

Deno.test("formatAddress() gives back what was parsed", { permissions }, () => {
  for (const [text, address] of addresses) {
    assertEquals(formatAddress(address), text);
  }
});

Deno.test("parseAddress() takes other ways to write the same", {
  permissions,
}, () => {
  const cases: [text: string, same: string][] = [
    ["h", "tcp://h"],
    ["h:1", "tcp://h:1"],
    ["127.0.0.1:80", "tcp://127.0.0.1:80"],
    ["[::1]:80", "tcp://[::1]:80"],
    ["TCP://h:1", "tcp://h:1"],
    ["Unix-Dgram:///A", "unix-dgram:///A"],
    ["tcp://h:0080", "tcp://h:80"],
    ["tcp://h:1/", "tcp://h:1"],
    ["udp://h/", "udp://h"],
    ["tcp://::1", "tcp://[::1]"],
    ["::1", "tcp://[::1]"],
    ["udp://::", "udp://[::]"],
    ["tcp://2001:db8::", "tcp://[2001:db8::]"],
    ["tcp://1:2:3:4:5:6:7:8", "tcp://[1:2:3:4:5:6:7:8]"],
    // Where a port would stand there are letters, or more than a port has.
    ["tls://fe80::a:beef", "tls://[fe80::a:beef]"],
    ["tcp://2001:db8::1:0", "tcp://[2001:db8::1:0]"],
    ["tcp://fe80::1%eth0", "tcp://[fe80::1%eth0]"],
    ["tcp://::ffff:1.2.3.4/", "tcp://[::ffff:1.2.3.4]"],
  ];
  for (const [text, same] of cases) {
    assertEquals(formatAddress(parseAddress(text)), same, text);
  }
});

Deno.test(
  "parseAddress() takes every colon for one of IPv6 where the port is apart",
  {
    permissions,
  },
  () => {
    for (const literal of ["::1", "2001:db8::1:5", "::1:6379", "fe80::1%lo"]) {
      assertEquals(parseAddress(`tcp://${literal}`, { hasPort: false }), {
        transport: "tcp",
        hostname: literal,
      });
    }
    // Other addresses may have a port all the same: it does not count.
    assertEquals(parseAddress("tcp://[::1]:1", { hasPort: false }), {
      transport: "tcp",
      hostname: "::1",
      port: 1,
    });
  },
);

Deno.test("parseAddress() says why text is no address", { permissions }, () => {
  const host = (transport: string): string =>
    `it is not ${transport}://HOST[:PORT], with IPv6 literals in brackets`;
  const scheme = "the scheme is none of tcp, tls, udp, unix, unix-dgram";
  const path = "it needs the path of a socket";
  const unclear = (better: string): string =>
    `whether its last number is a port is not clear, write ${better}, or the whole in brackets`;
  const cases: [text: string, why: string][] = [
    ["", host("tcp")],
    ["tcp://", host("tcp")],
    ["tcp://:80", host("tcp")],
    ["tcp://h:", host("tcp")],
    ["tcp://h:x", host("tcp")],
    ["unix:/run/x", "write unix:///run/x"],
    ["unix-dgram:@x", "write unix-dgram://@x"],
    ["tcp://h:-1", host("tcp")],
    ["tcp://h:1:2", host("tcp")],
    ["tcp://h:1/path", host("tcp")],
    ["tcp://h?x", host("tcp")],
    ["tcp://h#x", host("tcp")],
    ["tcp://user@h", host("tcp")],
    ["tcp://a b", host("tcp")],
    ["tcp://h\n", host("tcp")],
    ["tcp:/h:1", "write tcp://h:1"],
    ["tcp:///h", "write tcp://h"],
    ["tcp://::1:6379", unclear("tcp://[::1]:6379")],
    ["tcp://2001:db8::1:5", unclear("tcp://[2001:db8::1]:5")],
    ["::1:6553", unclear("tcp://[::1]:6553")],
    ["::1:65535", host("tcp")],
    ["tcp://1:2:3:4:5:6:7:8:9", host("tcp")],
    ["tcp://::ffff:1.2.3.4:80", host("tcp")],
    ["tcp://fe80::1%eth0:80", host("tcp")],
    ["tcp://[::1", host("tcp")],
    ["tcp://[]:1", host("tcp")],
    ["udp://::1:53", unclear("udp://[::1]:53")],
    ["tls://", host("tls")],
    ["tcp://h:0", "port 0 is not in 1 to 65535"],
    ["tcp://h:65536", "port 65536 is not in 1 to 65535"],
    [
      "h:99999999999999999999",
      "port 99999999999999999999 is not in 1 to 65535",
    ],
    ["http://h", scheme],
    ["unixdgram:///x", scheme],
    ["toString://h", scheme],
    ["unix://", path],
    ["unix-dgram://@", path],
    ["unix-dgram://", path],
    ["unix:///a\0b", path],
  ];
  for (const [text, why] of cases) {
    assertThrows(
      () => parseAddress(text),
      SyntaxError,
      `Cannot parse peer address "${text}": ${why}`,
    );
  }
});

Deno.test("hasScheme() tells whether the transport is named", {
  permissions,
}, () => {
  for (const text of ["tcp://h", "UDP://h", "unix:///x", "http://x"]) {
    assertEquals(hasScheme(text), true, text);
  }
  for (const text of ["", "h", "h:1", "[::1]:1", "tcp:h", "://h", "1a://h"]) {
    assertEquals(hasScheme(text), false, text);
  }
});

Deno.test("formatHost() puts IPv6 literals in brackets", {
  permissions,
}, () => {
  assertEquals(formatHost("h"), "h");
  assertEquals(formatHost("127.0.0.1"), "127.0.0.1");
  assertEquals(formatHost("::1"), "[::1]");
});

Deno.test("formatRemote() formats clients, IPv4 in its own form", {
  permissions,
}, () => {
  const cases: [hostname: string, text: string][] = [
    ["127.0.0.1", "127.0.0.1:9"],
    ["::ffff:127.0.0.1", "127.0.0.1:9"],
    ["::FFFF:10.0.0.1", "10.0.0.1:9"],
    ["::1", "[::1]:9"],
    ["::ffff:1:2", "[::ffff:1:2]:9"],
    ["64:ff9b::1.2.3.4", "[64:ff9b::1.2.3.4]:9"],
  ];
  for (const [hostname, text] of cases) {
    assertEquals(formatRemote(toInternetRemote(hostname, 9)), text);
  }
  assertEquals(formatRemote({ address: "/run/x.sock" }), "/run/x.sock");
});

Deno.test(
  "toSystemPath() gives abstract sockets the name that the system has",
  {
    permissions,
  },
  () => {
    const cases: [path: string, system: string, is: boolean][] = [
      ["@name", "\0name", true],
      ["@a/b", "\0a/b", true],
      ["./@name", "./@name", false],
      ["/run/@x", "/run/@x", false],
    ];
    for (const [path, system, is] of cases) {
      assertEquals([toSystemPath(path), isAbstract(path)], [system, is]);
      assertEquals(fromSystemPath(system), path);
    }
  },
);
