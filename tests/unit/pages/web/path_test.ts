import { assertEquals } from "@std/assert";
import { isPlainName, parseWebPath } from "../../../../core/pages/web/path.ts";

const permissions = "none";

Deno.test("parseWebPath() finds a place below a folder", {
  permissions,
}, () => {
  const cases: readonly (readonly [
    target: string,
    names: string[],
    isFolder: boolean,
    last: string,
    query: string,
  ])[] = [
    ["/", [], true, "", ""],
    ["/?", [], true, "", "?"],
    ["/a", ["a"], false, "a", ""],
    ["/a/", ["a"], true, "a", ""],
    ["/a/b.txt?c=/../d?e", ["a", "b.txt"], false, "b.txt", "?c=/../d?e"],
    ["/%61%20b/%C3%A9", ["a b", "é"], false, "%C3%A9", ""],
    ["/a..b/c..d", ["a..b", "c..d"], false, "c..d", ""],
    ["/a+b/%2b%3F%23", ["a+b", "+?#"], false, "%2b%3F%23", ""],
    ["/%252e", ["%2e"], false, "%252e", ""],
  ];
  for (const [target, names, isFolder, last, query] of cases) {
    assertEquals(parseWebPath(target), { names, isFolder, last, query });
  }
});

Deno.test("parseWebPath() finds no place elsewhere", { permissions }, () => {
  const targets = [
    ...["", "a", "*", "?/a", "//", "//a", "/a//", "/a//b"],
    ...["/.", "/..", "/../a", "/a/../b", "/a/..", "/.a", "/a/.b", "/a/."],
    ...["/%2e", "/%2E%2e/a", "/a/%2e%2E", "/.%2e/a", "/%2ea"],
    ...["/a%2fb", "/a%2Fb", "/%2f", "/a\\b", "/a%5cb", "/a%5C..%5Cb"],
    ...["/a\0", "/a%00", "/%00", "/%", "/%a", "/%zz", "/%ff", "/%c0%ae"],
  ];
  for (const target of targets) {
    assertEquals(parseWebPath(target), undefined, target);
  }
});

Deno.test(
  "parseWebPath() finds what ACME asks for, and nothing else that is hidden",
  {
    permissions,
  },
  () => {
    assertEquals(parseWebPath("/.well-known/acme-challenge/a_b")?.names, [
      ...[".well-known", "acme-challenge", "a_b"],
    ]);
    for (
      const target of ["/a/.well-known/b", "/.well-known/.a", "/.well-knowna"]
    ) {
      assertEquals(parseWebPath(target), undefined, target);
    }
  },
);

Deno.test("isPlainName() leaves out what is hidden or no name", {
  permissions,
}, () => {
  for (const name of ["a", "a.b", "é", "-", "~", "a~b", "abcdefg~1.txt"]) {
    assertEquals(isPlainName(name), true, name);
  }
  for (const name of ["a..", " ", "a ", "a:b", "SECRET~1", "a~12.TXT"]) {
    assertEquals(isPlainName(name), Deno.build.os !== "windows", name);
  }
  for (const name of [undefined, "", ".", "..", ".a", "a/b", "\\", "a\0"]) {
    assertEquals(isPlainName(name), false, name);
  }
});
