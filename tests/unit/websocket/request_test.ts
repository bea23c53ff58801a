import { assert, assertEquals } from "@std/assert";
import { RequestError } from "../../../core/errors.ts";
import type { RequestHead } from "../../../core/websocket/engine.ts";
import {
  hostOf,
  isHost,
  isToken,
  parseRequest,
  parseServedUrl,
  parseTarget,
  RawHeaders,
  type RawRequest,
} from "../../../core/websocket/request.ts";

const permissions = "none";

function parse(raw: Omit<RawRequest, "remote">): RequestHead {
  return parseRequest({ ...raw, remote: { address: "192.0.2.1", port: 1 } });
}

Deno.test("hostOf() names the host that is asked for", { permissions }, () => {
  const cases: [field: string | undefined, host: string][] = [
    [undefined, ""],
    ["a", "a"],
    ["A.Example:80", "a.example"],
    ["a.example.", "a.example"],
    ["a.example.:8001", "a.example"],
    ["a:", "a"],
    ["127.0.0.1:8001", "127.0.0.1"],
    ["[::1]", "::1"],
    ["[FE80::1]:8001", "fe80::1"],
  ];
  for (const [field, host] of cases) {
    const headers = new Headers(field === undefined ? {} : { host: field });
    assertEquals(hostOf(headers), host, field);
  }
});

Deno.test("isHost() knows hosts", { permissions }, () => {
  const hosts = [
    "a",
    "a.example",
    "A.EXAMPLE:80",
    "a.example.",
    "a.example.:8001",
    "a_b-c~d.example",
    "xn--bcher-kva.example",
    "127.0.0.1",
    "127.0.0.1:65535",
    "a:",
    "a:0",
    "[::1]",
    "[::1]:8001",
    "[::ffff:127.0.0.1]:80",
  ];
  const others = [
    "",
    " ",
    "a b",
    ".",
    "..",
    ".a",
    "a..b",
    "a,b",
    "a, a",
    "a/b",
    "x/ok?",
    "a?b",
    "a#b",
    "a\\b",
    "u@a",
    "u:p@a",
    "a:65536",
    "a:99999",
    "a:000000080",
    "a:-1",
    "a:+1",
    "a:x",
    "a:1:2",
    "::1",
    "[::1",
    "::1]",
    "[]",
    "[::1]x",
    "[a]",
    "[127.0.0.1]",
    "[1:2]",
    "[::g]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "a%2fb",
    "ä",
    "a<b>",
    'a"b',
    "http://a",
  ];
  for (const host of hosts) assertEquals(isHost(host), true, host);
  for (const other of others) assertEquals(isHost(other), false, other);
});

Deno.test(
  "parseRequest() finds malformed requests",
  { permissions },
  () => {
    const path = "the target of the request is not a path";
    const hosts = "the target of the request and its Host name different hosts";
    const cases: [
      { method?: string; target?: string; authority?: string; host?: string },
      fault: string | undefined,
    ][] = [
      [{}, undefined],
      [{ host: "a" }, undefined],
      [{ host: "x/ok?" }, "Host is not a host"],
      [{ host: "" }, "Host is not a host"],
      [{ host: "a, b" }, "Host is named more than once"],
      [{ target: "/a/../b%20c?d=http://e/f" }, undefined],
      [{ target: "//a" }, undefined],
      [{ target: "/!\"$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~" }, undefined],
      [{ target: "/a#b" }, path],
      [{ target: "a" }, path],
      [{ target: "" }, path],
      [{ target: "?a" }, path],
      [{ target: "*" }, path],
      [{ target: "/a b" }, path],
      [{ target: "/ä" }, path],
      [{ target: "/a\x7f" }, path],
      [{ target: "/a\n" }, path],
      [{ method: "OPTIONS", target: "*" }, undefined],
      [{ method: "CONNECT", target: "a:1" }, undefined],
      [{ method: "CONNECT", target: "a:1", host: "a/b" }, "Host is not a host"],
      [{ authority: "a", host: "a" }, undefined],
      [{ authority: "A:80", host: "a:80" }, undefined],
      [{ authority: "a" }, undefined],
      [{ authority: "a", host: "b" }, hosts],
      [{ authority: "a:80", host: "a" }, hosts],
      [{ authority: "u@a", host: "a" }, hosts],
      [{ authority: "", host: "a" }, hosts],
    ];
    for (const [{ host, ...request }, message] of cases) {
      const headers = new Headers(host === undefined ? {} : { host });
      const { fault } = parse({
        method: "GET",
        target: "/",
        ...request,
        headers,
      });
      const what = JSON.stringify({ host, ...request });
      assertEquals(fault?.body, message, what);
      assertEquals(
        fault?.status,
        message === undefined ? undefined : 400,
        what,
      );
    }
  },
);

Deno.test("parseRequest() gives what the engine has found first", {
  permissions,
}, () => {
  const fault = new RequestError(431, "too large");
  const headers = new Headers({ host: "" });
  assertEquals(parse({ method: "", target: "", headers, fault }).fault, fault);
});

Deno.test("parseRequest() gives the endpoint as sent, and the query apart", {
  permissions,
}, () => {
  const cases: [target: string, endpoint: string, query: string][] = [
    ["/", "/", ""],
    ["/chat", "/chat", ""],
    ["/a/../b%20c/./", "/a/../b%20c/./", ""],
    ["//a//b", "//a//b", ""],
    ["/%2e%2E/%00", "/%2e%2E/%00", ""],
    ["/a?", "/a", ""],
    ["/a?b=c&d=%20", "/a", "b=c&d=%20"],
    ["/?a?b", "/", "a?b"],
    ["/a%3Fb", "/a%3Fb", ""],
  ];
  for (const [target, endpoint, query] of cases) {
    const head = parse({ method: "GET", target, headers: new Headers() });
    assertEquals([head.endpoint, head.query], [endpoint, query], target);
  }
});

Deno.test("parseTarget() gives a path as it was sent", { permissions }, () => {
  const cases: [target: string, path: string, authority?: string][] = [
    ["/", "/"],
    ["//a/b", "//a/b"],
    ["/a/../b%20c?d=http://e/f", "/a/../b%20c?d=http://e/f"],
    ["/http://a/b", "/http://a/b"],
    ["*", "*"],
    ["a:1", "a:1"],
    ["http://a.example:80/b/../c?d", "/b/../c?d", "a.example:80"],
    ["WS://A", "/", "A"],
    ["http://a?b", "/?b", "a"],
    ["http://a#b", "/#b", "a"],
    ["http://u:p@a/b", "/b", "u:p@a"],
    ["http:///b", "/b", ""],
  ];
  for (const [text, target, authority] of cases) {
    assertEquals(parseTarget(text), {
      target,
      ...(authority !== undefined && { authority }),
    });
  }
});

Deno.test("parseServedUrl() finds the target whatever Host says", {
  permissions,
}, () => {
  const cases: [
    { url: string; host?: string; method?: string },
    target: string,
    authority?: string,
  ][] = [
    [{ url: "http://a/b?c", host: "a" }, "/b?c"],
    [{ url: "https://A:1/b", host: "A:1" }, "/b"],
    [{ url: "http+unix://a/b", host: "a" }, "/b"],
    [{ url: "http://x/ok?/real", host: "x/ok?" }, "/real"],
    [{ url: "http://x?/real", host: "x?" }, "/real"],
    [{ url: "http://x#y/real", host: "x#y" }, "/real"],
    [{ url: "http://a/ok/real", host: "a/ok" }, "/real"],
    [{ url: "http://a//b", host: "a" }, "//b"],
    [{ url: "http://a//", host: "a/" }, "/"],
    // The target was a whole URL.
    [{ url: "ws://b/c", host: "a" }, "/c", "b"],
    [{ url: "http://a?c", host: "a" }, "/?c", "a"],
    [{ url: "http://ab/c", host: "a" }, "/c", "ab"],
    [{ url: "http://a/http:///c", host: "a" }, "/c", ""],
    [{ url: "http://a/http://b/c", host: "a" }, "/http://b/c"],
    // Deno puts the address that it listens on in front.
    [{ url: "http://localhost:1/b" }, "/b", "localhost:1"],
    [{ url: "http://localhost:1/b", host: "" }, "/b", "localhost:1"],
    [{ url: "http://a/*", host: "a", method: "OPTIONS" }, "*"],
    [{ url: "http://a/*", host: "a" }, "/*"],
    [{ url: "http://b:1", host: "a", method: "CONNECT" }, "b:1"],
  ];
  for (const [{ url, host, method = "GET" }, target, authority] of cases) {
    const headers = new Headers(host === undefined ? {} : { host });
    assertEquals(
      parseServedUrl({ method, url, headers }),
      { target, ...(authority !== undefined && { authority }) },
      url,
    );
  }
});

Deno.test("parseRequest() takes the host of a URL where none is in Host", {
  permissions,
}, () => {
  const cases: [
    authority: string | undefined,
    headers: Record<string, string>,
    host: string | null,
  ][] = [
    // So is each request of HTTP/2.
    ["h.test:8443", { accept: "*/*" }, "h.test:8443"],
    ["h.test", { host: "h.test" }, "h.test"],
    [undefined, {}, null],
    ["%2Frun%2Fx.sock", {}, null],
    ["user@h.test", {}, null],
    // A handshake has to name it.
    ["h.test", { upgrade: "websocket" }, null],
  ];
  for (const [authority, fields, host] of cases) {
    const { headers } = parseRequest({
      method: "GET",
      target: "/",
      ...(authority !== undefined && { authority }),
      headers: new Headers(fields),
      remote: { address: "::1" },
    });
    assertEquals(headers.get("host"), host);
    assertEquals(headers.get("accept"), fields.accept ?? null);
  }
});

Deno.test("parseRequest() tells who asks for a WebSocket", {
  permissions,
}, () => {
  const cases: [upgrade: string | undefined, asks: boolean][] = [
    [undefined, false],
    ["", false],
    ["websocket", true],
    ["WebSocket", true],
    ["h2c, websocket", true],
    [",websocket ,", true],
    ["websocket2", false],
    ["web socket", false],
    ["websocket/13", false],
    // White space of other texts, not of HTTP.
    ["websocket\xa0", false],
    ["\xa0websocket", false],
  ];
  for (const [upgrade, asks] of cases) {
    const headers = new Headers(upgrade === undefined ? {} : { upgrade });
    const head = parse({ method: "GET", target: "/", headers });
    assertEquals(head.asksForWebSocket, asks, upgrade);
  }
});

const rawHeaders = new RawHeaders([
  ...["Cookie", "a=1", "X-A", "1", "COOKIE", "b=2; c=3", "x-a", "2"],
  ...["cookie", ""],
]);

Deno.test("RawHeaders.get() joins cookies as cookies, and others as lists", {
  permissions,
}, () => {
  assertEquals(rawHeaders.get("cookie"), "a=1; b=2; c=3; ");
  assertEquals(rawHeaders.get("x-a"), "1, 2");
  assertEquals(rawHeaders.get("x-b"), null);
});

Deno.test(
  "RawHeaders lists its fields, each name once",
  { permissions },
  () => {
    assertEquals([...rawHeaders], [["cookie", "a=1; b=2; c=3;"], [
      "x-a",
      "1, 2",
    ]]);
    assertEquals([...new RawHeaders(["A", "b"])], [["a", "b"]]);
  },
);

Deno.test("isToken() takes the characters of RFC 9110 section 5.6.2 only", {
  permissions,
}, () => {
  const allowed = "!#$%&'*+-.^_`|~0123456789" +
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (let code = 0; code < 0x180; code++) {
    const character = String.fromCharCode(code);
    const expected = allowed.includes(character);
    assert(isToken(character) === expected, `U+${code.toString(16)}`);
    assert(isToken(`a${character}b`) === expected, `U+${code.toString(16)}`);
  }
  assert(!isToken(""));
  assert(!isToken("a\n"));
});
