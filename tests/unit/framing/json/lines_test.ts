import { assertEquals, assertThrows } from "@std/assert";
import { MessageFramer } from "../../../../core/bridge/message_framer.ts";
import { createJson } from "../../../../framing/json/json.ts";
import {
  cutEverywhere,
  decode,
  encode,
  runFramerAsText,
} from "../../../support/framing_driver.ts";

const permissions = "none";

Deno.test("createJson() sends each line of JSON lines without its end", {
  permissions,
}, () => {
  const text = '{"a":1}\n\r\n [1, 2]\t\r\n\n\n  \n"é€"\n12\nno JSON\n{"b"';
  for (const chunks of cutEverywhere(encode(text))) {
    const run = runFramerAsText(createJson(" lines "), chunks);
    assertEquals(run.messages, ['{"a":1}', "[1, 2]", '"é€"', "12", "no JSON"]);
    assertEquals(new Set(run.types), new Set(["text"]));
    assertEquals(run.rest, '{"b"');
  }
});

Deno.test(
  "createJson() sends a last line that has no end, unless it is empty",
  {
    permissions,
  },
  () => {
    const cases: [rest: string, message: string | undefined][] = [
      ["1", "1"],
      [' {"a"\t\r', '{"a"'],
      [" \r", undefined],
    ];
    for (const [rest, message] of cases) {
      const stream = new MessageFramer(createJson("lines"), { maxMessage: 99 });
      stream.room(rest.length).set(encode(rest));
      assertEquals(stream.push(rest.length).messages, []);
      const { data, messages } = stream.end();
      assertEquals(
        messages.map(({ start, end, text }) => [
          decode(data.subarray(start, end)),
          text,
        ]),
        message === undefined ? [] : [[message, true]],
      );
    }
  },
);

Deno.test("createJson() makes one line of each message of the client", {
  permissions,
}, () => {
  const { encode: encodeLine } = createJson("lines");
  const cases: [message: string, line: string][] = [
    ['{"a":1}', '{"a":1}\n'],
    ['{"a":1}\n', '{"a":1}\n'],
    ['{\r\n  "a": 1\r\n}\r\n\r\n', '{    "a": 1  }\n'],
    ["\n[\n1]", " [ 1]\n"],
    ['"\\n"', '"\\n"\n'],
    ["", ""],
    [" \r\n\t", ""],
  ];
  for (const [message, line] of cases) {
    const bytes = encode(message);
    assertEquals(decode(encodeLine!(bytes, "text")), line);
    assertEquals(decode(bytes), message);
  }
  assertEquals(createJson("").encode, undefined);
});

Deno.test("createJson() throws for another configuration", {
  permissions,
}, () => {
  for (const word of ["line", "LINES", "ndjson"]) {
    assertThrows(
      () => createJson(word),
      SyntaxError,
      `Cannot use json "${word}": "${word}" is not one of lines`,
    );
  }
});
