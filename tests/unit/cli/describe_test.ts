import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  type GivenOption,
  resolveConfig,
} from "../../../core/config/config.ts";
import {
  describeConfig,
  describeDemo,
  describeFailure,
  explainListenError,
  formatUrl,
} from "../../../core/cli/describe.ts";
import { ConfigError } from "../../../core/errors.ts";
import {
  type CoreConfig,
  defaultCoreConfig,
} from "../../../core/config/options.ts";

const permissions = "none";

const unix: CoreConfig = {
  ...defaultCoreConfig,
  listen: { transport: "unix", path: "/run/x.sock" },
};

function listening(hostname: string): CoreConfig {
  return { ...defaultCoreConfig, listen: { transport: "tcp", hostname } };
}

Deno.test("describeFailure() makes one line of any error", {
  permissions,
}, () => {
  const cause = new Error("c");
  const cases: [error: unknown, text: string][] = [
    [new ConfigError("a", "f:1"), "f:1: a"],
    [new ConfigError("a", "f:1", { cause }), "f:1: a"],
    [new ConfigError("a"), "a"],
    [
      new Error("a", { cause: new ConfigError("b: c", "f:1", { cause }) }),
      "a: b: c",
    ],
    [new Error("a", { cause }), "a: c"],
    [new Error("a\n    at x\r\n\n b"), "a at x b"],
    [new ConfigError('not "a\nb"', "f:1"), 'f:1: not "a b"'],
    ["text", "text"],
    [undefined, "undefined"],
  ];
  for (const [error, text] of cases) assertEquals(describeFailure(error), text);
});

Deno.test("explainListenError() says where, why and what to do", {
  permissions,
}, () => {
  const { AddrInUse, AddrNotAvailable, NotCapable, PermissionDenied } =
    Deno.errors;
  const cases: [error: unknown, core: CoreConfig, text: RegExp][] = [
    [
      new AddrInUse("x"),
      defaultCoreConfig,
      /^Cannot listen on \[::\]:8001: it is in use; .* -p$/,
    ],
    [
      new AddrInUse("x"),
      unix,
      /^Cannot listen on unix:\/run\/x\.sock: it is in use; .* path with -l$/,
    ],
    [
      new PermissionDenied("x"),
      unix,
      /^Cannot listen on unix:\/run\/x\.sock: the system denies it; .* -l /,
    ],
    [
      new NotCapable("run again with --allow-write"),
      unix,
      /^Cannot listen on unix:\/run\/x\.sock: run again with --allow-write$/,
    ],
    [
      new AddrNotAvailable("x"),
      listening("1.2.3.4"),
      /^Cannot listen on 1\.2\.3\.4:8001: this machine has no such address; .* -l$/,
    ],
    [
      Object.assign(new Error("x"), { code: "EAFNOSUPPORT" }),
      listening("::"),
      /^Cannot listen on \[::\]:8001: this system has no IPv6; .* 0\.0\.0\.0,.* -l$/,
    ],
    [
      new PermissionDenied("x"),
      { ...defaultCoreConfig, port: 80 },
      /^Cannot listen on \[::\]:80: the system denies it; .* 1024 .* -p, /,
    ],
    [
      new NotCapable("run again with --allow-net"),
      listening("h"),
      /^Cannot listen on h:8001: run again with --allow-net$/,
    ],
    [
      new Error("a", { cause: "b" }),
      listening("h"),
      /^Cannot listen on h:8001: a: b$/,
    ],
  ];
  for (const [error, core, text] of cases) {
    assertMatch(explainListenError(error, core).message, text);
  }
});

Deno.test("formatUrl() names what clients connect to", { permissions }, () => {
  assertEquals(formatUrl(defaultCoreConfig, 1), "ws://[::]:1/");
  assertEquals(formatUrl(listening("h"), 65535), "ws://h:65535/");
  assertEquals(formatUrl(unix, 0), "unix:/run/x.sock");
  const tls = { ...listening("h"), tlsCert: ["c.pem"], tlsKey: ["k.pem"] };
  assertEquals(formatUrl(tls, 443), "wss://h:443/");
});

Deno.test("describeConfig() tells of the backend that is loaded at the end", {
  permissions,
}, () => {
  function backend(option: string, value: string): GivenOption {
    return { section: "backend", option, value, origin: `-c ${option}` };
  }
  function core(option: string, value: string): GivenOption {
    return { section: "core", option, value, origin: `--${option}` };
  }
  const cases: [options: GivenOption[], lines: string[]][] = [
    [[], ["listen on [::]:8001, engine stream", "backend defaultpeer"]],
    [
      [core("port", "0"), core("listen", "unix:/x")],
      ["listen on unix:/x, engine stream", "backend defaultpeer"],
    ],
    [
      [
        core("console", "/c"),
        core("health", "/h"),
        core("metrics", "/m"),
        core("web", "www"),
      ],
      [
        "listen on [::]:8001, engine stream",
        "backend defaultpeer",
        "console at /c",
        "health at /h",
        "metrics at /m",
        "files of www",
      ],
    ],
    [
      [
        core("backend", "redis"),
        backend("url", "redis://user:s3cret@host/1"),
        backend("password", "s3cret"),
        backend("key", "desk:%endpoint%"),
      ],
      [
        "listen on [::]:8001, engine stream",
        "backend redis, with",
        "  url = redis://(not shown)@host/1",
        "  password = (not shown)",
        "  key = desk:%endpoint%",
      ],
    ],
    [
      [core("web", "www"), core("web-listing", "true")],
      [
        "listen on [::]:8001, engine stream",
        "backend defaultpeer",
        "files of www, with listings",
      ],
    ],
    [
      [core("threads", "auto")],
      [
        "listen on [::]:8001, engine stream, threads auto",
        "backend defaultpeer",
      ],
    ],
    [
      [core("tls-cert", "c.pem"), core("tls-key", "k.pem")],
      [
        "listen on wss://[::]:8001/, engine stream",
        "certificate c.pem, key k.pem",
        "backend defaultpeer",
      ],
    ],
    [
      [
        backend("host", "h"),
        core("backend", "file"),
        backend("path", "/x"),
        backend("expression", "%endpoint%"),
        backend("expression", ""),
        core("port", "1"),
      ],
      [
        "listen on [::]:1, engine stream",
        "backend file, with",
        "  path = /x",
        "  expression = %endpoint%",
        "  expression = ",
      ],
    ],
  ];
  for (const [options, lines] of cases) {
    assertEquals(
      describeConfig(resolveConfig(options)).split("\n"),
      ["The configuration is valid.", ...lines],
    );
  }
});

Deno.test("describeDemo() gives a URL to connect to and a command to try", {
  permissions,
}, () => {
  const cases: [core: CoreConfig, host: string][] = [
    [defaultCoreConfig, "localhost"],
    [listening("0.0.0.0"), "localhost"],
    [listening("127.0.0.1"), "127.0.0.1"],
    [listening("::1"), "[::1]"],
  ];
  for (const [core, host] of cases) {
    const text = describeDemo(core, 9001, "/bin/deno");
    assertStringIncludes(text, `Connect a WebSocket to ws://${host}:9001/,`);
    assertMatch(text, /^ {2}\/bin\/deno eval ".*"$/m);
    const script = /eval "(.*)"$/m.exec(text)![1]!;
    assertStringIncludes(script, `new WebSocket('ws://${host}:9001/')`);
    // A shell leaves a script in double quotes as it is only without these.
    assertEquals(/["$`!]/.test(script), false, script);
    // It has the syntax of a program.
    new Function(script);
    assertEquals(text.includes("browser"), false);
  }
  const tls = { ...defaultCoreConfig, tlsCert: ["c.pem"], tlsKey: ["k.pem"] };
  assertStringIncludes(
    describeDemo({ ...defaultCoreConfig, console: "/" }, 9001, "deno"),
    "Open http://localhost:9001/ in a browser",
  );
  assertStringIncludes(
    describeDemo({ ...tls, console: "/debug" }, 9001, "deno"),
    "Open https://localhost:9001/debug in a browser",
  );
  const onPath = describeDemo({ ...unix, console: "/" }, 0, "deno");
  assertEquals(onPath.includes("browser"), false);
});

Deno.test("describeConfig() tells of access sections, and where they apply", {
  permissions,
}, () => {
  const options: GivenOption[] = [
    ...[["users", "u"], ["jwt-key", "k.pem"], ["rate", "10/s"]].map((
      [option = "", value = ""],
    ): GivenOption => ({
      section: "access",
      name: "a",
      option,
      value,
      origin: "f",
    })),
    { section: "access", name: "b", option: "rate", value: "1/s", origin: "f" },
    { section: "access", name: "c", option: "rate", value: "1/s", origin: "f" },
    { section: "core", option: "access", value: "a", origin: "f" },
    { section: "core", option: "admin", value: "[::1]:1", origin: "f" },
    { section: "core", option: "admin-access", value: "b", origin: "f" },
    { section: "core", option: "access-log", value: "-", origin: "f" },
    { section: "route", name: "/x", option: "access", value: "a", origin: "f" },
  ];
  assertEquals(describeConfig(resolveConfig(options)).split("\n"), [
    "The configuration is valid.",
    "listen on [::]:8001, engine stream",
    "operators on [::1]:1, access b",
    "all requests: access a",
    "route /x, access a: backend defaultpeer",
    "all other requests: 404",
    "access a: a password in u or a token by k.pem, limits",
    "access b: limits",
    "access c: limits (protects nothing: no option names it)",
    "access log -",
  ]);
});
