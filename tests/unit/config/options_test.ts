import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  type CoreConfig,
  type CoreOption,
  coreOptions,
  defaultCoreConfig,
  formatListen,
} from "../../../core/config/options.ts";

const permissions = "none";

function optionNamed(name: string): CoreOption {
  const option = coreOptions.find((option) => option.name === name);
  if (option === undefined) throw new Error(`There is no option "${name}"`);
  return option;
}

Deno.test("coreOptions has the defaults that are documented", {
  permissions,
}, () => {
  const defaults: [
    name: string,
    written: string,
    parsed: Partial<CoreConfig>,
  ][] = [
    ["port", "8001", { port: 8001 }],
    ["listen", "::", { listen: { transport: "tcp", hostname: "::" } }],
    ["listen-mode", "", { listenMode: undefined }],
    ["tls-cert", "", { tlsCert: [] }],
    ["tls-key", "", { tlsKey: [] }],
    ["reuse-port", "false", { reusePort: false }],
    ["head-timeout", "10", { headTimeout: 10 }],
    ["ping", "30", { ping: 30 }],
    ["keep-alive", "60", { keepAlive: 60 }],
    ["backend", "defaultpeer", { backend: "defaultpeer" }],
    ["engine", "stream", { engine: "stream" }],
    ["origin", "*", { origin: "*" }],
    ["connect-timeout", "10", { connectTimeout: 10 }],
    ["max-message", "16777216", { maxMessage: 16777216 }],
    ["max-buffer", "67108864", { maxBuffer: 67108864 }],
    ["compression", "off", { compression: 0 }],
    ["compression-memory", "393216", { compressionMemory: 393216 }],
    ["max-connections", "0", { maxConnections: 0 }],
    ["max-connections-per-address", "0", { maxConnectionsPerAddress: 0 }],
    ["idle-timeout", "0", { idleTimeout: 0 }],
    ["trusted-proxy", "none", { trustedProxy: { networks: [], unix: false } }],
    ["allow-peer", "*", { allowPeer: "*" }],
    ["console", "", { console: undefined }],
    ["health", "", { health: undefined }],
    ["metrics", "", { metrics: undefined }],
    ["web", "", { web: undefined }],
    ["web-index", "index.html", { webIndex: ["index.html"] }],
    ["web-listing", "false", { webListing: false }],
    ["drain-timeout", "5", { drainTimeout: 5 }],
    ["log", "info", { log: "info" }],
    ["log-format", "text", { logFormat: "text" }],
  ];
  for (const [name, written, parsed] of defaults) {
    const option = optionNamed(name);
    assertEquals(option.default, written, name);
    assertEquals(option.parse(written), parsed, name);
    const entries = Object.entries(defaultCoreConfig);
    for (const [field, value] of Object.entries(parsed)) {
      assertEquals(entries.find(([name]) => name === field)?.[1], value, name);
    }
  }
});

Deno.test("coreOptions has each name and letter once", { permissions }, () => {
  const names = coreOptions.map(({ name }) => name);
  assertEquals(names.length, new Set(names).size);
  const letters = coreOptions.flatMap(({ short }) => short ?? []);
  assertEquals(letters, ["p", "l", "k", "b"]);
});

Deno.test("defaultCoreConfig cannot be changed", { permissions }, () => {
  assertEquals(Object.isFrozen(defaultCoreConfig), true);
});

Deno.test("coreOptions parse valid values", { permissions }, () => {
  const cases: [name: string, value: string, parsed: unknown][] = [
    ["port", "0", { port: 0 }],
    ["port", "0080", { port: 80 }],
    ["port", "65535", { port: 65535 }],
    ["listen", "127.0.0.1", {
      listen: { transport: "tcp", hostname: "127.0.0.1" },
    }],
    ["listen", "[::1]", { listen: { transport: "tcp", hostname: "::1" } }],
    ["listen", "fe80::1%eth0", {
      listen: { transport: "tcp", hostname: "fe80::1%eth0" },
    }],
    ["listen", "unix:/run/x", {
      listen: { transport: "unix", path: "/run/x" },
    }],
    ["listen", "unix:///run/x", {
      listen: { transport: "unix", path: "/run/x" },
    }],
    ["listen", "unix:x y", { listen: { transport: "unix", path: "x y" } }],
    ["listen-mode", "600", { listenMode: 0o600 }],
    ["listen-mode", "0770", { listenMode: 0o770 }],
    ["tls-cert", "a b.pem", { tlsCert: ["a b.pem"] }],
    ["tls-key", "/k.pem", { tlsKey: ["/k.pem"] }],
    ["head-timeout", "0.5", { headTimeout: 0.5 }],
    ["ping", "0", { ping: 0 }],
    ["ping", "0.5", { ping: 0.5 }],
    ["keep-alive", "0", { keepAlive: 0 }],
    ["keep-alive", "32767", { keepAlive: 32767 }],
    ["ping", "1000000", { ping: 1000000 }],
    ["reuse-port", "true", { reusePort: true }],
    ["backend", "file", { backend: "file" }],
    ["engine", "native", { engine: "native" }],
    ["origin", "https://a", { origin: ["https://a"] }],
    ["origin", " https://a , https://b,", {
      origin: ["https://a", "https://b"],
    }],
    ["origin", "https://a,*", { origin: "*" }],
    ["connect-timeout", "0.001", { connectTimeout: 0.001 }],
    ["max-message", "1", { maxMessage: 1 }],
    ["max-message", "1073741824", { maxMessage: 2 ** 30 }],
    ["max-buffer", "1", { maxBuffer: 1 }],
    ["compression", "on", { compression: 6 }],
    ["compression", "1", { compression: 1 }],
    ["compression", "9", { compression: 9 }],
    ["compression-memory", "0", { compressionMemory: 0 }],
    ["max-connections", "7", { maxConnections: 7 }],
    ["max-connections-per-address", "7", { maxConnectionsPerAddress: 7 }],
    ["idle-timeout", "0.5", { idleTimeout: 0.5 }],
    ["trusted-proxy", "10.0.0.0/8, unix", {
      trustedProxy: {
        networks: [{ family: 4, value: 0x0a000000n, bits: 8 }],
        unix: true,
      },
    }],
    ["allow-peer", "tcp://Redis.test:1-9", {
      allowPeer: [{ transport: "tcp", host: "redis.test", ports: [1, 9] }],
    }],
    ["drain-timeout", "0", { drainTimeout: 0 }],
    ["console", "/", { console: "/" }],
    ["health", "/a%20b/~!", { health: "/a%20b/~!" }],
    ["metrics", "/metrics", { metrics: "/metrics" }],
    ["web", "www", { web: "www" }],
    ["web-index", "vnc.html", { webIndex: ["vnc.html"] }],
    ["web-index", "a b.html , c", { webIndex: ["a b.html", "c"] }],
    ["web-listing", "true", { webListing: true }],
    ["log", "error", { log: "error" }],
    ["log", "warn", { log: "warn" }],
    ["log", "debug", { log: "debug" }],
    ["log-format", "json", { logFormat: "json" }],
  ];
  for (const [name, value, parsed] of cases) {
    assertEquals(optionNamed(name).parse(value), parsed, `${name} = ${value}`);
  }
});

Deno.test("coreOptions say why a value is not valid", { permissions }, () => {
  const whole = (value: string): string =>
    `it is a whole number, not "${value}"`;
  const seconds = (value: string): string =>
    `it is a number of seconds, not "${value}"`;
  const cases: [name: string, value: string, message: string][] = [
    ...["", "x", "-1", "+1", "1.5", "0x10", "1e3", " 1", "８"].map((
      value,
    ): [string, string, string] => ["port", value, whole(value)]),
    ["port", "65536", "it is 0 to 65535, not 65536"],
    ["threads", "many", 'it is auto or a whole number, not "many"'],
    ["listen", "*", 'all addresses are "::" or "0.0.0.0", not "*"'],
    ...["localhost:80", "0.0.0.0:80", "[::1]:80", ":80"].map((
      value,
    ): [string, string, string] => [
      "listen",
      value,
      `it is a host without a port, not "${value}": 80 is for the option port`,
    ]),
    ["max-message", "0", "it is 1 to 1073741824, not 0"],
    ["max-message", "1073741825", "it is 1 to 1073741824, not 1073741825"],
    ...["8", "60", "1777", "608", "rw-", "0o600"].map((
      value,
    ): [string, string, string] => [
      "listen-mode",
      value,
      `it is three octal digits, not "${value}"`,
    ]),
    ["head-timeout", "0", "it is 0.001 to 1000000 seconds, not 0"],
    ["max-buffer", "0", "it is 1 to 1099511627776, not 0"],
    ["max-buffer", "16M", whole("16M")],
    ["compression", "0", 'it is off, on or a level from 1 to 9, not "0"'],
    ["compression", "10", 'it is off, on or a level from 1 to 9, not "10"'],
    ["compression", "yes", 'it is off, on or a level from 1 to 9, not "yes"'],
    ["max-connections", "-1", whole("-1")],
    ["max-connections-per-address", "x", whole("x")],
    ["idle-timeout", "x", seconds("x")],
    [
      "trusted-proxy",
      "::1,proxy",
      '"proxy" is neither an IP address nor a network as ADDRESS/BITS',
    ],
    [
      "allow-peer",
      "tcp://h:x",
      'its host is a name, an address, a network or *, and its port a number, a range or *, in "tcp://h:x"',
    ],
    ...["", "x", "-1", ".5", "1.", "1e3", "Infinity", "10s"].map((
      value,
    ): [string, string, string] => ["ping", value, seconds(value)]),
    ["ping", "1000001", "it is 0 to 1000000 seconds, not 1000001"],
    ["connect-timeout", "0", "it is 0.001 to 1000000 seconds, not 0"],
    ["drain-timeout", "x", seconds("x")],
    ["backend", "", "it is empty"],
    ...["health", "/a b", "/a?b", "/a#b", "//host\t", "/ä"].map((
      value,
    ): [string, string, string] => [
      "health",
      value,
      `it is a path such as /path, not "${value}"`,
    ]),
    ...["", "a,", "../a", "a/b", ".hidden", "a\\b"].map((
      value,
    ): [string, string, string] => [
      "web-index",
      value,
      `it is the name of a file, without a path and without a dot at its start, not "${
        value.split(",").at(-1)
      }"`,
    ]),
    ["web-listing", "yes", 'it is one of true, false, not "yes"'],
    ["origin", "", "it names no origin"],
    [
      "origin",
      "https://a/",
      'no browser sends "https://a/": write https://a',
    ],
    ["origin", " , ", "it names no origin"],
    ["log", "trace", 'it is one of error, warn, info, debug, not "trace"'],
    ["log", "INFO", 'it is one of error, warn, info, debug, not "INFO"'],
    ["engine", "Native", 'it is one of stream, native, not "Native"'],
    ["log-format", "xml", 'it is one of text, json, not "xml"'],
    ["listen", "", 'it is a host or unix:PATH, not ""'],
    ["listen", "a b", 'it is a host or unix:PATH, not "a b"'],
    ["listen", "tcp://h", 'it is a host or unix:PATH, not "tcp://h"'],
    ["listen", "unix:", "it needs the path of a socket after unix:"],
    ["listen", "unix:a\0b", "it needs the path of a socket after unix:"],
  ];
  for (const [name, value, message] of cases) {
    const error = assertThrows(() => optionNamed(name).parse(value));
    assertInstanceOf(error, Error);
    assertEquals(error.message, message);
    const isRange = /^it is [\d.]+ to/.test(message);
    assertEquals(error instanceof (isRange ? RangeError : SyntaxError), true);
  }
});

Deno.test("formatListen() writes what the option takes, with a port", {
  permissions,
}, () => {
  const cases: [listen: string, text: string][] = [
    ["h", "h:8001"],
    ["::", "[::]:8001"],
    ["[::1]", "[::1]:8001"],
    ["unix:/run/x", "unix:/run/x"],
  ];
  for (const [value, text] of cases) {
    const { listen } = optionNamed("listen").parse(value);
    assertEquals(formatListen(listen!, 8001), text);
  }
});
