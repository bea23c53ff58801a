import { assertEquals } from "@std/assert";
import {
  parseServedUrl,
  parseTarget,
} from "../../../core/websocket/request_target.ts";

const permissions = "none";

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
