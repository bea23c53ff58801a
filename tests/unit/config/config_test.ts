import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  type BackendStep,
  type GivenOption,
  override,
  parseConfigFile,
  resolveConfig,
} from "../../../core/config/config.ts";
import { parseArguments } from "../../../core/cli/arguments.ts";
import { ConfigError } from "../../../core/errors.ts";
import { defaultCoreConfig } from "../../../core/config/options.ts";

const permissions = "none";

/** The value that reaches the backend for `option = VALUE` in a file. */
function valueOf(written: string): string {
  const [given, ...others] = parseConfigFile(
    `[backend]\noption${written}\n`,
    "f",
  );
  assertEquals(others, []);
  assertEquals(given?.option, "option");
  return given!.value;
}

function assertConfigError(
  fn: () => unknown,
  origin: string,
  message: string,
): void {
  const error = assertThrows(fn);
  assertInstanceOf(error, ConfigError);
  assertEquals([error.origin, error.message], [origin, message]);
}

Deno.test("parseConfigFile() keeps values as they were written", {
  permissions,
}, () => {
  const same = [
    ..."0080 0 -0 0x10 0b1 1e3 1.50 Infinity NaN true false null".split(" "),
    "undefined",
    "a b  c",
    "a=b=c",
    "==",
    "=",
    "a # b",
    "#a",
    "; a",
    "//a",
    "tcp://[::1]:80",
    "[core]",
    '"',
    'a"b',
    '"a',
    'a"',
    '"a" b',
    "'a'",
    "\\n\\x41\\",
    "%endpoint%/$&$1${x}",
    "grüß €😀",
    "a\tb",
    "1:2",
  ];
  for (const value of same) {
    assertEquals(valueOf(` = ${value}`), value);
    assertEquals(valueOf(`=${value}`), value);
    assertEquals(valueOf(` \t=\t ${value} \t`), value);
    assertEquals(valueOf(` = "${value}"`), value);
  }
  const cases: [written: string, value: string][] = [
    [" =", ""],
    ["=", ""],
    [' = ""', ""],
    [' = " "', " "],
    [' = "  a  "', "  a  "],
    [' = "\ta"  ', "\ta"],
    [' = ""a""', '"a"'],
    [' = "a" "b"', 'a" "b'],
    [' = "true"', "true"],
    [' = """', '"'],
  ];
  for (const [written, value] of cases) assertEquals(valueOf(written), value);
});

Deno.test("parseConfigFile() gives each pair its section and its line", {
  permissions,
}, () => {
  const text = [
    "# comment",
    "[core]",
    "port = 1",
    "",
    "  ; comment",
    "\tlisten = h",
    "// comment",
    "[backend]",
    "two words = 2",
    "",
  ];
  const options: GivenOption[] = [
    { section: "core", option: "port", value: "1", origin: "a.ini:3" },
    { section: "core", option: "listen", value: "h", origin: "a.ini:6" },
    { section: "backend", option: "two words", value: "2", origin: "a.ini:9" },
  ];
  for (const newline of ["\n", "\r\n", "\r"]) {
    const joined = text.join(newline);
    assertEquals(parseConfigFile(joined, "a.ini"), options);
    assertEquals(parseConfigFile(joined.trimEnd(), "a.ini"), options);
    assertEquals(parseConfigFile(`\ufeff${joined}`, "a.ini"), options);
  }
  assertEquals(
    parseConfigFile("[core]\r\nport=1\n\rlisten=h\r\r\nping=2", "f").map((
      { origin },
    ) => origin),
    ["f:2", "f:4", "f:6"],
  );
});

Deno.test("parseConfigFile() takes what stands before any section for [core]", {
  permissions,
}, () => {
  assertEquals(
    parseConfigFile(
      "# x\nport = 1\n[backend]\nhost = h\n[core]\nping = 2",
      "f",
    ),
    [
      { section: "core", option: "port", value: "1", origin: "f:2" },
      { section: "core", option: "ping", value: "2", origin: "f:6" },
      { section: "backend", option: "host", value: "h", origin: "f:4" },
    ],
  );
});

Deno.test("parseConfigFile() takes comments behind sections", {
  permissions,
}, () => {
  for (const comment of ["# c", "; c", "// c", "# [x]", "// see [x] = y", ""]) {
    for (const space of [" ", "\t", "  "]) {
      assertEquals(
        parseConfigFile(`[backend]${space}${comment}\nhost = h`, "f"),
        [{ section: "backend", option: "host", value: "h", origin: "f:2" }],
        comment,
      );
    }
  }
  assertEquals(
    parseConfigFile("[plugin a]# c\nurl = u", "f")[0]?.section,
    "plugin",
  );
  assertConfigError(
    () => parseConfigFile("[core]]\n", "f"),
    "f:1",
    "unknown section [core]]; did you mean [core]?",
  );
});

Deno.test("parseConfigFile() names the line of a byte that is not UTF-8", {
  permissions,
}, () => {
  const bytes = (text: string): Uint8Array =>
    Uint8Array.from(text, (character) => character.charCodeAt(0));
  // Each character is a byte here, as in Latin-1.
  const cases: [text: string, line: number, why: string][] = [
    ["[core]\n# M\xfcller\nport = 1", 2, 'byte fc in "# M\ufffdller"'],
    ["\xff\xfe[\0c\0", 1, 'byte ff in "\ufffd\ufffd[ c"'],
    ["[core]\r\n\r\nlog = \xc3", 3, 'byte c3 in "log = \ufffd"'],
    ["[core]\rlisten = \xc3\xa4\r\xa4", 3, 'byte a4 in "\ufffd"'],
    ["a = \xed\xa0\x80", 1, 'byte ed in "a = \ufffd\ufffd\ufffd"'],
  ];
  for (const [text, line, why] of cases) {
    assertConfigError(
      () => parseConfigFile(bytes(text), "f"),
      `f:${line}`,
      `it is not UTF-8: ${why}`,
    );
  }
  const written = "[backend]\nhost = gr\u00fc\u00df.test";
  for (const mark of ["", "\ufeff"]) {
    assertEquals(
      parseConfigFile(new TextEncoder().encode(mark + written), "f"),
      parseConfigFile(written, "f"),
    );
  }
});

Deno.test("parseConfigFile() takes files in which nothing is set", {
  permissions,
}, () => {
  for (
    const text of ["", "\ufeff", "\n\n", "# x\n;x\n//x", "[core]\n[backend]"]
  ) {
    assertEquals(parseConfigFile(text, "f"), []);
  }
});

Deno.test("parseConfigFile() repeats repeated keys and sections in order", {
  permissions,
}, () => {
  const text = `
[backend]
expression = b
path = /x
expression = a
[core]
port = 1
[backend]
expression = b
[ core ]
port = 2
`;
  assertEquals(
    parseConfigFile(text, "f").map(({ option, value }) => `${option}=${value}`),
    [
      "port=1",
      "port=2",
      "expression=b",
      "path=/x",
      "expression=a",
      "expression=b",
    ],
  );
});

Deno.test("parseConfigFile() hands over keys that objects have anyway", {
  permissions,
}, () => {
  const text = "[backend]\n__proto__ = 1\nconstructor = 2\n__proto__ = 3";
  assertEquals(
    parseConfigFile(text, "f").map(({ option, value }) => [option, value]),
    [["__proto__", "1"], ["constructor", "2"], ["__proto__", "3"]],
  );
});

Deno.test("parseConfigFile() names file and line of what it cannot read", {
  permissions,
}, () => {
  const end =
    "cannot read this line: a section is [NAME], and only a comment may follow it";
  const neither =
    "cannot read this line: it is neither [SECTION], nor OPTION = VALUE, nor a comment";
  const cases: [text: string, line: number, message: string][] = [
    ["[core]\nport", 2, neither],
    ["[core]\nport 8001", 2, neither],
    ["[core]\n\n\n8001", 4, neither],
    ["port: 8001", 1, neither],
    ["[core]\n= 1", 2, neither],
    ["[core", 1, end],
    ["[core]\n[backend] comment", 2, end],
    ["[core]\n[a] = b", 2, end],
    ["[]", 1, "unknown section []"],
    ["[ ]", 1, "unknown section []"],
    ["[Core]", 1, "unknown section [Core]; did you mean [core]?"],
    ["[core]\nport=1\n[other]\nx=1", 3, "unknown section [other]"],
    ["[toString]", 1, "unknown section [toString]"],
  ];
  for (const [text, line, message] of cases) {
    for (const newline of ["\n", "\r\n", "\r"]) {
      assertConfigError(
        () => parseConfigFile(text.replaceAll("\n", newline), "dir/a.ini"),
        `dir/a.ini:${line}`,
        message,
      );
    }
  }
});

Deno.test("resolveConfig() gives the defaults for no options", {
  permissions,
}, () => {
  assertEquals(resolveConfig([]), {
    core: defaultCoreConfig,
    backend: [{ step: "load", name: "defaultpeer", origin: undefined }],
    routes: [],
    plugins: [],
    access: new Map(),
  });
});

Deno.test("resolveConfig() takes the last value of a core option", {
  permissions,
}, () => {
  const { core } = resolveConfig([
    { section: "core", option: "port", value: "1", origin: "f:2" },
    { section: "core", option: "ping", value: "0", origin: "f:3" },
    { section: "core", option: "port", value: "2", origin: "-p" },
  ]);
  assertEquals(core, { ...defaultCoreConfig, port: 2, ping: 0 });
});

Deno.test("resolveConfig() adds up the values of allow-peer", {
  permissions,
}, () => {
  const cases: [values: string[], hosts: string[] | "*"][] = [
    [["tcp://a"], ["a"]],
    [["tcp://a", "udp://b", "tcp://a"], ["a", "b", "a"]],
    [["tcp://a", "*", "tcp://b"], "*"],
    [["*", "tcp://b"], "*"],
  ];
  for (const [values, hosts] of cases) {
    const { core: { allowPeer } } = resolveConfig(values.map((value) => ({
      section: "core",
      option: "allow-peer",
      value,
      origin: "f:1",
    })));
    const given = allowPeer === "*"
      ? allowPeer
      : allowPeer.map((pattern) => "host" in pattern && pattern.host);
    assertEquals(given, hosts, values.join());
  }
});

Deno.test("resolveConfig() loads and configures the backend in order", {
  permissions,
}, () => {
  const load = (name: string, origin?: string): BackendStep => ({
    step: "load",
    name,
    origin,
  });
  const configure = (
    option: string,
    value: string,
    origin: string,
  ): BackendStep => ({ step: "configure", option, value, origin });
  // The file names its backend last; the command line then names another.
  const file = parseConfigFile(
    "[backend]\npath = /x\nexpression = a\nexpression = b\n[core]\nport = 1\nbackend = file",
    "f",
  );
  const line: GivenOption[] = [
    { section: "backend", option: "path", value: "/y", origin: "-c path" },
    { section: "core", option: "backend", value: "defaultpeer", origin: "-b" },
    { section: "backend", option: "host", value: "h", origin: "-c host" },
  ];
  assertEquals(resolveConfig(file).backend, [
    load("defaultpeer"),
    load("file", "f:7"),
    configure("path", "/x", "f:2"),
    configure("expression", "a", "f:3"),
    configure("expression", "b", "f:4"),
  ]);
  const { core, backend } = resolveConfig([...file, ...line]);
  assertEquals(backend.slice(5), [
    configure("path", "/y", "-c path"),
    load("defaultpeer", "-b"),
    configure("host", "h", "-c host"),
  ]);
  assertEquals([core.backend, core.port], ["defaultpeer", 1]);
});

Deno.test("override() replaces what a file gives, also where values add up", {
  permissions,
}, () => {
  const file = `
    allow-peer = tcp://a
    allow-peer = tcp://b
    ping = 1
    [backend]
    host = a
    host = b
    port = 1
    [route /one]
    host = a
    [route /two]
    host = b
  `;
  const { options } = parseArguments([
    ...["--allow-peer", "tcp://c", "--allow-peer", "tcp://d", "-k", "2"],
    ...["-c", "host=c", "-c", "host=d", "--route", "/one", "-c", "host=c"],
  ]);
  const { core, backend, routes } = resolveConfig(
    override(parseConfigFile(file, "f"), options),
  );
  const valuesOf = (steps: readonly BackendStep[]): string[] =>
    steps.flatMap((step) =>
      step.step === "configure" ? [`${step.option} ${step.value}`] : []
    );
  assertEquals(valuesOf(backend), ["port 1", "host c", "host d"]);
  assertEquals(
    routes.map(({ pattern, backend }) => [pattern.text, ...valuesOf(backend)]),
    [["/one", "host c"], ["/two", "host b"]],
  );
  assertEquals(core.ping, 2);
  assertEquals(
    core.allowPeer,
    resolveConfig(parseConfigFile(
      "allow-peer = tcp://c\nallow-peer = tcp://d",
      "f",
    )).core.allowPeer,
  );
  // What another backend was given stays its own.
  const other = parseArguments(["-b", "file", "-c", "path=p"]).options;
  const steps = resolveConfig(override(parseConfigFile(file, "f"), other));
  assertEquals(valuesOf(steps.backend), [
    ...["host a", "host b", "port 1", "path p"],
  ]);
});

Deno.test("resolveConfig() names the origin of what it cannot use", {
  permissions,
}, () => {
  const cases: [option: string, value: string, message: string][] = [
    ["prot", "1", 'unknown option "prot" in [core]; did you mean "port"?'],
    ["Port", "1", 'unknown option "Port" in [core]; did you mean "port"?'],
    ["toString", "1", 'unknown option "toString" in [core]'],
    ["", "1", 'unknown option "" in [core]'],
    ["port", "x", 'cannot use port: it is a whole number, not "x"'],
    ["port", "65536", "cannot use port: it is 0 to 65535, not 65536"],
    ["ping", "", 'cannot use ping: it is a number of seconds, not ""'],
    ["backend", "", "cannot use backend: it is empty"],
  ];
  for (const [option, value, message] of cases) {
    assertConfigError(
      () => resolveConfig([{ section: "core", option, value, origin: "f:7" }]),
      "f:7",
      message,
    );
  }
});

Deno.test("resolveConfig() takes a certificate and its key together", {
  permissions,
}, () => {
  const set = (option: string, value: string): GivenOption => ({
    section: "core",
    option,
    value,
    origin: `f:${option}`,
  });
  const both = [set("tls-key", "k"), set("tls-cert", "c")];
  const { tlsCert, tlsKey } = resolveConfig(both).core;
  assertEquals({ tlsCert, tlsKey }, { tlsCert: ["c"], tlsKey: ["k"] });
  // An empty value takes back what a file says.
  const none = resolveConfig([
    ...both,
    set("tls-cert", ""),
    set("tls-key", ""),
  ]);
  assertEquals(none.core.tlsCert, []);
  const two = [...both, set("tls-cert", "c2"), set("tls-key", "k2")];
  assertEquals(resolveConfig(two).core.tlsCert, ["c", "c2"]);
  assertEquals(resolveConfig(two).core.tlsKey, ["k", "k2"]);
  assertConfigError(
    () => resolveConfig([...both, set("tls-cert", "c2")]),
    "f:tls-cert",
    "cannot use tls-cert: it is given 2 times, and tls-key 1 times",
  );
  assertConfigError(
    () => resolveConfig([...two, set("engine", "native")]),
    "f:tls-cert",
    "cannot use tls-cert: engine native has only one certificate",
  );
  assertConfigError(
    () => resolveConfig([set("tls-cert", "c")]),
    "f:tls-cert",
    "cannot use tls-cert: it needs tls-key, too",
  );
  assertConfigError(
    () => resolveConfig([...both, set("tls-cert", "")]),
    "f:tls-key",
    "cannot use tls-key: it needs tls-cert, too",
  );
  assertConfigError(
    () => resolveConfig([...both, set("listen", "unix:/x")]),
    "f:tls-cert",
    "cannot use tls-cert: a Unix socket has no TLS",
  );
});

Deno.test(
  "resolveConfig() names the place of an access section that is missing",
  {
    permissions,
  },
  () => {
    const text = (access: string, more = ""): string =>
      `[core]\n${more}\n[route /a]\nhost = h:1\naccess = ${access}\n`;
    assertConfigError(
      () => resolveConfig(parseConfigFile(text("x"), "f")),
      "f:5",
      'cannot use access of route "/a": there is no section [access x]',
    );
    assertConfigError(
      () => resolveConfig(parseConfigFile(text("x", "access = y"), "f")),
      "f:2",
      "cannot use access: there is no section [access y]",
    );
  },
);
