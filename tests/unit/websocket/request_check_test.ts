import { assertEquals } from "@std/assert";
import { RequestError } from "../../../core/errors.ts";
import { findFault, isHost } from "../../../core/websocket/request_check.ts";

const permissions = "none";

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

Deno.test("findFault() finds what nobody can answer", { permissions }, () => {
  const path = "the target of the request is no path";
  const hosts = "the target of the request and its Host name different hosts";
  const cases: [
    { method?: string; target?: string; authority?: string; host?: string },
    fault: string | undefined,
  ][] = [
    [{}, undefined],
    [{ host: "a" }, undefined],
    [{ host: "x/ok?" }, "Host is no host"],
    [{ host: "" }, "Host is no host"],
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
    [{ method: "CONNECT", target: "a:1", host: "a/b" }, "Host is no host"],
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
    const fault = findFault({
      method: "GET",
      target: "/",
      ...request,
      headers,
    });
    const what = JSON.stringify({ host, ...request });
    assertEquals(fault?.body, message, what);
    assertEquals(fault?.status, message === undefined ? undefined : 400, what);
  }
});

Deno.test("findFault() gives what the engine has found first", {
  permissions,
}, () => {
  const fault = new RequestError(431, "too large");
  const headers = new Headers({ host: "" });
  assertEquals(findFault({ method: "", target: "", headers, fault }), fault);
});
