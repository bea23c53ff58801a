import { assert, assertEquals } from "@std/assert";
import type { Frame } from "../../../../core/api.ts";
import { createJson } from "../../../../framing/json/json.ts";
import {
  cutEvery,
  cutEverywhere,
  encode,
  runFramer,
  runFramerAsText,
} from "../../../support/framing_driver.ts";

const permissions = "none";

/** Texts that are one JSON value each; none is a number. */
const values = [
  "{}",
  "[]",
  '""',
  "true",
  "false",
  "null",
  "[1]",
  "[ ]",
  "{ }",
  '{"a":1}',
  ' {\t"a" :\r\n1 , "b":[ ] }',
  "\n[\n  1,\n  2\n]",
  "[0,-0,1,-1,10,1.5,0.25,1e5,1E+5,1e-5,-0.0e0,123456789.012e+34]",
  "[1 ,2\t,3\n]",
  '{"a":-1.5e3}',
  '{"a":{"b":{"c":[[[]],{"d":null}]}}}',
  '[[],{},[{}],{"a":[]}]',
  '"a string"',
  '"}]{[,:"',
  '{"}":"{","]":"["}',
  '"\\""',
  '"\\\\"',
  '"\\\\\\""',
  '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\ud83d\\ude00\\uABCD\\uabcd"',
  '{"\\u0061\\"":"\\u005C"}',
  '"h\u00e9llo w\u00f6rld \u20ac \ud83d\ude00 \u2028 \u007f"',
  '{"\u043a\u043b\u044e\u0447":"\u503c"}',
  "[true,false,null]",
  '{"a":true,"b":false,"c":null}',
  '{"":""}',
  '{"a":1,"a":2}',
];

const numbers = [
  "0",
  "-0",
  "7",
  "-12",
  "1234567890123456789012345678901234567890",
  "0.5",
  "-0.001",
  "10.0",
  "1e9",
  "1E9",
  "0e0",
  "1e+9",
  "1.5e-9",
  "-1.25E-400",
];

/** Texts whose last byte is the first that cannot be JSON. */
const invalid = [
  "x",
  "}",
  "]",
  ",",
  ":",
  "'",
  "+",
  ".",
  "/",
  "\\",
  "#",
  "\u0000",
  "\u000b",
  "\u000c",
  "T",
  "N",
  "i",
  "tR",
  "trux",
  "falsy",
  "nul ",
  "nulL",
  "[,",
  "[1,]",
  "[1,,",
  "[1 2",
  '[1"',
  "[1[",
  "[1}",
  "[}",
  "[:",
  '["a":',
  "[truef",
  "[true false".slice(0, 7),
  "{]",
  "{,",
  "{1",
  "{t",
  "{'",
  "{{",
  "{[",
  '{"a"}',
  '{"a",',
  '{"a"1',
  '{"a"=',
  '{"a":}',
  '{"a":,',
  '{"a"::',
  '{"a":1]',
  '{"a":1,}',
  '{"a":1,1',
  '{"a":1 "',
  '{"a":1:',
  '{"a":[}',
  '[{"a":1]',
  '"\n',
  '"\t',
  '"\u0000',
  '"\u001f',
  '"\\x',
  '"\\U',
  '"\\0',
  '"\\\n',
  "\"\\'",
  '"\\u0g',
  '"\\u12"',
  '"\\u123x',
  '"\\u ',
  '{"a\n',
  '{"\\q',
  "-a",
  "--",
  "- ",
  "-]",
  "-.",
  "00",
  "01",
  "-01",
  "1a",
  "0x",
  "1.e",
  "1. ",
  "1.]",
  "1..",
  "1.5.",
  "1e]",
  "1e ",
  "1e.",
  "1ee",
  "1e+-",
  "1e+ ",
  "1e5.",
  "1e5e",
  "1+",
  "1_",
];

Deno.test("createJson() sends each value of its own, cut at every byte", {
  permissions,
}, () => {
  for (const value of values) {
    JSON.parse(value);
    for (const chunks of cutEverywhere(encode(value))) {
      const run = runFramerAsText(createJson(""), chunks);
      assertEquals(run.messages, [value]);
      assertEquals(run.types, ["text"]);
      assertEquals(run.rest, "");
    }
  }
});

Deno.test(
  "createJson() sends concatenated values one by one",
  { permissions },
  () => {
    const bytes = encode(values.join(""));
    for (const chunks of cutEverywhere(bytes)) {
      const run = runFramerAsText(createJson(""), chunks);
      assertEquals(run.messages, values);
      assertEquals(new Set(run.types), new Set(["text"]));
      assertEquals(run.rest, "");
    }
  },
);

Deno.test("createJson() gives white space to the value behind it", {
  permissions,
}, () => {
  for (const chunks of cutEverywhere(encode(' {} \n[]\r\n\t"a"\n'))) {
    const run = runFramerAsText(createJson(""), chunks);
    assertEquals(run.messages, [" {}", " \n[]", '\r\n\t"a"']);
    assertEquals(run.rest, "\n");
  }
});

Deno.test(
  "createJson() ends a number at the next delimiter",
  { permissions },
  () => {
    const followers = [
      " ",
      "\t",
      "\n",
      "\r",
      ",",
      "]",
      "}",
      ":",
      "{",
      "[",
      '"',
      "t",
      "f",
      "n",
    ];
    for (const number of numbers) {
      JSON.parse(number);
      for (const follower of followers) {
        for (const size of [1, 2, 100]) {
          const run = runFramerAsText(
            createJson(""),
            cutEvery(encode(number + follower), size),
          );
          assertEquals(run.messages[0], number);
          assertEquals(run.types[0], "text");
          assertEquals(run.messages.slice(1).join("") + run.rest, follower);
        }
      }
      const held = runFramerAsText(createJson(""), [encode(number)]);
      assertEquals(held, { messages: [], types: [], rest: number });
    }
    const all = runFramerAsText(createJson(""), [
      encode(numbers.join(" ") + "\n"),
    ]);
    assertEquals(all.messages.map((message) => message.trim()), numbers);
  },
);

Deno.test("createJson() cuts values that touch", { permissions }, () => {
  const cases: [text: string, messages: string[], rest: string][] = [
    ["truefalsenull", ["true", "false", "null"], ""],
    ['"a""b"', ['"a"', '"b"'], ""],
    ["{}[]{}", ["{}", "[]", "{}"], ""],
    ["1true", ["1", "true"], ""],
    ["1-2 ", ["1", "-2"], " "],
    ["1-2", ["1"], "-2"],
    ["12[3]4", ["12", "[3]"], "4"],
    ['true"x"1e3{}', ["true", '"x"', "1e3", "{}"], ""],
    ["null0", ["null"], "0"],
  ];
  for (const [text, messages, rest] of cases) {
    for (const chunks of cutEverywhere(encode(text))) {
      const run = runFramerAsText(createJson(""), chunks);
      assertEquals(run.messages, messages, text);
      assertEquals(run.rest, rest);
      assert(run.types.every((type) => type === "text"));
    }
  }
});

Deno.test(
  "createJson() finds the byte that cannot be JSON",
  { permissions },
  () => {
    for (const text of invalid) {
      const bytes = encode(text);
      // All bytes but the last one could still become JSON.
      const framer = createJson("");
      for (let end = 1; end < bytes.length; end++) {
        assertEquals(framer.frame(bytes.subarray(0, end), 1), null, text);
      }
      assertEquals(framer.frame(bytes, 1), {
        length: bytes.length,
        type: "binary",
      }, text);
      // It starts afresh behind them.
      assertEquals(framer.frame(encode("[1]"), 3), { length: 3, type: "text" });
    }
  },
);

Deno.test(
  "createJson() sends all that is held with the byte that cannot be JSON",
  { permissions },
  () => {
    const run = runFramerAsText(createJson(""), [
      encode('{"a":1}  {"b":x}, more'),
      encode('{"c":2}'),
    ]);
    assertEquals(run.messages, ['{"a":1}', '  {"b":x}, more', '{"c":2}']);
    assertEquals(run.types, ["text", "binary", "text"]);
  },
);

Deno.test(
  "createJson() takes a byte order mark for no JSON",
  { permissions },
  () => {
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]);
    assertEquals(createJson("").frame(bytes, 5), { length: 5, type: "binary" });
  },
);

Deno.test("createJson() passes bytes of 0x80 and above inside strings", {
  permissions,
}, () => {
  const bytes = new Uint8Array([0x22, 0x80, 0xff, 0xc0, 0x22]);
  assertEquals(createJson("").frame(bytes, 5), { length: 5, type: "text" });
  const outside = new Uint8Array([0x5b, 0x80]);
  assertEquals(createJson("").frame(outside, 2), { length: 2, type: "binary" });
});

Deno.test("createJson() follows any depth", { permissions }, () => {
  // Every kind of nesting in every place of the bits that keep it.
  const depth = 100_003;
  let open = "";
  let close = "";
  for (let level = 0; level < depth; level++) {
    const object = (level * level) % 3 === 1;
    open += object ? '{"a":' : "[";
    close += object ? "}" : "]";
  }
  const text = open + "null" + [...close].reverse().join("");
  const bytes = encode(text);
  for (const size of [1000, bytes.length]) {
    const framer = createJson("");
    for (const value of [bytes, encode("[[]]"), bytes]) {
      const { messages, rest } = runFramer(framer, cutEvery(value, size));
      assertEquals(messages.length, 1);
      assertEquals(messages[0]!.bytes.length, value.length);
      assertEquals(messages[0]!.type, "text");
      assertEquals(rest.length, 0);
    }
  }
  // One bracket of the other kind, deep inside, is found.
  const wrong = text.slice(0, open.length + 4 + 5000);
  const flipped = wrong + (text[wrong.length] === "]" ? "}" : "]");
  const { messages } = runFramer(createJson(""), [encode(flipped)]);
  assertEquals(messages.map(({ type }) => type), ["binary"]);
});

Deno.test("createJson() looks at each byte once", { permissions }, () => {
  const bytes = encode(
    JSON.stringify({ text: "x".repeat(5000), list: numbers }),
  );
  let examined = 0;
  const counting = (view: Uint8Array): Uint8Array =>
    new Proxy(view, {
      get(target, key): unknown {
        if (typeof key === "string" && /^\d+$/.test(key)) examined++;
        return Reflect.get(target, key, target);
      },
    });
  for (const size of [1, 3, 1000, bytes.length]) {
    examined = 0;
    const framer = createJson("");
    for (let end = size; end < bytes.length; end += size) {
      assertEquals(framer.frame(counting(bytes.subarray(0, end)), size), null);
    }
    const last = framer.frame(counting(bytes), size);
    assertEquals(last, { length: bytes.length, type: "text" });
    assertEquals(examined, bytes.length);
  }
});

Deno.test("createJson() agrees with JSON.parse() on mutated texts", {
  permissions,
}, () => {
  // A linear congruential generator: the same texts in each run.
  let seed = 4321;
  function random(limit: number): number {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return (seed >> 8) % limit;
  }
  const alphabet = ' \n{}[],:"\\u0129-+.eEtrufalsn\u00e9x';
  let valid = 0;
  for (let round = 0; round < 20_000; round++) {
    const base = values[random(values.length)]!;
    const place = random(base.length + 1);
    const letter = alphabet[random(alphabet.length)]!;
    // In an array, so that there is one value and its end is not in doubt.
    const text = `[${base.slice(0, place)}${letter}${
      base.slice(place + random(2))
    }]`;
    let expected = true;
    try {
      JSON.parse(text);
    } catch {
      expected = false;
    }
    const run = runFramerAsText(createJson(""), [encode(text)]);
    const framed = run.messages.length === 1 && run.types[0] === "text" &&
      run.rest === "";
    assertEquals(framed, expected, text);
    if (expected) valid++;
  }
  assert(valid > 1000, `${valid} of the texts are valid`);
});

Deno.test("createJson() drops white space alone at the end of the stream", {
  permissions,
}, () => {
  for (
    const [text, end] of [
      [" ", "drop"],
      ["{}\r\n", "drop"],
      ["{}[1] \t\n", "drop"],
      ["x \n ", "drop"],
      ["\n[1, ", "send"],
      ['{"a": ', "send"],
      ["\n12", "send"],
      ['" ', "send"],
      ["[", "send"],
    ] as const
  ) {
    for (const chunks of cutEverywhere(encode(text))) {
      const framer = createJson("");
      const { rest } = runFramer(framer, chunks);
      const { length } = rest;
      const expected: Frame | null = end === "send"
        ? null
        : { length, type: "discard" };
      if (rest.length > 0) {
        assertEquals(framer.end!(rest), expected, text);
      } else assertEquals(text, "x \n ");
    }
  }
});

Deno.test("createJson() asks for the rest of the stream as text", {
  permissions,
}, () => {
  assertEquals(createJson("").remainder, "text");
});
