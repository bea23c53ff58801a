import { assertEquals, assertThrows } from "@std/assert";
import { parseOrigin } from "../../../core/config/origin.ts";

const permissions = "none";

Deno.test("parseOrigin() takes what browsers send", { permissions }, () => {
  const origins = [
    "https://a.example",
    "http://localhost:8080",
    "http://127.0.0.1:8001",
    "http://[::1]:8080",
    "https://xn--bcher-kva.example",
    "https://a.example.",
    "https://a_b.example",
    "null",
    "file://",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://2b8b0d4e-7f3a-4d35",
    "capacitor://localhost",
  ];
  for (const origin of origins) {
    assertEquals(parseOrigin(origin), [origin]);
  }
  assertEquals(parseOrigin(origins.join(" ,")), origins);
  assertEquals(parseOrigin("https://a,*"), "*");
});

Deno.test("parseOrigin() says how an origin is spelled", {
  permissions,
}, () => {
  const host = "a scheme and a host, such as https://app.example.com";
  const name = "each host by its name, or only * for any origin";
  const cases: Readonly<Record<string, string>> = {
    "https://a.example/": "https://a.example",
    "https://a.example/app": "https://a.example",
    "https://a.example?x": "https://a.example",
    "https://a.example#x": "https://a.example",
    "https://user@a.example": "https://a.example",
    "https://a.example:443": "https://a.example",
    "http://a.example:80": "http://a.example",
    "http://a.example:080": "http://a.example",
    "https://a.example:": "https://a.example",
    "https://A.example": "https://a.example",
    "HTTPS://a.example": "https://a.example",
    "https://bücher.example": "https://xn--bcher-kva.example",
    "http://127.1": "http://127.0.0.1",
    "http://[0::1]": "http://[::1]",
    "wss://a.example": "https://a.example",
    "ws://a.example:8001": "http://a.example:8001",
    "a.example": "https://a.example or http://a.example",
    "localhost:8080": "https://localhost:8080 or http://localhost:8080",
    "//a.example/": "https://a.example or http://a.example",
    "http:a.example": "https://a.example or http://a.example",
    "https:/a.example": "https://a.example or http://a.example",
    "https://a https://b": "a comma between two origins",
    "https://*.example.com": name,
    "*.example.com": name,
    "http://localhost:*": name,
    any: "*",
    Null: "null",
    "'null'": "null",
    "file:///index.html": "null",
    "https://": host,
    "https://a:99999": host,
    "chrome-extension://abc/": "chrome-extension://abc",
  };
  for (const [origin, right] of Object.entries(cases)) {
    const error = assertThrows(
      () => parseOrigin(`https://b, ${origin}`),
      SyntaxError,
    );
    assertEquals(error.message, `no browser sends "${origin}": write ${right}`);
  }
  assertThrows(() => parseOrigin(" , "), SyntaxError, "it names no origin");
});
