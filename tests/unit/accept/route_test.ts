import { assertEquals, assertThrows } from "@std/assert";
import {
  findFileRoute,
  findRoute,
  type Route,
} from "../../../core/accept/route.ts";
import { parsePattern } from "../../../core/config/route_options.ts";
import { RequestError } from "../../../core/errors.ts";

const permissions = "none";

function makeRoute(pattern: string): Route {
  return {
    pattern: parsePattern(pattern),
    backend: { query: () => undefined },
    backendName: "",
    origin: "*",
    balance: "order",
  };
}

const routes = [
  "//app.example/vnc/*",
  "/mqtt",
  "/vnc/admin",
  "/vnc/*",
  "/team@a!/*",
  "//app.example/*",
].map(makeRoute);

/** The pattern and the rest, or the status and the reason. */
function find(endpoint: string, host?: string): [string, string] | undefined {
  const headers = new Headers(host === undefined ? {} : { host });
  const match = findRoute(routes, { endpoint, headers });
  return match && [match.route.pattern.text, match.rest];
}

Deno.test("findRoute() finds the first route that matches", {
  permissions,
}, () => {
  const cases: [
    endpoint: string,
    host: string | undefined,
    found: [string, string] | undefined,
  ][] = [
    ["/mqtt", "h", ["/mqtt", ""]],
    ["/mqtt/", "h", undefined],
    ["/MQTT", "h", undefined],
    ["/mqtt;x", "h", undefined],
    ["/vnc", "h", undefined],
    ["/vnc/", "h", ["/vnc/*", ""]],
    ["/vnc/a/b/", "h", ["/vnc/*", "a/b/"]],
    ["/vnc/admin", "h", ["/vnc/admin", ""]],
    ["/vnc/admin/", "h", ["/vnc/*", "admin/"]],
    ["/vncx", "h", undefined],
    ["/", undefined, undefined],
    ["/vnc/a", "App.Example.:8001", ["//app.example/vnc/*", "a"]],
    ["/x", "app.example", ["//app.example/*", "x"]],
    ["/x", "app.example.org", undefined],
    ["/x", undefined, undefined],
    // What means the same is the same, and what does not stays as it was sent.
    ["/%6dqtt", "h", ["/mqtt", ""]],
    ["/vnc/%61dmin", "h", ["/vnc/admin", ""]],
    ["/v%6ec/a%20%3a%7e%3f%23%25%c3", "h", ["/vnc/*", "a%20%3A~%3F%23%25%C3"]],
    ["/team@a!/%40/x", "h", ["/team@a!/*", "%40/x"]],
    ["/team%40a%21/%22%5b%7d", "h", ["/team@a!/*", "%22%5B%7D"]],
    ["/vnc/.well-known/a..b", "h", ["/vnc/*", ".well-known/a..b"]],
    ["/vnc/...", "h", ["/vnc/*", "..."]],
  ];
  for (const [endpoint, host, found] of cases) {
    assertEquals(find(endpoint, host), found, endpoint);
  }
});

Deno.test("findRoute() refuses a path that a proxy may take for another one", {
  permissions,
}, () => {
  const endpoints = [
    "//vnc/a",
    "/vnc//a",
    "/vnc/a//",
    "/x/../vnc/a",
    "/vnc/..",
    "/vnc/../mqtt",
    "/./mqtt",
    "/vnc/.",
    "/x/%2e%2e/vnc/a",
    "/x/.%2E/vnc/a",
    "/vnc%2fa",
    "/x%2F..%2Fvnc",
    "/vnc%5ca",
    "/vnc\\a",
    "/vnc/a%00",
    "/vnc/%",
    "/vnc/%2",
    "/vnc/%zz",
    "/unknown/..",
  ];
  for (const endpoint of endpoints) {
    const error = assertThrows(() => find(endpoint, "h"), RequestError);
    assertEquals(
      [error.status, error.body],
      [400, "the path of the request is not clear"],
      endpoint,
    );
    // Without routes, there is nothing to get around.
    const headers = new Headers();
    assertEquals(findRoute([], { endpoint, headers }), undefined);
  }
});

Deno.test("findFileRoute() finds a route by any spelling of a file", {
  permissions,
}, () => {
  const routes = ["//app.example/vnc/*", "/vnc/a", "/vnc/*", "/caf%C3%A9/*"]
    .map(makeRoute);
  const cases: readonly (readonly [endpoint: string, found?: string])[] = [
    ...["/vnc/b", "/VNC/b", "/vn%43/b", "/vnc./b", "/vnc%20/b", "/vnc%2E%20/b"]
      .map((endpoint) => [endpoint, "/vnc/*"] as const),
    ...["/vnc/a", "/vnc/A", "/Vnc/a.", "/vnc/%61%20"]
      .map((endpoint) => [endpoint, "/vnc/a"] as const),
    ...["/caf%c3%a9/b", "/cafe%cc%81/b", "/CAF%C3%89/b"]
      .map((endpoint) => [endpoint, "/caf%C3%A9/*"] as const),
    ["/vncx/b"],
    ["/vnc"],
    ["/vnc%ff/b"],
  ];
  for (const [endpoint, found] of cases) {
    const headers = new Headers({ host: "h" });
    const route = findFileRoute(routes, { endpoint, headers });
    assertEquals(route?.pattern.text, found, endpoint);
  }
  const headers = new Headers({ host: "app.example" });
  const route = findFileRoute(routes, { endpoint: "/VNC/b", headers });
  assertEquals(route?.pattern.text, "//app.example/vnc/*");
});
