import { assertEquals, assertMatch } from "@std/assert";
import { createLog, type LogFields } from "../../../core/log/log.ts";
import type { LogLevel } from "../../../core/config/options.ts";

const permissions = "none";
const levels: readonly LogLevel[] = ["error", "warn", "info", "debug"];

/** The lines that one event makes. */
function logged(format: "text" | "json", fields?: LogFields): string[] {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format,
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  log("info", "open", fields);
  return lines;
}

Deno.test("createLog() writes levels up to the one chosen", {
  permissions,
}, () => {
  for (const [index, level] of levels.entries()) {
    const written: string[] = [];
    const log = createLog({
      level,
      format: "text",
      write: (line) => written.push(line),
      now: () => new Date(0),
    });
    for (const each of levels) log(each, "event");
    assertEquals(
      written,
      levels.slice(0, index + 1).map((each) =>
        `1970-01-01T00:00:00.000Z ${each} event\n`
      ),
    );
  }
});

Deno.test("createLog() formats fields as text, quoted where it is needed", {
  permissions,
}, () => {
  const cases: [value: LogFields[string], text: string][] = [
    ["plain", "plain"],
    ["/a?b;c,d%20[x]{y}", "/a?b;c,d%20[x]{y}"],
    ["", '""'],
    ["two words", '"two words"'],
    ["a=b", '"a=b"'],
    ['say "x"', '"say \\"x\\""'],
    ["back\\slash", "back\\slash"],
    ["a\r\nb", '"a\\r\\nb"'],
    ["\x1b[31m", '"\\u001b[31m"'],
    ["\x7f", '"\\u007f"'],
    ["a\x85b\x9bc", '"a\\u0085b\\u009bc"'],
    ["\u2028\u2029", '"\\u2028\\u2029"'],
    ["\u202egnp.exe", '"\\u202egnp.exe"'],
    ["\u2066\u061c\ufeff", '"\\u2066\\u061c\\ufeff"'],
    ["grüß €😀", '"grüß €😀"'],
    ["\ud800", '"\\ud800"'],
    [42, "42"],
    [0.5, "0.5"],
    [true, "true"],
  ];
  for (const [value, text] of cases) {
    assertEquals(logged("text", { x: value, y: 1 }), [
      `1970-01-01T00:00:00.000Z info open x=${text} y=1\n`,
    ]);
  }
});

Deno.test("createLog() leaves out fields that are undefined", {
  permissions,
}, () => {
  const fields = { a: undefined, b: 1, c: undefined };
  assertEquals(logged("text", fields), [
    "1970-01-01T00:00:00.000Z info open b=1\n",
  ]);
  assertEquals(logged("json", fields), [
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"open","b":1}\n',
  ]);
  assertEquals(logged("text"), ["1970-01-01T00:00:00.000Z info open\n"]);
});

Deno.test(
  "createLog() writes one JSON object a line that gives back its fields",
  {
    permissions,
  },
  () => {
    const fields = {
      text: 'a "b" = \\ \r\n\x00\x1b\x7f\x85\u2028\u202e\ufeff grüß 😀',
      number: 1.5,
      flag: false,
    };
    const [line, ...others] = logged("json", fields);
    assertEquals(others, []);
    assertMatch(line!, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+\n$/u);
    assertEquals(JSON.parse(line!), {
      time: "1970-01-01T00:00:00.000Z",
      level: "info",
      event: "open",
      ...fields,
    });
  },
);

Deno.test("createLog() tells the present time if no clock is given", {
  permissions,
}, () => {
  let line = "";
  const before = Date.now();
  createLog({ level: "info", format: "text", write: (text) => line = text })(
    "error",
    "x",
  );
  const time = Date.parse(line.split(" ")[0]!);
  assertEquals(before <= time && time <= Date.now(), true, line);
});

Deno.test("createLog() formats no more of a huge text than a part", {
  permissions,
}, () => {
  // As JSON, it would be longer than a string can be.
  const error = "\0".repeat(90_000_000);
  for (const format of ["text", "json"] as const) {
    const [line] = logged(format, { error });
    assertEquals(line!.length < 4096, true);
    assertMatch(line!, /\\u0000…/);
    // A token that lies where the text is cut is left out, too.
    for (
      const token of ["eyJ", "eyJhbGci.eyJ", "eyJhbGci.eyJzdWIi.c2ln.c2ln."]
    ) {
      const endpoint = `${token}${"x".repeat(100_000)}`;
      assertEquals(logged(format, { endpoint })[0]!.includes("xxx"), false);
    }
  }
});
