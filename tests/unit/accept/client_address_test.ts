import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import type { RemoteAddress } from "../../../core/api.ts";
import { RequestError } from "../../../core/errors.ts";
import { resolveRemote } from "../../../core/accept/client_address.ts";
import { parseTrustedProxies } from "../../../core/net/trusted_proxies.ts";

const permissions = "none";

const trusted = parseTrustedProxies("127.0.0.1, 10.0.0.0/8,2001:db8:1::/48");
const proxy: RemoteAddress = { address: "127.0.0.1", port: 1000 };

/** What a header field with this value makes of a client of the proxy. */
function resolve(name: string, value: string): RemoteAddress {
  return resolveRemote(proxy, new Headers({ [name]: value }), trusted);
}

Deno.test(
  "resolveRemote() ignores header fields of clients that are not trusted",
  {
    permissions,
  },
  () => {
    const headers = new Headers({
      forwarded: "for=192.0.2.7",
      "x-forwarded-for": "192.0.2.8",
    });
    const none = parseTrustedProxies("none");
    const cases: [remote: RemoteAddress, proxies: typeof none][] = [
      [{ address: "192.0.2.1", port: 5 }, trusted],
      [{ address: "2001:db8::1", port: 5 }, trusted],
      [{ address: "127.0.0.1", port: 5 }, none],
      [{ address: "::1", port: 5 }, trusted],
      [{ address: "unix" }, trusted],
      [{ address: "/run/x.sock" }, none],
    ];
    for (const [remote, proxies] of cases) {
      assertStrictEquals(resolveRemote(remote, headers, proxies), remote);
    }
  },
);

Deno.test("resolveRemote() believes the clients of a Unix socket if told to", {
  permissions,
}, () => {
  const headers = new Headers({ "x-forwarded-for": "192.0.2.8" });
  assertEquals(
    resolveRemote({ address: "unix" }, headers, parseTrustedProxies("unix")),
    { address: "192.0.2.8" },
  );
  assertStrictEquals(
    resolveRemote(proxy, headers, parseTrustedProxies("unix")),
    proxy,
  );
});

Deno.test("resolveRemote() walks X-Forwarded-For from its end", {
  permissions,
}, () => {
  const cases: [value: string, address: string, port?: number][] = [
    ["192.0.2.7", "192.0.2.7"],
    [" 192.0.2.7 ", "192.0.2.7"],
    ["192.0.2.7:4000", "192.0.2.7", 4000],
    ["2001:DB8::7", "2001:db8::7"],
    ["[2001:db8::7]", "2001:db8::7"],
    ["[2001:db8::7]:4000", "2001:db8::7", 4000],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    // What stands before the first one that is not trusted is anybody's.
    ["6.6.6.6,192.0.2.7", "192.0.2.7"],
    ["6.6.6.6, 192.0.2.7, 10.1.1.1", "192.0.2.7"],
    ["6.6.6.6, 192.0.2.7, 10.1.1.1, 2001:db8:1::5", "192.0.2.7"],
    ["127.0.0.1, 192.0.2.7", "192.0.2.7"],
    ["192.0.2.7, ::ffff:10.1.1.1", "192.0.2.7"],
    // All of them are proxies: the farthest.
    ["10.0.0.3, 10.0.0.2", "10.0.0.3"],
    // What is no address ends the walk.
    ["192.0.2.7, unknown, 10.0.0.2", "10.0.0.2"],
    ["192.0.2.7, , 10.0.0.2", "10.0.0.2"],
    ["192.0.2.7, 10.0.0.2", "192.0.2.7"],
  ];
  for (const [value, address, port] of cases) {
    const expected = port === undefined ? { address } : { address, port };
    assertEquals(resolve("x-forwarded-for", value), expected, value);
  }
});

Deno.test("resolveRemote() takes the proxy for what is no address", {
  permissions,
}, () => {
  const values = [
    ...["", ",", "unknown", "_hidden", "localhost", "192.0.2.7, x", "192.0.2"],
    ...["192.0.2.7:99999", "192.0.2.7:x", "[192.0.2.7]", "[2001:db8::7", "::g"],
    ...["192.0.2.7, 192.0.2.07", "for=192.0.2.7", '"192.0.2.7"', "192.0.2.7;"],
  ];
  for (const value of values) {
    assertStrictEquals(resolve("x-forwarded-for", value), proxy, value);
  }
});

Deno.test("resolveRemote() walks Forwarded from its end", {
  permissions,
}, () => {
  const cases: [value: string, address: string, port?: number][] = [
    // The examples of RFC 7239 section 4.
    ["for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"],
    ['For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17", 4711],
    ["for=192.0.2.43, for=198.51.100.17", "198.51.100.17"],
    ["for=192.0.2.7:4000", "127.0.0.1", 1000],
    ['for="192.0.2.7:4000"', "192.0.2.7", 4000],
    ['for="192.0.2.7:_port"', "192.0.2.7"],
    ['for="\\192.0.2.\\7"', "192.0.2.7"],
    ["proto=https;FOR=192.0.2.7;", "192.0.2.7"],
    ['for=6.6.6.6, for=192.0.2.7, for="[2001:db8:1::5]"', "192.0.2.7"],
    ["for=10.0.0.3,for=10.0.0.2", "10.0.0.3"],
    // Hidden, unknown, missing or malformed: the last one that is good.
    ["for=192.0.2.7, for=_hidden, for=10.0.0.2", "10.0.0.2"],
    ["for=192.0.2.7, for=unknown, for=10.0.0.2", "10.0.0.2"],
    ["for=192.0.2.7, proto=http, for=10.0.0.2", "10.0.0.2"],
    ["for=192.0.2.7, for=, for=10.0.0.2", "10.0.0.2"],
    ["for=192.0.2.7, for = 10.0.0.3, for=10.0.0.2", "10.0.0.2"],
    // Commas in quotes.
    ['for=192.0.2.7;host="a, for=6.6.6.6"', "192.0.2.7"],
    ['for=192.0.2.7;host="a\\", for=6.6.6.6"', "192.0.2.7"],
    // An open quote of the client swallows nothing that a proxy has added.
    ['for="6.6.6.6, for=192.0.2.7', "192.0.2.7"],
    ['x=", for=192.0.2.7;by="_a"', "192.0.2.7"],
    ['for=6.6.6.6;x="\\, for=192.0.2.7', "192.0.2.7"],
    ['for="6.6.6.6, for="[2001:db8::7]"', "2001:db8::7"],
  ];
  for (const [value, address, port] of cases) {
    const expected = port === undefined ? { address } : { address, port };
    assertEquals(resolve("forwarded", value), expected, value);
  }
});

Deno.test("resolveRemote() takes the proxy for a malformed Forwarded", {
  permissions,
}, () => {
  const values = [
    ...["", "192.0.2.7", "for", "for=", 'for="', "for=2001:db8::7", ";", "=1"],
    ...['for="192.0.2.7', "by=192.0.2.7", "for=192.0.2.7 x", "for=_x", ",,"],
    `for=192.0.2.7;x="${",".repeat(60_000)}`,
    `x="${", for=".repeat(10_000)}`,
  ];
  for (const value of values) {
    assertEquals(resolve("forwarded", value), proxy, value.slice(0, 80));
  }
});

Deno.test("resolveRemote() refuses two header fields that contradict", {
  permissions,
}, () => {
  function both(forwarded: string, older: string): RemoteAddress {
    const headers = new Headers({ forwarded, "x-forwarded-for": older });
    return resolveRemote(proxy, headers, trusted);
  }
  assertEquals(both("for=192.0.2.7", "6.6.6.6, 192.0.2.7"), {
    address: "192.0.2.7",
  });
  assertEquals(both('for="192.0.2.7:4"', "192.0.2.7"), {
    address: "192.0.2.7",
    port: 4,
  });
  assertEquals(both("for=192.0.2.7", "192.0.2.7:4"), {
    address: "192.0.2.7",
    port: 4,
  });
  for (
    const [forwarded, older] of [
      ["for=6.6.6.6", "192.0.2.7"],
      ["for=192.0.2.7", "6.6.6.6"],
      ["for=_hidden", "192.0.2.7"],
      ["for=192.0.2.7", "unknown"],
    ] as const
  ) {
    const error = assertThrows(() => both(forwarded, older), RequestError);
    assertEquals(error.status, 400);
  }
});

Deno.test("parseTrustedProxies() parses a list", { permissions }, () => {
  assertEquals(parseTrustedProxies("none"), { networks: [], unix: false });
  assertEquals(parseTrustedProxies("unix"), { networks: [], unix: true });
  assertEquals(parseTrustedProxies(" ::1 ,unix,"), {
    networks: [{ family: 6, value: 1n, bits: 128 }],
    unix: true,
  });
  for (const value of ["", ",", "localhost", "none,::1", "10.0.0.0/99"]) {
    assertThrows(() => parseTrustedProxies(value), SyntaxError);
  }
});
