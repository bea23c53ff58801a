import { assertEquals, assertThrows } from "@std/assert";
import {
  type AccessEntry,
  type AccessExtras,
  formatAccess,
  headersOf,
  parseAccessFormat,
} from "../../../core/log/access_format.ts";

const permissions = "none";

function format(
  text: string,
  entry: AccessEntry,
  extras: AccessExtras = {},
): string {
  return formatAccess(entry, extras, parseAccessFormat(text));
}

Deno.test("parseAccessFormat() takes fields, header fields and percent signs", {
  permissions,
}, () => {
  const entry = { remote: "192.0.2.7:8", status: 101, seconds: 0.25 };
  const headers = new Map([["x-a.b_c", "d"], ["empty", ""]]);
  const table: [text: string, line: string][] = [
    ["%remote%", "192.0.2.7:8"],
    ["%remote%%status%", "192.0.2.7:8101"],
    ['- "%status%" %seconds%s', '- "101" 0.25s'],
    ["100%% %status%", "100% 101"],
    ["%user% %code% %query%", "- - -"],
    ["%header:X-A.b_C% %header:empty% %header:none%", "d - -"],
    ["%query%", "-"],
  ];
  for (const [text, line] of table) {
    assertEquals(format(text, entry, { headers }), line, text);
  }
  assertEquals(format("%query%", entry, { query: "a=b c" }), "a=b c");
  const parsed = parseAccessFormat("%header:B% %status% %header:A%");
  assertEquals(headersOf(parsed), ["b", "a"]);
  assertEquals(headersOf("json"), []);
});

Deno.test("parseAccessFormat() refuses what says nothing", {
  permissions,
}, () => {
  const table: [text: string, message: string][] = [
    ["", "it is json, or a text with fields such as %remote%"],
    ["text", "it is json, or a text with fields such as %remote%"],
    ["%%", "it is json, or a text with fields such as %remote%"],
    ["%remote% 100%", 'it has a single percent sign in " 100%"'],
    ["%addr%", 'it has an unknown field, "addr"; known are time, id, remote'],
    ["%toString%", 'it has an unknown field, "toString"'],
    ["%header:%", 'it has an unknown field, "header:"'],
    ["%header:a b%", 'it has an unknown field, "header:a b"'],
  ];
  for (const [text, message] of table) {
    assertThrows(() => parseAccessFormat(text), SyntaxError, message);
  }
});

Deno.test("formatAccess() lets no value end its line or its quotes", {
  permissions,
}, () => {
  const evil = 'a"b\\c\r\nd\x1b[31m\x85\u2028\u202e\0';
  const escaped = 'a\\"b\\\\c\\r\\nd\\u001b[31m\\u0085\\u2028\\u202e\\u0000';
  assertEquals(
    format('"%user-agent%" "%header:x%" "%query%"', { "user-agent": evil }, {
      headers: new Map([["x", evil]]),
      query: evil,
    }),
    `"${escaped}" "${escaped}" "${escaped}"`,
  );
  const json = format("json", { id: 1, "user-agent": evil, user: undefined });
  assertEquals(json, `{"id":1,"user-agent":"${escaped}"}`);
  assertEquals(JSON.parse(json), { id: 1, "user-agent": evil });
});
