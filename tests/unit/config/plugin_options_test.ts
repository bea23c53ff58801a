import { assertEquals, assertThrows } from "@std/assert";
import { parseArguments } from "../../../core/cli/arguments.ts";
import { parseConfigFile, resolveConfig } from "../../../core/config/config.ts";
import { ConfigError } from "../../../core/errors.ts";
import { isSpecifier, noGrants } from "../../../core/config/plugin_options.ts";

const permissions = "none";
const hash = `${"A".repeat(43)}=`;

Deno.test("resolveConfig() puts a plugin's options together", {
  permissions,
}, () => {
  const file = parseConfigFile(
    `[plugin a]
net = h, h:1, [::1]:2
url = ./a.ts
integrity = sha256-${hash}
read = /x,,y, ./z
net = *.h
[core]
port = 1
[plugin b]
url = b.ts
trust = full
env = A, B_*`,
    "f",
  );
  const { options } = parseArguments(["--plugin", "b=https://h/b.ts"]);
  assertEquals(resolveConfig([...file, ...options]).plugins, [
    {
      name: "a",
      specifier: "./a.ts",
      sha256: hash,
      trusted: false,
      grants: {
        ...noGrants,
        net: ["h", "h:1", "[::1]:2", "*.h"],
        read: ["/x,y", "./z"],
      },
      origin: "f:3",
    },
    {
      name: "b",
      specifier: "https://h/b.ts",
      trusted: true,
      grants: { ...noGrants, env: ["A", "B_*"] },
      origin: "--plugin b",
    },
  ]);
});

Deno.test("resolveConfig() names the line of a plugin that is not valid", {
  permissions,
}, () => {
  const cases: [line: string, why: string][] = [
    ["url =", "it is empty"],
    ["user = root", "there is no such option"],
    ["trust = some", 'it is full, or not given, not "some"'],
    ["integrity = sha1-x", "it is sha256- and 32 bytes in base64"],
    ["integrity = sha256-AAAA", "it is sha256- and 32 bytes in base64"],
    ["net = a b", 'it lists HOST or HOST:PORT, not "a b"'],
    ["net = h:70000", 'not "h:70000"'],
    ["net = https://h", 'not "https://h"'],
    ["net = a,", 'not ""'],
    ["import = *", 'not "*"'],
    ["read =", 'it lists a path, not ""'],
    ["env = A-B", 'it lists the name of a variable, not "A-B"'],
  ];
  for (const [line, why] of cases) {
    const text = `[plugin a]\nurl = a.ts\n${line}`;
    const error = assertThrows(
      () => resolveConfig(parseConfigFile(text, "f")),
      ConfigError,
      why,
    );
    assertEquals(error.origin, "f:3", line);
  }
  const missing = assertThrows(
    () => resolveConfig(parseConfigFile("[plugin a]\nnet = h", "f")),
    ConfigError,
    'plugin "a" has no url',
  );
  assertEquals(missing.origin, "f:2");
});

Deno.test("a plugin's name cannot be taken for a path", { permissions }, () => {
  for (const name of ["a/b", "a.ts", "", "a b"]) {
    const error = assertThrows(
      () => parseConfigFile(`[core]\n[plugin ${name}]`, "f"),
      ConfigError,
      "the name of a plugin",
    );
    assertEquals(error.origin, "f:2");
  }
  for (const value of ["a.ts=x", "x", "=x"]) {
    assertThrows(() => parseArguments(["--plugin", value]), ConfigError);
  }
});

Deno.test("isSpecifier() tells paths and URLs from names", {
  permissions,
}, () => {
  const cases: [name: string, expected: boolean][] = [
    ["file", false],
    ["my_plugin-2", false],
    ["./a.ts", true],
    ["a.ts", true],
    ["a.mjs", true],
    ["dir/a", true],
    ["C:\\a", true],
    ["https://h/a", true],
  ];
  for (const [name, expected] of cases) {
    assertEquals(isSpecifier(name), expected, name);
  }
});
