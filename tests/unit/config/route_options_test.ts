import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { parseConfigFile, resolveConfig } from "../../../core/config/config.ts";
import { parsePattern } from "../../../core/config/route_options.ts";
import { ConfigError } from "../../../core/errors.ts";

const permissions = "none";

function resolve(text: string): ReturnType<typeof resolveConfig> {
  return resolveConfig(parseConfigFile(text, "f"));
}

function assertRefused(text: string, origin: string, message: string): void {
  const error = assertThrows(() => resolve(text));
  assertInstanceOf(error, ConfigError);
  assertEquals([error.origin, error.message], [origin, message]);
}

Deno.test("parsePattern() parses patterns", { permissions }, () => {
  const cases: [
    text: string,
    host: string | undefined,
    path: string,
    isPrefix: boolean,
  ][] = [
    ["/", undefined, "/", false],
    ["/*", undefined, "/", true],
    ["/mqtt", undefined, "/mqtt", false],
    ["/mqtt/", undefined, "/mqtt/", false],
    ["/a/b%20c/*", undefined, "/a/b%20c/", true],
    ["//App.Example/*", "app.example", "/", true],
    ["//app.example/x", "app.example", "/x", false],
    ["//127.0.0.1/x", "127.0.0.1", "/x", false],
    ["//::1/x", "::1", "/x", false],
    ["//[::1]/x", "::1", "/x", false],
  ];
  for (const [text, host, path, isPrefix] of cases) {
    assertEquals(parsePattern(text), {
      text,
      ...(host !== undefined && { host }),
      path,
      isPrefix,
    });
  }
});

Deno.test("parsePattern() refuses what no request could match", {
  permissions,
}, () => {
  const cases: [text: string, why: string][] = [
    ["", "it is /PATH, /PATH/*, or //HOST and either of these"],
    ["mqtt", "it is /PATH, /PATH/*, or //HOST and either of these"],
    ["*", "it is /PATH, /PATH/*, or //HOST and either of these"],
    ["//app.example", "it is /PATH, /PATH/*, or //HOST and either of these"],
    ["http://a/b", "it is /PATH, /PATH/*, or //HOST and either of these"],
    ["//a:80/b", '"a:80" is not the name or address of a host, without a port'],
    ["//*.a/b", '"*.a" is not the name or address of a host, without a port'],
    ["///b", '"" is not the name or address of a host, without a port'],
    ["/a*", "* stands only at its end, behind a slash"],
    ["/*/a", "* stands only at its end, behind a slash"],
    ["/a//b", 'its path has "//" in it'],
    ["/a/../b", 'its path has "." or ".." in it'],
    ["/a/.", 'its path has "." or ".." in it'],
    ["/a/%2e%2E/b", 'its path has "." or ".." in it'],
    ["/a%2fb", "its path has an encoded slash, backslash or NUL in it"],
    ["/a%b", 'its path has "%" in it without two hexadecimal digits'],
    ["/a\\b", "its path has a backslash in it"],
    ["/a b", "its path has a character in it that is not sent"],
    ["/ä", "its path has a character in it that is not sent"],
    ["/a#b", "its path has a character in it that is not sent"],
    ["/%61", "write /a for its path"],
    ["/%c3%a4", "write /%C3%A4 for its path"],
  ];
  for (const [text, why] of cases) {
    const error = assertThrows(() => parsePattern(text), SyntaxError);
    assertEquals(error.message, `cannot use route "${text}": ${why}`);
  }
});

Deno.test("resolveConfig() gives each route its backend and options", {
  permissions,
}, () => {
  const { routes, backend, core } = resolve([
    "[route /vnc/*] # first",
    "path = /peers",
    "expression = %rest%",
    "origin = https://a.example",
    "backend = file",
    "expression = default",
    "[core]",
    "port = 1",
    "[route //app.example/mqtt]",
    "host = tcp://127.0.0.1:1883",
    "[route /vnc/*]",
    "tls-name = x",
  ].join("\n"));
  assertEquals(backend, []);
  assertEquals([core.port, core.backend, core.origin], [1, "defaultpeer", "*"]);
  const configure = (option: string, value: string, line: number) => ({
    step: "configure" as const,
    option,
    value,
    origin: `f:${line}`,
  });
  const load = {
    step: "load",
    name: "defaultpeer",
    origin: undefined,
  } as const;
  assertEquals(routes, [
    {
      pattern: parsePattern("/vnc/*"),
      backendName: "file",
      backend: [
        load,
        { step: "load", name: "file", origin: "f:5" },
        configure("path", "/peers", 2),
        configure("expression", "%rest%", 3),
        configure("expression", "default", 6),
        configure("tls-name", "x", 12),
      ],
      fields: { origin: ["https://a.example"] },
    },
    {
      pattern: parsePattern("//app.example/mqtt"),
      backendName: "defaultpeer",
      backend: [load, configure("host", "tcp://127.0.0.1:1883", 10)],
      fields: {},
    },
  ]);
});

Deno.test(
  "resolveConfig() has a backend for other requests where one is named",
  {
    permissions,
  },
  () => {
    const route = "[route /a]\nhost = h:1\n";
    assertEquals(resolve(route).backend, []);
    assertEquals(resolve(`${route}[backend]\nhost = x:1`).backend.length, 2);
    assertEquals(resolve(`${route}[core]\nbackend = file`).backend.length, 2);
    assertEquals(resolve("").backend.length, 1);
  },
);

Deno.test("resolveConfig() refuses routes that are mistakes", {
  permissions,
}, () => {
  const shadowed = (first: string, second: string, line = 3) =>
    assertRefused(
      `[route ${first}]\nhost = h:1\n[route ${second}]\nhost = h:2`,
      `f:${line + 1}`,
      `no request reaches route "${second}": route "${first}" before it takes them`,
    );
  shadowed("/*", "/a");
  shadowed("/a/*", "/a/b/*");
  shadowed("/a/*", "/a/");
  shadowed("/a/*", "//h/a/b");
  shadowed("//h/a", "//H/a");
  for (const text of ["/a/b/*|/a/*", "/a/*|/a", "//h/*|/a", "//h/a|//g/a"]) {
    const [first, second] = text.split("|");
    resolve(`[route ${first}]\nhost = h:1\n[route ${second}]\nhost = h:2`);
  }
  assertRefused(
    "\n[route /a]\n[core]\nport = 1",
    "f:2",
    'cannot use route "/a": it has no option, such as backend or host',
  );
  assertRefused(
    "[route]\nhost = h:1",
    "f:1",
    'cannot use route "": it is /PATH, /PATH/*, or //HOST and either of these',
  );
  assertRefused(
    "[route /a]\norigin = x",
    "f:2",
    'cannot use origin: no browser sends "x": write https://x or http://x',
  );
  assertRefused(
    "[route /a]\nbackend =",
    "f:2",
    "cannot use backend: it is empty",
  );
  assertRefused(
    "[routes /a]\nhost = h",
    "f:1",
    "unknown section [routes /a]; did you mean [route]?",
  );
});
