/**
 * What the project relies on of the `@std` packages. These tests hold for the
 * packages from jsr.io and for the stand-ins in `fallback/` alike.
 */

import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { parse } from "@std/ini/parse";
import { TextLineStream } from "@std/streams/text-line-stream";

/** Compares without the assertions, which are under test themselves. */
function expect(actual: unknown, expected: unknown, label: string): void {
  const [a, b] = [show(actual), show(expected)];
  if (a !== b) throw new Error(`${label}: got ${a}, expected ${b}`);
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 9, strAbbreviateSize: Infinity });
}

/** What `fn` throws, as `name: message`, or `undefined`. */
function thrown(fn: () => unknown): string | undefined {
  try {
    fn();
  } catch (error) {
    return String(error);
  }
  return undefined;
}

Deno.test({
  name: "parse() coerces a value before the reviver sees it",
  permissions: "none",
  fn(): void {
    const cases: readonly (readonly [written: string, value: unknown])[] = [
      ["0x10", 16],
      ["0080", 80],
      ["-1.5e3", -1500],
      ["Infinity", Infinity],
      ["", 0],
      ["true", true],
      ["false", false],
      ["null", null],
      ["True", "True"],
      ["1_000", "1_000"],
      ["tcp://[::1]:80", "tcp://[::1]:80"],
      ["a=b", "a=b"],
      ["a # b ; c // d", "a # b ; c // d"],
      ['""', ""],
      ['"0080"', "0080"],
      ['"true"', "true"],
      ['"  two spaces  "', "  two spaces  "],
      ['"a"b"', 'a"b'],
      ['"', '"'],
      ['"open', '"open'],
      ["'single'", "'single'"],
    ];
    for (const [written, value] of cases) {
      const calls: unknown[] = [];
      const result = parse(`[s]\nkey = ${written}`, {
        reviver(...call): unknown {
          calls.push(call);
          return call[1];
        },
      });
      expect(calls, [["key", value, "s"]], `reviver of ${written}`);
      expect(result, { s: { key: value } }, `result of ${written}`);
    }
  },
});

Deno.test({
  name: "parse() calls the reviver for each pair in order, with its section",
  permissions: "none",
  fn(): void {
    const calls: unknown[] = [];
    const result = parse<Record<string, unknown>>(
      "top=1\r\n[a]\rk = x\n# c\n; c\n// c\n\n  k=y  \n[b c]\nk=z\n[ d ]\n__proto__=p",
      {
        reviver(key, value, section): unknown {
          calls.push([key, value, section]);
          return `${value}!`;
        },
      },
    );
    expect(calls, [
      ["top", 1, undefined],
      ["k", "x", "a"],
      ["k", "y", "a"],
      ["k", "z", "b c"],
      ["__proto__", "p", " d "],
    ], "calls");
    const last: object = {};
    Object.defineProperty(last, "__proto__", { value: "p!", enumerable: true });
    expect(
      result,
      { top: "1!", a: { k: "y!" }, "b c": { k: "z!" }, " d ": last },
      "result",
    );
  },
});

Deno.test({
  name: "parse() keeps the last section of a name, and a byte order mark out",
  permissions: "none",
  fn(): void {
    expect(
      parse("\uFEFF[a]\nx=1\n[b]\n[a]\ny=2"),
      { a: { y: 2 }, b: {} },
      "result",
    );
  },
});

Deno.test({
  name: "parse() throws a SyntaxError that names the line",
  permissions: "none",
  fn(): void {
    const cases: readonly (readonly [text: string, error: string])[] = [
      ["a=1\nno pair", "Unexpected token n in INI at line 2"],
      ["\r\n\r= 1", "Unexpected empty key name at line 3"],
      ["# c\n\n[open", "Unexpected end of INI section at line 3"],
      ["[ ]", "Unexpected empty section name at line 1"],
      ["[]", "Unexpected empty section name at line 1"],
      ["[a] # b", "Unexpected end of INI section at line 1"],
      ["a=x\u2028y", "Unexpected token a in INI at line 1"],
    ];
    for (const [text, error] of cases) {
      expect(thrown(() => parse(text)), `SyntaxError: ${error}`, show(text));
    }
  },
});

/** Options of the shape that the command uses. */
function readArguments(argv: readonly string[]): unknown {
  const calls: unknown[] = [];
  const parsed = parseArgs(argv, {
    boolean: ["help", "version", "check"],
    alias: { help: "h", version: "V" },
    unknown(...call): boolean {
      calls.push(call);
      return false;
    },
  });
  const set = ["help", "h", "version", "V", "check"].filter((name) =>
    Reflect.get(parsed, name) !== false
  );
  return { calls, set, rest: parsed._ };
}

Deno.test({
  name: "parseArgs() hands undeclared options to unknown, raw and in order",
  permissions: "none",
  fn(): void {
    const cases: readonly (readonly [argv: string[], calls: unknown[]])[] = [
      [["-p", "8001"], [["-p", "p", "8001"]]],
      [["-p8001"], [["-p8001", "p", "8001"]]],
      [["-p=8001"], [["-p=8001", "p", "8001"]]],
      [["--port", "0080"], [["--port", "port", "0080"]]],
      [["--port=0x10"], [["--port=0x10", "port", "0x10"]]],
      [["--port="], [["--port=", "port", ""]]],
      [["-p="], [["-p=", "p", ""]]],
      [["--port"], [["--port", "port", true]]],
      [["-p"], [["-p", "p", true]]],
      [["-p", "-k", "5"], [["-p", "p", true], ["-k", "k", "5"]]],
      [["--port", "-k", "5"], [["--port", "port", true], ["-k", "k", "5"]]],
      [["-k", "-5"], [["-k", "k", true], ["-5", "5", true]]],
      [["-c", "-"], [["-c", "c", "-"]]],
      [["--path", "-"], [["--path", "path", true], ["-"]]],
      [["-c", ""], [["-c", "c", true], [""]]],
      [["-c", "true"], [["-c", "c", "true"]]],
      [["-c", "a=b"], [["-c", "c", "a=b"]]],
      [["-c=a=b"], [["-c=a=b", "c", "a=b"]]],
      [["--a-b=c=d"], [["--a-b=c=d", "a-b", "c=d"]]],
      [["--a.b=c"], [["--a.b=c", "a.b", "c"]]],
      [["--no-x"], [["--no-x", "no-x", true]]],
      [["--no-x=1"], [["--no-x=1", "x", "1"]]],
      [["-l::1"], [["-l::1", "l", "::1"]]],
      [["-l::"], [["-l::", "l", "::"]]],
      // The part before "=" is lost, and letters are taken one by one.
      [["-cab=x"], [["-cab=x", "c", "x"]]],
      [["-bx", "y"], [["-bx", "b", true], ["-bx", "x", "y"]]],
      [["file", "-p", "1", "0x10"], [["file"], ["-p", "p", "1"], ["0x10"]]],
      [
        ["-c", "host=a", "-b", "file", "-c", "path=b", "--port=1", "-c", "c=d"],
        [
          ["-c", "c", "host=a"],
          ["-b", "b", "file"],
          ["-c", "c", "path=b"],
          ["--port=1", "port", "1"],
          ["-c", "c", "c=d"],
        ],
      ],
    ];
    for (const [argv, calls] of cases) {
      expect(readArguments(argv), { calls, set: [], rest: [] }, show(argv));
    }
  },
});

Deno.test({
  name: "parseArgs() sets boolean options under all their names",
  permissions: "none",
  fn(): void {
    const help = ["help", "h"];
    const version = ["version", "V"];
    const cases: readonly (readonly [
      argv: string[],
      set: string[],
      calls?: unknown[],
    ])[] = [
      [[], []],
      [["--help"], help],
      [["-h"], help],
      [["-hV"], [...help, ...version]],
      [["--help", "--help", "--check"], [...help, "check"]],
      [["--help=true"], help],
      [["--help=false"], []],
      [["--help", "false"], []],
      [["-h", "true"], help],
      [["--help", "x"], help, [["x"]]],
      [["-h", "x"], help, [["x"]]],
      [["-hx", "1"], help, [["-hx", "x", "1"]]],
      [["-p", "1", "-h"], help, [["-p", "p", "1"]]],
      [["--no-help"], [], [["--no-help", "no-help", true]]],
    ];
    for (const [argv, set, calls = []] of cases) {
      expect(readArguments(argv), { calls, set, rest: [] }, show(argv));
    }
  },
});

Deno.test({
  name: "parseArgs() keeps what stands behind -- from unknown",
  permissions: "none",
  fn(): void {
    expect(
      readArguments(["-p", "1", "--", "-h", "0080", "--", "x"]),
      {
        calls: [["-p", "p", "1"]],
        set: [],
        rest: ["-h", "0080", "--", "x"],
      },
      "behind --",
    );
    expect(
      readArguments(["-c", "--", "a=b"]),
      { calls: [["-c", "c", true]], set: [], rest: ["a=b"] },
      "-- for a value",
    );
  },
});

Deno.test("TextLineStream cuts lines wherever the chunks are cut", async () => {
  const cases: readonly (readonly [text: string, lines: string[]])[] = [
    ["", []],
    ["\n", [""]],
    ["a", ["a"]],
    ["a\n", ["a"]],
    ["a\r\n\r\nb\n\nc", ["a", "", "b", "", "c"]],
    ["a\rb\r", ["a\rb\r"]],
    ["\r\r\n", ["\r"]],
  ];
  for (const [text, lines] of cases) {
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second++) {
        const chunks = [
          text.slice(0, first),
          text.slice(first, second),
          text.slice(second),
        ];
        const stream = ReadableStream.from(chunks).pipeThrough(
          new TextLineStream(),
        );
        expect(await Array.fromAsync(stream), lines, show(chunks));
      }
    }
  }
});

class Point {
  constructor(readonly x: number) {}
}

const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;
const otherCycle: Record<string, unknown> = {};
otherCycle["self"] = otherCycle;

const equalPairs: readonly (readonly [a: unknown, b: unknown])[] = [
  [1, 1],
  [NaN, NaN],
  [0, -0],
  [[0], [-0]],
  [null, null],
  ["", ""],
  [[1, [2]], [1, [2]]],
  [{ a: 1, b: { c: [] } }, { b: { c: [] }, a: 1 }],
  [{ a: undefined }, { a: undefined }],
  [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  [/(?<a>.)/.exec("x")!.groups, { a: "x" }],
  [new Uint8Array([1, 2]), new Uint8Array([0, 1, 2]).subarray(1)],
  [new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
  [new Set([1, "2"]), new Set(["2", 1])],
  [new Date(5), new Date(5)],
  [/a/g, /a/g],
  [new URL("ws://a/b"), new URL("ws://a/b")],
  [new Point(1), new Point(1)],
  [cycle, otherCycle],
];

const unequalPairs: readonly (readonly [a: unknown, b: unknown])[] = [
  [1, "1"],
  [1, 1n],
  [null, undefined],
  [0, false],
  [[], {}],
  [[1, 2], [1, 2, 3]],
  [{ a: undefined }, {}],
  [{ a: undefined }, { b: undefined }],
  [{ a: { b: 1 } }, { a: { b: 2 } }],
  [new Uint8Array([1]), new Uint8Array([2])],
  [new Uint8Array([1]), [1]],
  [new Uint8Array([1]), new Int8Array([1])],
  [new Map([["a", 1]]), new Map([["a", 2]])],
  [new Set([1]), new Set([2])],
  [new Date(5), new Date(6)],
  [/a/g, /a/],
  [new Point(1), new Point(2)],
  [new Point(1), { x: 1 }],
  [new Error("a"), new Error("b")],
  [new Error("a"), new TypeError("a")],
  [new Error("made here"), new Error("made there")],
];

Deno.test("assertEquals() and assertNotEquals() compare deeply", () => {
  for (const [a, b] of equalPairs) {
    expect(thrown(() => assertEquals(a, b)), undefined, show([a, b]));
    const error = thrown(() => assertNotEquals(a, b));
    expect(error?.startsWith("AssertionError: "), true, show([a, b]));
  }
  for (const [a, b] of unequalPairs) {
    const error = thrown(() => assertEquals(a, b));
    expect(error?.startsWith("AssertionError: "), true, show([a, b]));
    expect(thrown(() => assertNotEquals(a, b)), undefined, show([a, b]));
  }
});

Deno.test("assertions pass, or throw an AssertionError that holds the message", () => {
  const object = {};
  const cases: Record<
    string,
    readonly [
      passes: readonly (() => void)[],
      throws: readonly (() => void)[],
    ]
  > = {
    assert: [
      [(): void => assert(1), (): void => assert([])],
      [(): void => assert(0, "why"), (): void => assert(NaN, "why")],
    ],
    assertFalse: [
      [(): void => assertFalse(0), (): void => assertFalse("")],
      [(): void => assertFalse({}, "why")],
    ],
    assertEquals: [[], [(): void => assertEquals(1, 2, "why")]],
    assertNotEquals: [[], [(): void => assertNotEquals(1, 1, "why")]],
    assertStrictEquals: [
      [
        (): void => assertStrictEquals(object, object),
        (): void => assertStrictEquals(NaN, NaN),
      ],
      [
        (): void => assertStrictEquals({}, {}, "why"),
        (): void => assertStrictEquals(0, -0, "why"),
      ],
    ],
    assertGreater: [
      [(): void => assertGreater(2, 1)],
      [
        (): void => assertGreater(1, 1, "why"),
        (): void => assertGreater(NaN, 1, "why"),
      ],
    ],
    assertLess: [
      [(): void => assertLess("a", "b")],
      [(): void => assertLess(1, 1, "why")],
    ],
    assertLessOrEqual: [
      [(): void => assertLessOrEqual(1, 1)],
      [
        (): void => assertLessOrEqual(2, 1, "why"),
        (): void => assertLessOrEqual(NaN, 1, "why"),
      ],
    ],
    assertInstanceOf: [
      [(): void => assertInstanceOf(new TypeError(), Error)],
      [
        (): void => assertInstanceOf({}, Error, "why"),
        (): void => assertInstanceOf(null, Error, "why"),
        (): void => assertInstanceOf(1, Number, "why"),
      ],
    ],
    assertMatch: [
      [(): void => assertMatch("abc", /b/)],
      [(): void => assertMatch("abc", /d/, "why")],
    ],
    assertStringIncludes: [
      [(): void => assertStringIncludes("abc", "bc")],
      [(): void => assertStringIncludes("abc", "cb", "why")],
    ],
    fail: [[], [(): void => fail("why")]],
    unreachable: [[], [(): void => unreachable("why")]],
  };
  for (const [name, [passes, throws]] of Object.entries(cases)) {
    for (const [index, fn] of passes.entries()) {
      expect(thrown(fn), undefined, `${name} passes ${index}`);
    }
    for (const [index, fn] of throws.entries()) {
      const error = thrown(fn) ?? "";
      expect(
        error.startsWith("AssertionError") && error.includes("why"),
        true,
        `${name} throws ${index}: ${error}`,
      );
    }
  }
});

Deno.test("assertThrows() returns the error or says what is wrong with it", () => {
  const error = new RangeError("Cannot do \x1b[31mit\x1b[39m: no");
  function raise(): never {
    throw error;
  }
  expect(assertThrows(raise) === error, true, "any");
  expect(assertThrows(raise, "message") === error, true, "any, with message");
  expect(assertThrows(raise, RangeError) === error, true, "class");
  expect(assertThrows(raise, Error, "do it") === error, true, "base class");
  const bad: readonly (readonly [part: string, fn: () => unknown])[] = [
    ["to throw: why", () => assertThrows(() => 1, "why")],
    ["to throw.", () => assertThrows(() => 1, Error)],
    ['"TypeError", but was "RangeError"', () => assertThrows(raise, TypeError)],
    ['include "yes"', () => assertThrows(raise, RangeError, "yes")],
    ["to throw: why", () => assertThrows(() => 1, Error, "x", "why")],
    [
      "non-Error object",
      () =>
        assertThrows(() => {
          // deno-lint-ignore no-throw-literal -- it is what is tested
          throw "text";
        }, Error),
    ],
  ];
  for (const [part, fn] of bad) {
    const message = thrown(fn) ?? "";
    expect(
      message.startsWith("AssertionError") && message.includes(part),
      true,
      `${part} in ${message}`,
    );
  }
});

Deno.test("assertRejects() returns the error or says what is wrong with it", async () => {
  const error = new RangeError("Cannot do it: no");
  function reject(): Promise<never> {
    return Promise.reject(error);
  }
  function raise(): never {
    throw error;
  }
  expect(await assertRejects(reject) === error, true, "any");
  expect(await assertRejects(reject, "message") === error, true, "message");
  expect(await assertRejects(reject, Error, "do it") === error, true, "class");
  const bad: readonly (readonly [part: string, fn: () => Promise<unknown>])[] =
    [
      ["to reject: why", () => assertRejects(() => Promise.resolve(), "why")],
      ["throws when expected to reject", () => assertRejects(raise, Error)],
      [
        '"TypeError", but was "RangeError"',
        () => assertRejects(reject, TypeError),
      ],
      ['include "yes"', () => assertRejects(reject, RangeError, "yes")],
      [
        "non-Error object",
        () => assertRejects(() => Promise.reject("text"), Error),
      ],
    ];
  for (const [part, fn] of bad) {
    const message = await fn().then(() => "", String);
    expect(
      message.startsWith("AssertionError") && message.includes(part),
      true,
      `${part} in ${message}`,
    );
  }
});
