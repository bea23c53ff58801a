import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { parseAddress } from "../../../core/net/address.ts";
import {
  isAllowedHost,
  isAllowedPath,
  joinAllowedPeers,
  parseAllowedPeers,
} from "../../../core/net/allowed_peers.ts";
import { parseIp, parseZonedIp } from "../../../core/net/ip_address.ts";

const permissions = "none";

/** Whether a pattern allows a peer, at this IP address if it has a name. */
function allows(pattern: string, peer: string, ip?: string): boolean {
  const allowed = parseAllowedPeers(pattern);
  const address = parseAddress(peer);
  return "path" in address
    ? isAllowedPath(allowed, address)
    : isAllowedHost(allowed, address, parseZonedIp(ip ?? address.hostname));
}

Deno.test("isAllowedHost() matches scheme, host and port", {
  permissions,
}, () => {
  const cases: [pattern: string, yes: string[], no: string[]][] = [
    ["*", ["tcp://1.2.3.4:1", "udp://[::1]:9", "unix:///x"], []],
    ["tcp://10.0.0.0/8:5900-5999", [
      "tcp://10.0.0.1:5900",
      "tcp://10.255.0.1:5999",
      "tcp://[::ffff:10.0.0.1]:5950",
    ], [
      "tcp://10.0.0.1:5899",
      "tcp://10.0.0.1:6000",
      "tcp://11.0.0.1:5900",
      "tls://10.0.0.1:5900",
      "udp://10.0.0.1:5900",
      "unix:///10.0.0.1:5900",
    ]],
    ["*://127.0.0.1:*", [
      "tcp://127.0.0.1:1",
      "udp://127.0.0.1:65535",
      "tls://127.0.0.1:443",
    ], ["tcp://127.0.0.2:1", "tcp://[::1]:1", "unix:///127.0.0.1"]],
    ["TLS://127.0.0.1", ["tls://127.0.0.1:7"], ["tcp://127.0.0.1:7"]],
    ["tcp://[2001:db8::/32]:80", ["tcp://[2001:db8:1::]:80"], [
      "tcp://[2001:db9::]:80",
      "tcp://[2001:db8::]:81",
    ]],
    ["tcp://[fe80::1]", ["tcp://[fe80::1%eth0]:80"], ["tcp://[fe80::2]:80"]],
    ["udp://*:53", ["udp://1.2.3.4:53", "udp://[::1]:53"], [
      "udp://1.2.3.4:54",
      "tcp://1.2.3.4:53",
    ]],
    // Another way to write an address has to be resolved, as a name is.
    ["tcp://127.0.0.1:*", [], ["tcp://127.1:80", "tcp://2130706433:80"]],
  ];
  for (const [pattern, yes, no] of cases) {
    for (const peer of yes) {
      assertEquals(allows(pattern, peer), true, `${pattern} allows ${peer}`);
    }
    for (const peer of no) {
      assertEquals(allows(pattern, peer), false, `${pattern} allows ${peer}`);
    }
  }
});

Deno.test("isAllowedHost() matches names, or what they are resolved to", {
  permissions,
}, () => {
  const cases: [pattern: string, peer: string, ip: string, is: boolean][] = [
    ["tcp://redis.internal:6379", "tcp://redis.internal:6379", "8.8.8.8", true],
    ["tcp://redis.internal:6379", "tcp://REDIS.Internal.:6379", "::1", true],
    ["tcp://Redis.Internal.:6379", "tcp://redis.internal:6379", "::1", true],
    ["tcp://redis.internal:6379", "tcp://redis.internal:6380", "::1", false],
    ["tcp://redis.internal:6379", "tcp://x.redis.internal:6379", "::1", false],
    ["tcp://redis.internal:6379", "tcp://redis.internal.x:6379", "::1", false],
    ["tcp://10.0.0.0/8", "tcp://h:1", "10.1.2.3", true],
    ["tcp://10.0.0.0/8", "tcp://h:1", "::ffff:10.1.2.3", true],
    ["tcp://10.0.0.0/8", "tcp://h:1", "127.0.0.1", false],
    ["tcp://[::1]", "tcp://h:1", "::1", true],
    ["*://*:80", "tcp://h:80", "127.0.0.1", true],
  ];
  for (const [pattern, peer, ip, is] of cases) {
    assertEquals(allows(pattern, peer, ip), is, `${pattern} ${peer} ${ip}`);
  }
  const address = { transport: "tcp", hostname: "h", port: 1 } as const;
  const network = parseAllowedPeers("tcp://0.0.0.0/0");
  assertEquals(isAllowedHost(network, address, undefined), false);
  assertEquals(isAllowedHost(network, address, parseIp("1.2.3.4")), true);
});

Deno.test("isAllowedPath() matches real paths", { permissions }, () => {
  const cases: [pattern: string, yes: string[], no: string[]][] = [
    ["unix:///run/app/*", ["unix:///run/app/x", "unix:///run/app/a b"], [
      "unix:///run/app",
      "unix:///run/app/x/y",
      "unix:///run/apps/x",
      "unix:///srv/run/app/x",
      "unix-dgram:///run/app/x",
      "unix://run/app/x",
    ]],
    ["unix:///run/**", ["unix:///run/x", "unix:///run/x/y/z"], ["unix:///x"]],
    ["unix:///run/a*.sock", ["unix:///run/a1.sock"], [
      "unix:///run/a1xsock",
      "unix:///run/a/x.sock",
    ]],
    ["*:///run/x", ["unix:///run/x", "unix-dgram:///run/x"], ["unix:///run/y"]],
    ["unix-dgram:///run/x", ["unix-dgram:///run/x"], ["unix:///run/x"]],
    ["unix:///run/(a|b)+[c]", ["unix:///run/(a|b)+[c]"], ["unix:///run/ac"]],
    ["*://*:*", [], ["unix:///run/x", "unix://@x"]],
    ["unix://@app-*", ["unix://@app-1"], ["unix://@app-1/x", "unix://app-1"]],
    ["*://@**", ["unix://@a/../b", "unix-dgram://@a"], ["unix:///@a"]],
    ["unix:///**", [], ["unix://@a"]],
  ];
  for (const [pattern, yes, no] of cases) {
    for (const peer of yes) {
      assertEquals(allows(pattern, peer), true, `${pattern} allows ${peer}`);
    }
    for (const peer of no) {
      assertEquals(allows(pattern, peer), false, `${pattern} allows ${peer}`);
    }
  }
});

Deno.test("parseAllowedPeers() says what is wrong with a pattern", {
  permissions,
}, () => {
  const malformed = [
    ...["", "**", "tcp", "tcp://", "10.0.0.1:80", "http://x", "tcp:/x"],
    ...["tcp://h:", "tcp://h:x", "tcp://h:1-", "tcp://h:-1", "tcp://h/x"],
    ...["tcp://*.internal:80", "tcp://a b", "tcp://user@h", "tcp://::1"],
    ...["tcp://[::1", "tcp://[::1]x", "tcp://[10.0.0.1/", "tcp://1.2.3"],
    ...["tcp://10.0.0.0/33", "tcp://256.0.0.1:1", "unix://run/x", "unix://*"],
    ...["unix:///run/../x", "unix:///run/./x", "unix:///run//x", "unix:///.."],
    "unix:///a\0b",
  ];
  for (const value of malformed) {
    assertThrows(() => parseAllowedPeers(value), SyntaxError, "", value);
  }
  for (
    const value of [
      "tcp://h:0",
      "tcp://h:65536",
      "tcp://h:2-1",
      "tcp://1.1.1.1/8",
    ]
  ) {
    assertThrows(() => parseAllowedPeers(value), RangeError, "", value);
  }
});

Deno.test("joinAllowedPeers() joins patterns; any peer is any peer", {
  permissions,
}, () => {
  const [one, other] = [parseAllowedPeers("tcp://a:1"), "*"] as const;
  const both = joinAllowedPeers(one, parseAllowedPeers("tcp://b:2"));
  const ports = [1, 2, 3].map((port) =>
    ["a", "b"].map((hostname) =>
      isAllowedHost(both, { transport: "tcp", hostname, port }, undefined)
    )
  );
  assertEquals(ports, [[true, false], [false, true], [false, false]]);
  assertStrictEquals(joinAllowedPeers(one, other), "*");
  assertStrictEquals(joinAllowedPeers(other, one), "*");
});
