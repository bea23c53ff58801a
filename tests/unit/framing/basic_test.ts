import { assert, assertEquals, assertThrows } from "@std/assert";
import { createAuto } from "../../../framing/auto.ts";
import { createBinary } from "../../../framing/binary.ts";
import { createFixedLength } from "../../../framing/fixedlength.ts";
import { framings } from "../../../framing/mod.ts";
import { createNewline } from "../../../framing/newline.ts";
import { createSeparator, parseSeparator } from "../../../framing/separator.ts";
import {
  cutEverywhere,
  encode,
  runFramerAsText,
} from "../../support/framing_driver.ts";

const permissions = "none";

Deno.test("framings holds the built-in framing functions and nothing else", {
  permissions,
}, () => {
  assertEquals(Object.keys(framings), [
    "auto",
    "text",
    "binary",
    "separator",
    "newline",
    "fixedlength",
    "dynamic32",
    "json",
    "stomp",
  ]);
  assertEquals(Object.hasOwn(framings, "toString"), false);
  assertEquals(Object.isFrozen(framings), true);
});

Deno.test(
  "createAuto() sends every read at once as text",
  { permissions },
  () => {
    const chunks = [encode("one"), new Uint8Array([0xff]), encode("two")];
    const { messages, types, rest } = runFramerAsText(createAuto(""), chunks);

    assertEquals(messages, ["one", "\ufffd", "two"]);
    assertEquals(types, ["text", "text", "text"]);
    assertEquals(rest, "");
  },
);

Deno.test(
  "createBinary() sends every read at once as binary",
  { permissions },
  () => {
    const chunks = [encode("one"), encode("two")];
    const { messages, types, rest } = runFramerAsText(createBinary(""), chunks);

    assertEquals(messages, ["one", "two"]);
    assertEquals(types, ["binary", "binary"]);
    assertEquals(rest, "");
  },
);

Deno.test("createAuto() and createBinary() take any configuration", {
  permissions,
}, () => {
  assertEquals(createAuto("x").frame(encode("a"), 1)?.length, 1);
  assertEquals(createBinary("x").frame(encode("a"), 1)?.length, 1);
});

Deno.test("createNewline() cuts at each newline, wherever the stream is cut", {
  permissions,
}, () => {
  const text = "one\r\n\r\nthr\u00e9\u20ac\n\rx\ry\nz\r\n\ud83d\ude00\n\rend";
  const cases: [config: string, messages: string[], rest: string][] = [
    [
      "",
      ["one\r\n", "\r\n", "thr\u00e9\u20ac\n\rx\ry\nz\r\n"],
      "\ud83d\ude00\n\rend",
    ],
    [
      "crlf",
      ["one\r\n", "\r\n", "thr\u00e9\u20ac\n\rx\ry\nz\r\n"],
      "\ud83d\ude00\n\rend",
    ],
    ["lfcr", [
      "one\r\n\r",
      "\nthr\u00e9\u20ac\n\r",
      "x\ry\nz\r\n\ud83d\ude00\n\r",
    ], "end"],
    ["lf", [
      "one\r\n",
      "\r\n",
      "thr\u00e9\u20ac\n",
      "\rx\ry\n",
      "z\r\n",
      "\ud83d\ude00\n",
    ], "\rend"],
    [" cr ", [
      "one\r",
      "\n\r",
      "\nthr\u00e9\u20ac\n\r",
      "x\r",
      "y\nz\r",
      "\n\ud83d\ude00\n\r",
    ], "end"],
  ];
  for (const [config, messages, rest] of cases) {
    for (const chunks of cutEverywhere(encode(text))) {
      const run = runFramerAsText(createNewline(config), chunks);
      assertEquals(run.messages, messages, config);
      assertEquals(run.rest, rest);
      assertEquals(new Set(run.types), new Set(["text"]));
    }
  }
});

Deno.test("createNewline() asks for the rest of the stream as text", {
  permissions,
}, () => {
  assertEquals(createNewline("lf").remainder, "text");
});

Deno.test(
  "createNewline() throws for what is not a newline",
  { permissions },
  () => {
    const unknown = (word: string): string =>
      `"${word}" is not one of crlf, lfcr, lf, cr, any, strip, append`;
    const cases: [config: string, why: string][] = [
      ...["CRLF", "crlf lf", "\\n", "toString", "__proto__"].map((
        word,
      ): [string, string] => [word, unknown(word)]),
      ["crlf,", unknown("")],
      [",crlf", unknown("")],
      ["lf,stripp", unknown("stripp")],
      ["lf,Strip", unknown("Strip")],
      ["lf,strip,strip", '"strip" is repeated'],
      ["lf,lf", '"lf" is repeated'],
      ["strip,lf,any", "it names two ends, lf and any"],
    ];
    for (const [config, why] of cases) {
      const error = assertThrows(() => createNewline(config), SyntaxError);
      assertEquals(error.message, `Cannot use newline "${config}": ${why}`);
    }
  },
);

Deno.test("parseSeparator() gives the bytes that a separator stands for", {
  permissions,
}, () => {
  const cases: [config: string, bytes: number[]][] = [
    [String.raw`\r\t\n\0\f\\`, [13, 9, 10, 0, 12, 92]],
    [String.raw`\x00\xfF\x7F`, [0, 255, 127]],
    [String.raw`\x414`, [0x41, 0x34]],
    [String.raw`\\n`, [92, 110]],
    [String.raw`\012`, [0, 0x31, 0x32]],
    ["END", [69, 78, 68]],
    [" ", [32]],
    ["\r\n", [13, 10]],
    ["\u00e9\u20ac\ud83d\ude00", [
      0xc3,
      0xa9,
      0xe2,
      0x82,
      0xac,
      0xf0,
      0x9f,
      0x98,
      0x80,
    ]],
    [String.raw`a\nb`, [97, 10, 98]],
  ];
  for (const [config, bytes] of cases) {
    assertEquals(parseSeparator(config), {
      separator: new Uint8Array(bytes),
      strip: false,
      append: false,
    }, config);
  }
});

Deno.test("parseSeparator() tells its words from a separator with commas", {
  permissions,
}, () => {
  const cases: [config: string, separator: string, words: string[]][] = [
    [",", ",", []],
    ["a,b", "a,b", []],
    [",,", ",,", []],
    ["a,to", "a,to", []],
    ["a,b2c", "a,b2c", []],
    [String.raw`a\x2cstrip`, "a,strip", []],
    [String.raw`\n,strip`, "\n", ["strip"]],
    [String.raw`\n,append,strip`, "\n", ["strip", "append"]],
    [String.raw`\n, strip , append `, "\n", ["strip", "append"]],
    [",,strip", ",", ["strip"]],
    ["strip,strip", "strip", ["strip"]],
    [" ,append", " ", ["append"]],
  ];
  for (const [config, separator, words] of cases) {
    assertEquals(parseSeparator(config), {
      separator: encode(separator),
      strip: words.includes("strip"),
      append: words.includes("append"),
    }, config);
  }
});

Deno.test("parseSeparator() throws for an empty or malformed separator", {
  permissions,
}, () => {
  const cases: [config: string, why: string][] = [
    ["", "it is empty"],
    ["a\\", "a backslash at its end escapes nothing"],
    ["\\\\\\", "a backslash at its end escapes nothing"],
    ["\\q", '"\\q" is not an escape'],
    ["\\N", '"\\N" is not an escape'],
    ["\\X41", '"\\X" is not an escape'],
    ["\\x", '"\\x" needs two hexadecimal digits'],
    ["\\x4", '"\\x" needs two hexadecimal digits'],
    ["\\x4g", '"\\x" needs two hexadecimal digits'],
    ["\\x+1", '"\\x" needs two hexadecimal digits'],
    ["\\x 1", '"\\x" needs two hexadecimal digits'],
    [",strip", "it is empty"],
    [
      "\\n,stripp",
      '"stripp" is not one of strip, append (a comma of the separator is \\x2c)',
    ],
    [
      "\\n,STRIP",
      '"STRIP" is not one of strip, append (a comma of the separator is \\x2c)',
    ],
    [
      "one,two,strip",
      '"two" is not one of strip, append (a comma of the separator is \\x2c)',
    ],
    ["\\n,strip,strip", '"strip" is repeated'],
  ];
  for (const [config, why] of cases) {
    const error = assertThrows(() => parseSeparator(config), SyntaxError);
    assertEquals(error.message, `Cannot use separator "${config}": ${why}`);
  }
});

Deno.test("createSeparator() cuts behind each separator, as binary", {
  permissions,
}, () => {
  const bytes = encode("a|b||c|");
  for (const chunks of cutEverywhere(bytes)) {
    const run = runFramerAsText(createSeparator("|"), chunks);
    assertEquals(run.messages, ["a|", "b|", "|", "c|"]);
    assertEquals(new Set(run.types), new Set(["binary"]));
    assertEquals(run.rest, "");
  }
});

Deno.test("createSeparator() keeps the state of two connections apart", {
  permissions,
}, () => {
  const one = createSeparator("ab");
  const two = createSeparator("ab");
  assertEquals(one.frame(encode("xa"), 2), null);
  assertEquals(two.frame(encode("xx"), 2), null);
  assertEquals(two.frame(encode("xxb"), 1), null);
  assertEquals(one.frame(encode("xab"), 1)?.length, 3);
});

Deno.test("createFixedLength() cuts into messages of the length", {
  permissions,
}, () => {
  for (const chunks of cutEverywhere(encode("abcdefghijk"))) {
    const run = runFramerAsText(createFixedLength("4"), chunks);
    assertEquals(run.messages, ["abcd", "efgh"]);
    assertEquals(run.types, ["binary", "binary"]);
    assertEquals(run.rest, "ijk");
  }
  const run = runFramerAsText(createFixedLength("1"), [encode("abc")]);
  assertEquals(run.messages, ["a", "b", "c"]);
});

Deno.test("createFixedLength() takes decimal numbers from 1 to 2 GiB", {
  permissions,
}, () => {
  for (const config of ["1", "007", " 12 ", "2147483648"]) {
    assertEquals(createFixedLength(config).frame(new Uint8Array(0), 0), null);
  }
  for (
    const config of [
      "",
      " ",
      "abc",
      "1.5",
      "-1",
      "+1",
      "1e3",
      "0x10",
      "1 2",
      "\u0661",
    ]
  ) {
    assertThrows(
      () => createFixedLength(config),
      SyntaxError,
      `Cannot use length "${config}": it must be a decimal number`,
    );
  }
  for (const config of ["0", "000", "2147483649", "9".repeat(400)]) {
    assertThrows(
      () => createFixedLength(config),
      RangeError,
      `Cannot use length "${config}": it must be from 1 to 2147483648`,
    );
  }
});

Deno.test("createFixedLength() pads messages of the client", {
  permissions,
}, () => {
  const { encode: pad } = createFixedLength(" 4 , pad ");
  const cases: [message: string, padded: string][] = [
    ["", "\0\0\0\0"],
    ["a", "a\0\0\0"],
    ["abcd", "abcd"],
    ["abcde", "abcde\0\0\0"],
    ["abcdefgh", "abcdefgh"],
  ];
  for (const [message, padded] of cases) {
    assertEquals(pad!(encode(message), "binary"), encode(padded));
  }
  assertEquals(createFixedLength("4").encode, undefined);
  for (const config of ["4,", "4,pads", "4,pad,pad", "4,pad=1"]) {
    assertThrows(
      () => createFixedLength(config),
      SyntaxError,
      `Cannot use length "${config}": "${config.slice(2)}" is not pad`,
    );
  }
  assertThrows(
    () => createFixedLength("16777217,pad"),
    RangeError,
    'Cannot use length "16777217,pad": it must be from 1 to 16777216',
  );
});

Deno.test("createNewline() takes the ends off, and puts them on", {
  permissions,
}, () => {
  for (const [name, end] of Object.entries({ crlf: "\r\n", lf: "\n" })) {
    for (const chunks of cutEverywhere(encode(`a${end}${end}é${end}b`))) {
      const stripped = createNewline(` strip , ${name}`);
      const run = runFramerAsText(stripped, chunks);
      assertEquals(run.messages, ["a", "", "é"]);
      assertEquals(run.rest, "b");
      assertEquals(stripped.append, undefined);
    }
    const both = createNewline(`${name},strip,append`);
    assertEquals(both.append, encode(end));
    assertEquals(createNewline(name).append, undefined);
  }
});

Deno.test("createNewline() takes any end, as soon as it is there", {
  permissions,
}, () => {
  const text = "a\r\nb\nc\rd\n\re\n\nf\r\rg\r\n\r\nh\n\r\n\ri";
  const lines = ["a", "b", "c", "d", "e", "", "f", "", "g", "", "h", ""];
  for (const chunks of cutEverywhere(encode(text))) {
    const run = runFramerAsText(createNewline("any,strip"), chunks);
    assertEquals(run.messages, lines);
    assertEquals(run.rest, "i");
    // The second byte of an end is lost where its line was sent before it came.
    const whole = runFramerAsText(createNewline("any"), chunks);
    assertEquals(
      whole.messages.map((line) => line.replace(/[\r\n]+$/, "")),
      lines,
    );
    assert(whole.messages.every((line) => /[\r\n]$/.test(line)));
  }
  const framer = createNewline("any");
  const found = ["a\r", "\nb\n", "\rc\r", "d\n", "\n"].flatMap((read) =>
    runFramerAsText(framer, [encode(read)]).messages
  );
  assertEquals(found, ["a\r", "b\n", "c\r", "d\n", "\n"]);
});

Deno.test("createNewline() adds an end where there is none of any kind", {
  permissions,
}, () => {
  const { encode: endLine } = createNewline("any,append");
  for (
    const [message, line] of [
      ["", "\r\n"],
      ["a", "a\r\n"],
      ["a\r", "a\r"],
      ["a\n", "a\n"],
      ["a\r\n", "a\r\n"],
      ["a\nb", "a\nb\r\n"],
    ]
  ) assertEquals(endLine!(encode(message!), "text"), encode(line!));
});
