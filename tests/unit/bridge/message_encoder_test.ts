import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type EncodedMessages,
  openEncoder,
} from "../../../core/bridge/message_encoder.ts";
import type { IncomingMessages } from "../../../core/websocket/engine.ts";
import { decode, encode } from "../../support/framing_driver.ts";

const permissions = "none";
const maxMessage = 1000;

/** A batch as an engine gives it: in the middle of a larger buffer. */
function batch(...messages: (string | Uint8Array)[]): IncomingMessages {
  const bytes = messages.map((message) =>
    typeof message === "string" ? encode(message) : message
  );
  const size = bytes.reduce((sum, { length }) => sum + length, 0);
  const data = new Uint8Array(size + 13).fill(0x23).subarray(5, 5 + size);
  const ends: number[] = [];
  const turns: number[] = [];
  let end = 0;
  let wasText = false;
  for (const [index, message] of messages.entries()) {
    data.set(bytes[index]!, end);
    end += bytes[index]!.length;
    ends.push(end);
    const isText = typeof message === "string";
    if (isText !== wasText) turns.push(index);
    wasText = isText;
  }
  return { data, ends, turns };
}

/** The messages of a batch, as texts. */
function textsOf({ data, ends }: EncodedMessages): string[] {
  assertEquals(ends.at(-1) ?? 0, data.length);
  return ends.map((end, index) =>
    decode(data.subarray(ends[index - 1] ?? 0, end))
  );
}

/** What messages become, one batch at a time. */
function run(
  encoding: Parameters<typeof openEncoder>[0],
  batches: readonly IncomingMessages[],
  limit = maxMessage,
): { readonly texts: string[][]; readonly failures: (string | undefined)[] } {
  const encoder = openEncoder(encoding, { maxMessage: limit })!;
  const texts: string[][] = [];
  const failures: (string | undefined)[] = [];
  for (const messages of batches) {
    const before = messages.data.slice();
    const encoded = encoder.encode(messages);
    assert(!(encoded instanceof Promise));
    texts.push(textsOf(encoded));
    const { failure } = encoded;
    failures.push(failure && `${failure.code} ${failure.message}`);
    encoder.written();
    assertEquals(messages.data, before);
  }
  return { texts, failures };
}

Deno.test(
  "openEncoder() gives nothing for a framing function that changes nothing",
  {
    permissions,
  },
  () => {
    assertEquals(openEncoder({}, { maxMessage }), undefined);
    const append = new Uint8Array(0);
    assertEquals(openEncoder({ append }, { maxMessage }), undefined);
  },
);

Deno.test("openEncoder() refuses what is malformed", { permissions }, () => {
  for (
    const encoding of [{ encode: 1 }, { append: "\r\n" }, { append: [13] }]
  ) {
    assertThrows(
      () => openEncoder(encoding as never, { maxMessage }),
      TypeError,
      "Cannot use the framing function: its",
    );
  }
});

Deno.test("openEncoder() lets each message be encoded, with its type", {
  permissions,
}, () => {
  const asked: string[] = [];
  const framer = {
    prefix: ">",
    // It may be a method, and answer bytes of any length.
    encode(message: Uint8Array, type: string): Uint8Array {
      asked.push(`${type}:${decode(message)}`);
      return encode(this.prefix + decode(message).repeat(2));
    },
  };
  const { texts } = run(framer, [
    batch("a"),
    batch(new Uint8Array([0x62]), "", "cd", encode("e"), encode("")),
    batch("x".repeat(400), "y".repeat(300), "z".repeat(40)),
    batch(),
  ]);
  assertEquals(texts, [
    [">aa"],
    [">bb", ">", ">cdcd", ">ee", ">"],
    ["x", "y", "z"].map((letter, index) =>
      ">" + letter.repeat([800, 600, 80][index]!)
    ),
    [],
  ]);
  assertEquals(asked.slice(0, 6), [
    "text:a",
    "binary:b",
    "text:",
    "text:cd",
    "binary:e",
    "binary:",
  ]);
});

Deno.test(
  "openEncoder() takes bytes at once that the framing function uses again",
  {
    permissions,
  },
  () => {
    const memory = new Uint8Array(1);
    let calls = 0;
    const { texts } = run({
      encode(): Uint8Array {
        memory[0] = 0x61 + calls++;
        return memory;
      },
    }, [batch("1", "2", "3")]);
    assertEquals(texts, [["a", "b", "c"]]);
  },
);

Deno.test("openEncoder() does not copy a message that goes alone", {
  permissions,
}, () => {
  const answer = encode("abc");
  const encoder = openEncoder({ encode: () => answer }, { maxMessage })!;
  const encoded = encoder.encode(batch("x")) as EncodedMessages;
  assertStrictEquals(encoded.data, answer);
});

Deno.test("openEncoder() limits each message, and keeps those before", {
  permissions,
}, () => {
  const messages = batch("a", "x".repeat(11), "b");
  const why = "1009 message for the peer exceeds 10 bytes";
  assertEquals(run({ encode: (message) => message }, [messages], 10), {
    texts: [["a"]],
    failures: [why],
  });
  const append = encode("\r\n");
  const lines = batch("a", "x".repeat(8), "x".repeat(8) + "\r\n", "123456789");
  assertEquals(run({ append }, [lines], 10), {
    texts: [["a\r\n", "xxxxxxxx\r\n", "xxxxxxxx\r\n"]],
    failures: [why],
  });
});

Deno.test("openEncoder() adds what a message lacks at its end", {
  permissions,
}, () => {
  const sizes = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 255, 256, 257, 700];
  for (const ending of ["\n", "\r\n", "\0", "ab", "aab", "123456789abcdefg"]) {
    // All its parts, and all of it behind messages of many lengths.
    const messages = sizes.flatMap((size) =>
      Array.from(
        { length: ending.length + 1 },
        (_, cut) => [
          "x".repeat(size) + ending.slice(0, cut),
          "x".repeat(size) + ending.slice(cut),
        ],
      ).flat()
    );
    const expected = messages.map((message) =>
      message.endsWith(ending) ? message : message + ending
    );
    const append = encode(ending);
    const all = run({ append }, [batch(...messages)]);
    assertEquals(all.texts, [expected]);
    const alone = run({ append }, messages.map((message) => batch(message)));
    assertEquals(alone.texts, expected.map((message) => [message]));
  }
});

Deno.test("openEncoder() does not copy messages that have their end", {
  permissions,
}, () => {
  const encoder = openEncoder({ append: encode("\n") }, { maxMessage })!;
  const messages = batch("a\n", "b\n", "\n");
  assertStrictEquals(encoder.encode(messages), messages);
  // What the framing function does to its bytes later changes nothing.
  const append = encode("\n");
  const other = openEncoder({ append }, { maxMessage })!;
  append.fill(0x58);
  assertEquals(textsOf(other.encode(batch("a")) as EncodedMessages), ["a\n"]);
});

Deno.test(
  "openEncoder() leaves messages alone to which the engine gave their end",
  {
    permissions,
  },
  () => {
    const encoder = openEncoder({ append: encode("\n") }, { maxMessage })!;
    const messages: IncomingMessages = { ...batch("a\n", "b\n"), ended: true };
    assertStrictEquals(encoder.encode(messages), messages);
    // Of others it looks at each.
    assertEquals(
      textsOf(encoder.encode(batch("a\n", "b")) as EncodedMessages),
      [
        "a\n",
        "b\n",
      ],
    );
  },
);
