import {
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type Arguments, parseArguments } from "../../../core/cli/arguments.ts";
import type { GivenOption } from "../../../core/config/config.ts";
import { ConfigError } from "../../../core/errors.ts";
import { formatHelp } from "../../../core/cli/help.ts";
import { coreOptions } from "../../../core/config/options.ts";

const permissions = "none";

/** Options as `[section, option, value]`, in order. */
function optionsOf(argv: readonly string[]): string[][] {
  return parseArguments(argv).options.map((
    { section, option, value },
  ) => [section, option, value]);
}

function core(option: string, value: string, origin: string): GivenOption {
  return { section: "core", option, value, origin };
}

Deno.test("parseArguments() gives nothing for no arguments", {
  permissions,
}, () => {
  const nothing: Arguments = {
    configFile: undefined,
    options: [],
    completions: undefined,
    lockPlugin: undefined,
    help: false,
    version: false,
    check: false,
    json: false,
    demo: false,
  };
  assertEquals(parseArguments([]), nothing);
  assertEquals(parseArguments(["--"]), nothing);
});

Deno.test("parseArguments() takes every short and long option", {
  permissions,
}, () => {
  const cases: [argv: string[], option: GivenOption][] = [
    [["-p", "8001"], core("port", "8001", "-p")],
    [["-p8001"], core("port", "8001", "-p")],
    [["-l", "::1"], core("listen", "::1", "-l")],
    [["-l::1"], core("listen", "::1", "-l")],
    [["--access-log", "-"], core("access-log", "-", "--access-log")],
    [["--access-log=-"], core("access-log", "-", "--access-log")],
    [["-p", "-1"], core("port", "-1", "-p")],
    [["--ping", "-0.5"], core("ping", "-0.5", "--ping")],
    [["-k", "0"], core("ping", "0", "-k")],
    [["-b", "file"], core("backend", "file", "-b")],
    [["-c", "host=h"], {
      section: "backend",
      option: "host",
      value: "h",
      origin: "-c host",
    }],
    ...coreOptions.flatMap(({ name }): [string[], GivenOption][] => [
      [[`--${name}`, "x"], core(name, "x", `--${name}`)],
      [[`--${name}=x`], core(name, "x", `--${name}`)],
    ]),
  ];
  for (const [argv, option] of cases) {
    assertEquals(parseArguments(argv).options, [option], argv.join(" "));
  }
});

Deno.test("parseArguments() hands values over verbatim", {
  permissions,
}, () => {
  for (
    const value of ["007", "0x10", "1e3", "true", "null", " a ", '"a"', "a=b"]
  ) {
    assertEquals(optionsOf(["-p", value]), [["core", "port", value]]);
    assertEquals(optionsOf([`--port=${value}`]), [["core", "port", value]]);
    assertEquals(optionsOf(["-c", `o=${value}`]), [["backend", "o", value]]);
  }
  assertEquals(optionsOf(["-c", "o="]), [["backend", "o", ""]]);
  assertEquals(optionsOf(["-c", "o=-1"]), [["backend", "o", "-1"]]);
  assertEquals(optionsOf(["-c", "a.b=1"]), [["backend", "a.b", "1"]]);
  assertEquals(optionsOf(["--listen=-x"]), [["core", "listen", "-x"]]);
});

Deno.test("parseArguments() keeps the order of different options", {
  permissions,
}, () => {
  assertEquals(
    optionsOf([
      ..."-c host=a --port=1 -b file -c path=b -p 2 --backend x".split(" "),
      ..."-c path=c -c path=d --ping 3 -k 4".split(" "),
    ]),
    [
      ["backend", "host", "a"],
      ["core", "port", "1"],
      ["core", "backend", "file"],
      ["backend", "path", "b"],
      ["core", "port", "2"],
      ["core", "backend", "x"],
      ["backend", "path", "c"],
      ["backend", "path", "d"],
      ["core", "ping", "3"],
      ["core", "ping", "4"],
    ],
  );
});

Deno.test("parseArguments() takes one configuration file, options after it", {
  permissions,
}, () => {
  for (const file of ["a.ini", "/etc/x", "123", "a=b", "true", "-"]) {
    assertEquals(parseArguments([file]).configFile, file);
    const args = parseArguments([file, "-p", "1"]);
    assertEquals(args.configFile, file);
    assertEquals(args.options, [core("port", "1", "-p")]);
  }
  const args = parseArguments(["--check", "a.ini", "-k", "1"]);
  assertEquals([args.check, args.configFile], [true, "a.ini"]);
});

Deno.test("parseArguments() takes options without a value anywhere", {
  permissions,
}, () => {
  const cases: [argv: string[], set: string[]][] = [
    [["-h"], ["help"]],
    [["--help"], ["help"]],
    [["-V"], ["version"]],
    [["--version"], ["version"]],
    [["--check"], ["check"]],
    [["--demo"], ["demo"]],
    [["-hV"], ["help", "version"]],
    [["-p", "1", "--check"], ["check"]],
    [["--check", "-p", "1", "--demo"], ["check", "demo"]],
  ];
  for (const [argv, set] of cases) {
    const { help, version, check, demo } = parseArguments(argv);
    const flags = Object.entries({ help, version, check, demo });
    assertEquals(
      flags.filter(([, value]) => value).map(([name]) => name),
      set,
      argv.join(" "),
    );
  }
});

Deno.test("parseArguments() names the culprit in one line", {
  permissions,
}, () => {
  const unknown = "unknown option; see --help";
  const missing = "it needs a value";
  const late =
    "unexpected argument; a configuration file comes first, options after it";
  function space(option: string): string {
    return `unknown option; if ${option} is meant, put a space before its value`;
  }
  const cases: [argv: string[], origin: string, message: string][] = [
    [["-z"], '"-z"', unknown],
    [["-z", "1"], '"-z"', unknown],
    [["-P", "1"], '"-P"', unknown],
    [["-zabc"], '"-zabc"', unknown],
    [["--zz"], '"--zz"', unknown],
    [["--zz=1"], '"--zz=1"', unknown],
    [["--Port", "1"], '"--Port"', 'unknown option; did you mean "--port"?'],
    [["--p", "1"], '"--p"', unknown],
    [["--c", "a=b"], '"--c"', unknown],
    [["--no-check"], '"--no-check"', 'unknown option; did you mean "--check"?'],
    [
      ["--no-port", "1"],
      '"--no-port"',
      'unknown option; did you mean "--port"?',
    ],
    [["---port", "1"], '"---port"', 'unknown option; did you mean "--port"?'],
    [["--port.x", "1"], '"--port.x"', 'unknown option; did you mean "--port"?'],
    [["--__proto__", "1"], '"--__proto__"', unknown],
    [["--toString", "1"], '"--toString"', unknown],
    [["--a\nb"], '"--a\\nb"', unknown],
    [["-chost=x"], '"-chost=x"', space("-c")],
    [["-p=8001"], '"-p=8001"', space("-p")],
    [["-p="], '"-p="', space("-p")],
    [["-port", "80"], '"-port"', space("-p")],
    [["-k30s"], '"-k30s"', space("-k")],
    [["-lhost"], '"-lhost"', space("-l")],
    [["-bfile"], '"-bfile"', space("-b")],
    [["-p"], "-p", missing],
    [["-p", ""], "-p", missing],
    [["-p", "-x"], "-p", missing],
    [["-c", "-1"], "-c", 'it takes OPTION=VALUE, not "-1"'],
    [["-p", "1", "-1"], '"-1"', unknown],
    [["-p", "-k", "1"], "-p", missing],
    [["-c"], "-c", missing],
    [["--port"], "--port", missing],
    [["--port="], "--port", missing],
    [["--port", "--check"], "--port", missing],
    [["-c", "host"], "-c", 'it takes OPTION=VALUE, not "host"'],
    [["-c", "=x"], "-c", 'it takes OPTION=VALUE, not "=x"'],
    [["-p", "1", "a.ini"], '"a.ini"', late],
    [["a.ini", "b.ini"], '"b.ini"', late],
    [["--", "a.ini"], '"a.ini"', "unexpected argument"],
    [["-p", "1", "--", "7"], '"7"', "unexpected argument"],
  ];
  for (const [argv, origin, message] of cases) {
    const error = assertThrows(() => parseArguments(argv));
    assertInstanceOf(error, ConfigError, argv.join(" "));
    assertEquals([error.origin, error.message], [origin, message]);
  }
});

Deno.test("parseArguments() tells the first error of several", {
  permissions,
}, () => {
  const error = assertThrows(() => parseArguments(["-p", "1", "-y", "-z"]));
  assertInstanceOf(error, ConfigError);
  assertEquals(error.origin, '"-y"');
});

Deno.test("formatHelp() lists every option with its default, in 80 columns", {
  permissions,
}, () => {
  const help = formatHelp(["one", "two"]);
  const words = help.replaceAll(/\s+/g, " ");
  for (const { name, short, placeholder, default: value } of coreOptions) {
    assertStringIncludes(words, ` --${name} ${placeholder} `);
    if (short !== undefined) {
      assertStringIncludes(words, `-${short}, --${name}`);
    }
    const text = words.slice(words.indexOf(` --${name} `));
    assertStringIncludes(text.slice(0, 250), `(default: ${value || "none"})`);
  }
  for (
    const names of [
      "[CONFIG-FILE] [OPTION]...",
      "-c OPTION=VALUE",
      "-h, --help",
      "-V, --version",
      "--check",
      "--demo",
      "Backends: one, two.",
    ]
  ) assertStringIncludes(help, names);
  for (const line of help.split("\n")) {
    const isProse = line.startsWith("Documentation");
    assertEquals(line.length <= 80 || isProse, true, line);
    assertEquals(line, line.trimEnd());
  }
});

Deno.test("parseArguments() takes nothing in which a byte was replaced", {
  permissions,
}, () => {
  for (const argv of [["-c", "host=gr\ufffd\ufffd"], ["\ufffd.ini"]]) {
    const error = assertThrows(() => parseArguments(argv), ConfigError);
    assertEquals(error.message, "it holds a byte that is not UTF-8");
    assertEquals(error.origin, `"${argv.at(-1)}"`);
  }
});

Deno.test("parseArguments() gives options behind a route to it", {
  permissions,
}, () => {
  const { options } = parseArguments([
    ...["-c", "host=a", "--route", "/mqtt", "-c", "host=b", "-p", "1"],
    ...["--plugin", "p=x.ts", "--route=/vnc/*", "-b", "file"],
    ...["--origin", "https://a.example", "-c", "path=d"],
  ]);
  assertEquals(
    options.map((each) => [
      each.section,
      "name" in each ? each.name : "",
      each.option,
      each.value,
      each.origin,
    ]),
    [
      ["backend", "", "host", "a", "-c host"],
      ["route", "/mqtt", "host", "b", "-c host"],
      ["core", "", "port", "1", "-p"],
      ["plugin", "p", "url", "x.ts", "--plugin p"],
      ["route", "/vnc/*", "backend", "file", "-b"],
      ["route", "/vnc/*", "origin", "https://a.example", "--origin"],
      ["route", "/vnc/*", "path", "d", "-c path"],
    ],
  );
  for (
    const [argv, message] of [
      [["--route", "mqtt"], 'cannot use route "mqtt"'],
      [["--route", "/a", "-p", "1"], 'no option follows for route "/a"'],
      [
        ["--route", "/a", "--route", "/b", "-b", "file"],
        'no option follows for route "/a"',
      ],
    ] as const
  ) {
    const error = assertThrows(() => parseArguments(argv), ConfigError);
    assertInstanceOf(error, ConfigError);
    assertEquals(error.origin, "--route");
    assertStringIncludes(error.message, message);
  }
});
