import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import type { Frame, Framer } from "../../../core/api.ts";
import { describeError } from "../../../core/errors.ts";
import {
  type FramedRead,
  MessageFramer,
  mostFramed,
} from "../../../core/bridge/message_framer.ts";
import { framings } from "../../../framing/mod.ts";
import { cutEverywhere, decode, encode } from "../../support/framing_driver.ts";

const permissions = "none";
const maxMessage = 1000;

/** A message as `text:…` or `binary:…`. */
function describeMessages({ data, messages }: FramedRead): string[] {
  return messages.map(({ start, end, text }) =>
    `${text ? "text" : "binary"}:${decode(data.subarray(start, end))}`
  );
}

/** Reads bytes into the room offered, and frames them. */
function feed(framer: MessageFramer, bytes: Uint8Array): FramedRead {
  framer.room(bytes.length).set(bytes);
  return framer.push(bytes.length);
}

/** Everything that comes out for reads and then the end of the stream. */
function frameAll(
  framer: Framer,
  reads: Iterable<Uint8Array>,
  limit = maxMessage,
): string[] {
  const stream = new MessageFramer(framer, { maxMessage: limit });
  const messages: string[] = [];
  for (const bytes of reads) {
    const framed = feed(stream, bytes);
    assertEquals(framed.failure, undefined);
    messages.push(...describeMessages(framed));
  }
  messages.push(...describeMessages(stream.end()));
  stream.close();
  return messages;
}

/** Answers from a list, then that more is needed; what it was asked is kept. */
function answering(
  answers: readonly (readonly [length: number, type: Frame["type"]])[],
): Framer & { readonly asked: [data: string, fresh: number][] } {
  let next = 0;
  const asked: [string, number][] = [];
  return {
    asked,
    frame(data, fresh): Frame | null {
      asked.push([decode(data), fresh]);
      const answer = answers[next++];
      return answer === undefined
        ? null
        : { length: answer[0], type: answer[1] };
    },
  };
}

Deno.test(
  "MessageFramer asks again while messages are found and bytes remain",
  {
    permissions,
  },
  () => {
    const framer = answering([[1, "text"], [2, "binary"], [1, "text"]]);
    const stream = new MessageFramer(framer, { maxMessage });
    const first = feed(stream, encode("abcdef"));
    assertEquals(describeMessages(first), ["text:a", "binary:bc", "text:d"]);
    assertEquals(describeMessages(feed(stream, encode("gh"))), []);
    assertEquals(framer.asked, [
      ["abcdef", 6],
      ["bcdef", 5],
      ["def", 3],
      ["ef", 2],
      ["efgh", 2],
    ]);
  },
);

Deno.test("MessageFramer does not ask about no bytes", { permissions }, () => {
  const framer = answering([[2, "binary"], [1, "binary"]]);
  const stream = new MessageFramer(framer, { maxMessage });
  feed(stream, encode("ab"));
  assertEquals(framer.asked.length, 1);
});

Deno.test("MessageFramer leaves out what is discarded", { permissions }, () => {
  const framer = answering([
    [1, "discard"],
    [1, "text"],
    [1, "discard"],
    [1, "binary"],
    [2, "discard"],
  ]);
  const stream = new MessageFramer(framer, { maxMessage });
  const framed = feed(stream, encode("abcdef"));
  assertEquals(describeMessages(framed), ["text:b", "binary:d"]);
  assertEquals(describeMessages(stream.end()), []);
});

Deno.test("MessageFramer fails with 1011 where a framing function misbehaves", {
  permissions,
}, () => {
  const text = encode("ab|cdef");
  const type = "binary";
  const wrongLength = (length: unknown): string =>
    `framing function failed: Cannot frame a message: the framing function answered length ${length} with 4 bytes held`;
  const wrongType = (type: unknown): string =>
    `framing function failed: Cannot frame a message: the framing function answered type "${type}"`;
  const cases: [answer: () => unknown, why: string | undefined][] = [
    ...[0, -1, NaN, Infinity, 5, 1.5, "3", undefined, null].map((
      length,
    ): [() => unknown, string] => [
      () => ({ length, type }),
      wrongLength(length),
    ]),
    ...["ping", "", "TEXT", undefined, null, 1].map((
      type,
    ): [() => unknown, string] => [
      () => ({ length: 1, type }),
      wrongType(type),
    ]),
    [() => {
      throw new Error("no idea");
    }, "framing function failed: no idea"],
    // Some answers that are no frame at all.
    [() => undefined, undefined],
    [() => true, undefined],
    [() => Promise.resolve(null), undefined],
  ];
  for (const [answer, why] of cases) {
    let calls = 0;
    const stream = new MessageFramer({
      frame: () =>
        calls++ === 0 ? { length: 3, type: "text" } : answer() as Frame,
    }, { maxMessage });
    const framed = feed(stream, text);
    // What was found before is kept.
    assertEquals(describeMessages(framed), ["text:ab|"]);
    assertEquals(framed.failure?.code, 1011, why);
    assertEquals(framed.failure?.message, "framing function failed");
    assertInstanceOf(framed.failure?.cause, Error);
    if (why !== undefined) assertEquals(describeError(framed.failure), why);
    assertEquals(calls, 2);
  }
});

Deno.test(
  "MessageFramer fails with 1009 where more than the limit is held back",
  {
    permissions,
  },
  () => {
    const cases: [reads: number[], failsAt: number | undefined][] = [
      [[1000], undefined],
      [[1001], 0],
      [[999, 1], undefined],
      [[999, 2], 1],
      [[500, 500, 1], 2],
    ];
    for (const [reads, failsAt] of cases) {
      const stream = new MessageFramer(answering([]), { maxMessage });
      const failures = reads.map((size) =>
        feed(stream, new Uint8Array(size)).failure
      );
      const at = failures.findIndex((failure) => failure !== undefined);
      assertEquals(at, failsAt ?? -1, `${reads}`);
      if (failsAt === undefined) continue;
      assertEquals([failures[at]!.code, failures[at]!.message], [
        1009,
        "message from the peer exceeds 1000 bytes",
      ]);
    }
  },
);

Deno.test("MessageFramer limits what is held back, not what is read or sent", {
  permissions,
}, () => {
  // A message over the limit that is whole at once was never held back.
  const framer = answering([[3000, "binary"], [1000, "text"]]);
  const stream = new MessageFramer(framer, { maxMessage });
  const framed = feed(stream, new Uint8Array(5000));
  assertEquals(framed.messages.length, 2);
  assertEquals(framed.failure, undefined);
  // The messages before one that is too large are kept.
  const next = feed(stream, encode("x"));
  assertEquals([next.messages.length, next.failure?.code], [0, 1009]);
  const other = new MessageFramer(answering([[2, "text"]]), { maxMessage });
  const both = feed(other, new Uint8Array(1003));
  assertEquals([both.messages.length, both.failure?.code], [1, 1009]);
});

Deno.test("MessageFramer sends text that is not valid UTF-8 as binary", {
  permissions,
}, () => {
  const euro = [0xe2, 0x82, 0xac];
  const grin = [0xf0, 0x9f, 0x98, 0x80];
  type Piece = readonly [length: number, type: Frame["type"]];
  const cases: [bytes: number[], pieces: Piece[], types: string][] = [
    // One message.
    [euro, [[3, "text"]], "t"],
    [[0xff], [[1, "text"]], "b"],
    [[0xc0, 0x80], [[2, "text"]], "b"],
    [[0xed, 0xa0, 0x80], [[3, "text"]], "b"],
    [[0xf4, 0x90, 0x80, 0x80], [[4, "text"]], "b"],
    [[0xef, 0xbb, 0xbf], [[3, "text"]], "t"],
    [[0], [[1, "text"]], "t"],
    [[0xff], [[1, "binary"]], "b"],
    [[0x61], [[1, "binary"]], "b"],
    // Valid as a whole, and cut between characters.
    [[0x61, ...euro, ...grin], [[1, "text"], [3, "text"], [4, "text"]], "ttt"],
    [[...euro, ...euro], [[3, "text"], [3, "text"]], "tt"],
    // Valid as a whole, but cut inside a character.
    [euro, [[1, "text"], [2, "text"]], "bb"],
    [grin, [[2, "text"], [2, "text"]], "bb"],
    [grin, [[1, "text"], [1, "text"], [1, "text"], [1, "text"]], "bbbb"],
    [[0x61, ...euro], [[1, "text"], [2, "text"], [1, "text"]], "tbb"],
    [[...euro, 0x61], [[2, "text"], [2, "text"]], "bb"],
    [[...euro, 0x61], [[2, "text"], [1, "text"], [1, "text"]], "bbt"],
    // Not valid as a whole: each counts for itself.
    [[0x61, 0xff, 0x62], [[1, "text"], [1, "text"], [1, "text"]], "tbt"],
    [[0xff, ...euro], [[1, "text"], [3, "text"]], "bt"],
    [[...euro, 0xe2], [[3, "text"], [1, "text"]], "tb"],
    [[0x61, 0xff], [[2, "text"]], "b"],
    // Mixed with others.
    [[0xff, 0x61], [[1, "binary"], [1, "text"]], "bt"],
    [[0x61, 0xff], [[1, "text"], [1, "binary"]], "tb"],
    [euro, [[1, "binary"], [2, "text"]], "bb"],
    [euro, [[2, "text"], [1, "binary"]], "bb"],
    [[...euro, 0x61], [[2, "binary"], [1, "binary"], [1, "text"]], "bbt"],
    [[0x61, ...euro, 0x62], [[1, "text"], [3, "discard"], [1, "text"]], "tt"],
    [[0x61, 0xff, 0x62], [[1, "text"], [1, "discard"], [1, "text"]], "tt"],
    [euro, [[1, "discard"], [2, "text"]], "b"],
    [euro, [[1, "text"], [2, "discard"]], "b"],
    [[...euro, 0x61], [[1, "text"], [2, "discard"], [1, "text"]], "bt"],
    [[0xff, 0x61], [[1, "discard"], [1, "text"]], "t"],
  ];
  for (const [bytes, pieces, types] of cases) {
    const stream = new MessageFramer(answering(pieces), { maxMessage });
    const { messages, failure } = feed(stream, new Uint8Array(bytes));
    assertEquals(failure, undefined);
    assertEquals(
      messages.map(({ text }) => text ? "t" : "b").join(""),
      types,
      JSON.stringify([bytes, pieces]),
    );
    const sent = pieces.filter(([, type]) => type !== "discard");
    assertEquals(
      messages.map(({ start, end }) => end - start),
      sent.map(([length]) => length),
    );
  }
});

Deno.test(
  "MessageFramer checks text that follows a message in the same memory",
  {
    permissions,
  },
  () => {
    // The bytes before, already sent, are no part of what is checked.
    const text = new MessageFramer(framings["newline"]!("lf"), { maxMessage });
    feed(text, new Uint8Array([0xff, 0x0a, 0x61]));
    assertEquals(describeMessages(feed(text, encode("b\n"))), ["text:ab\n"]);
  },
);

Deno.test(
  "MessageFramer sends what is held back at the end as its framer says",
  {
    permissions,
  },
  () => {
    const cases: [
      remainder: Framer["remainder"],
      bytes: number[],
      type: string,
    ][] = [
      [undefined, [0x61], "binary"],
      ["binary", [0x61], "binary"],
      ["text", [0x61], "text"],
      ["text", [0xe2, 0x82, 0xac], "text"],
      ["text", [0xe2, 0x82], "binary"],
      ["text", [0xff], "binary"],
    ];
    for (const [remainder, bytes, type] of cases) {
      const framer: Framer = {
        frame: () => null,
        ...(remainder !== undefined && { remainder }),
      };
      const [message] = frameAll(framer, [new Uint8Array(bytes)]);
      assertEquals(message!.split(":")[0], type, JSON.stringify(bytes));
    }
  },
);

Deno.test("MessageFramer.end() gives nothing where nothing is held back", {
  permissions,
}, () => {
  const stream = new MessageFramer(framings["auto"]!(""), { maxMessage });
  assertEquals(stream.end().messages, []);
  feed(stream, encode("a"));
  assertEquals(stream.end().messages, []);
  const newline = new MessageFramer(framings["newline"]!("lf"), { maxMessage });
  feed(newline, encode("a\nb"));
  assertEquals(describeMessages(newline.end()), ["text:b"]);
  assertEquals(newline.end().messages, []);
});

Deno.test("MessageFramer makes an empty message of an empty datagram", {
  permissions,
}, () => {
  const framer = answering([[1, "text"]]);
  const stream = new MessageFramer(framer, { maxMessage });
  assertEquals(describeMessages(feed(stream, new Uint8Array(0))), ["binary:"]);
  assertEquals(framer.asked, []);
  assertEquals(describeMessages(feed(stream, encode("a"))), ["text:a"]);
  assertEquals(describeMessages(feed(stream, new Uint8Array(0))), ["binary:"]);
  for (
    const [name, config, type] of [
      ["auto", "", "text"],
      ["text", "", "text"],
      ["binary", "", "binary"],
      ["newline", "lf", "text"],
      ["json", "", "text"],
      ["separator", "x", "binary"],
    ] as const
  ) {
    const stream = new MessageFramer(framings[name]!(config), { maxMessage });
    const empty = describeMessages(feed(stream, new Uint8Array(0)));
    assertEquals(empty, [`${type}:`], name);
  }
});

Deno.test(
  "MessageFramer sends bytes from the memory that they were read into",
  {
    permissions,
  },
  () => {
    for (const name of ["auto", "binary"]) {
      const stream = new MessageFramer(framings[name]!(""), { maxMessage });
      // Also once the memory has grown and shrunk with the traffic.
      for (const fill of [10, 4096, 16384, 65536, 100, 1, 7]) {
        const room = stream.room(1);
        const count = Math.min(fill, room.length);
        room.fill(0x61, 0, count);
        const { data, messages } = stream.push(count);
        assertStrictEquals(data.buffer, room.buffer);
        const [message, ...others] = messages;
        assertEquals(others, []);
        assertEquals(data.byteOffset + message!.start, room.byteOffset);
        assertEquals(message!.end - message!.start, count);
        assertEquals(message!.text, name === "auto");
      }
    }
  },
);

Deno.test("MessageFramer frames lines the same wherever the stream is cut", {
  permissions,
}, () => {
  const text = "grüß €\r\n\r\n😀\n\rx\ry\r\r\n\ufeffz\r\nrest \r€";
  const expected = [
    "text:grüß €\r\n",
    "text:\r\n",
    "text:😀\n\rx\ry\r\r\n",
    "text:\ufeffz\r\n",
    "text:rest \r€",
  ];
  let ways = 0;
  for (const reads of cutEverywhere(encode(text))) {
    const framer = framings["newline"]!("crlf");
    assertEquals(frameAll(framer, reads), expected, JSON.stringify(reads));
    ways++;
  }
  assert(ways > text.length);
});

Deno.test("MessageFramer frames long lines the same in reads of any size", {
  permissions,
}, () => {
  const lines = [10, 4095, 4096, 4097, 70_000, 0, 300_000, 1].map((length) =>
    "é".repeat(length) + "\n"
  );
  const bytes = encode(lines.join(""));
  for (const size of [1021, 4096, 65_537, bytes.length]) {
    const stream = new MessageFramer(framings["newline"]!("lf"), {
      maxMessage: 1_000_000,
    });
    const messages: string[] = [];
    for (let place = 0; place < bytes.length;) {
      const room = stream.room(1);
      const read = bytes.subarray(
        place,
        place + Math.min(size, room.length),
      );
      room.set(read);
      place += read.length;
      messages.push(...describeMessages(stream.push(read.length)));
    }
    assertEquals(messages, lines.map((line) => `text:${line}`));
  }
});

Deno.test("MessageFramer.close() releases the framer once", {
  permissions,
}, () => {
  let closed = 0;
  const stream = new MessageFramer(
    { frame: () => null, close: () => closed++ },
    {
      maxMessage,
    },
  );
  stream.close();
  stream.close();
  assertEquals(closed, 1);
  new MessageFramer({ frame: () => null }, { maxMessage }).close();
});

Deno.test("MessageFramer sends a part of the bytes, or others in their place", {
  permissions,
}, () => {
  const cases: [frames: Frame[], messages: string[]][] = [
    [[{ length: 3, type: "text", end: 2 }], ["text:ab"]],
    [[{ length: 3, type: "text", start: 1 }], ["text:bc"]],
    [[{ length: 3, type: "binary", start: 1, end: 2 }], ["binary:b"]],
    [
      [
        { length: 1, type: "text", end: 0 },
        { length: 2, type: "text", start: 2 },
        { length: 1, type: "binary", start: 1, end: 1 },
      ],
      ["text:", "text:", "binary:"],
    ],
    [
      [
        { length: 2, type: "text", message: encode("x") },
        { length: 1, type: "binary", message: encode("") },
        { length: 1, type: "text", end: 1 },
        { length: 2, type: "text", message: encode("yz") },
      ],
      ["text:x", "binary:", "text:d", "text:yz"],
    ],
    [
      [
        { length: 1, type: "text" },
        { length: 1, type: "text", message: encode("ééé") },
        { length: 1, type: "discard" },
        { length: 1, type: "binary", message: encode("longer") },
        { length: 2, type: "text", end: 1 },
      ],
      ["text:a", "text:ééé", "binary:longer", "text:e"],
    ],
    // Text is checked, whatever lies between and beside it.
    [
      [
        { length: 1, type: "text", message: new Uint8Array([0xff, 0x41]) },
        { length: 1, type: "text", message: new Uint8Array([0xff]) },
        { length: 1, type: "text" },
      ],
      ["binary:\ufffdA", "binary:\ufffd", "text:c"],
    ],
  ];
  for (const [frames, messages] of cases) {
    let next = 0;
    const framer = { frame: () => frames[next++] ?? null };
    const stream = new MessageFramer(framer, { maxMessage });
    const framed = feed(stream, encode("abcdef"));
    assertEquals(framed.failure, undefined);
    assertEquals(describeMessages(framed), messages);
    assert((framed.headroom ?? 0) <= framed.messages[0]!.start);
  }
});

Deno.test("MessageFramer sends text between bytes that are dropped", {
  permissions,
}, () => {
  // An end that is not UTF-8, in the middle of what is checked at once.
  const frames: Framer = {
    frame: (data) => {
      const length = data.indexOf(0xbf) + 1;
      return length === 0 ? null : { length, type: "text", end: length - 1 };
    },
  };
  const bytes = new Uint8Array([
    0x61,
    0xbf,
    0xbf,
    0xc3,
    0xa9,
    0xbf,
    0xc3,
    0xbf,
  ]);
  assertEquals(frameAll(frames, [bytes]), [
    "text:a",
    "text:",
    "text:é",
    "binary:\ufffd",
  ]);
});

Deno.test("MessageFramer refuses parts and messages that cannot be", {
  permissions,
}, () => {
  const cases: [frame: unknown, code: number, why: string][] = [
    ...[[-1, 2], [0, 4], [2, 1], [0.5, 2], [0, NaN], ["0", 2], [0, "2"]].map((
      [start, end],
    ): [unknown, number, string] => [
      { length: 3, type: "text", start, end },
      1011,
      `framing function failed: Cannot frame a message: the framing function answered ${start} to ${end} of 3 bytes`,
    ]),
    [
      { length: 3, type: "text", message: "abc" },
      1011,
      "framing function failed: Cannot frame a message: the framing function answered a message that is not a Uint8Array",
    ],
    [
      { length: 3, type: "text", message: new Uint8Array(1001) },
      1009,
      "message from the peer exceeds 1000 bytes",
    ],
  ];
  for (const [frame, code, why] of cases) {
    const framer = { frame: () => frame as Frame };
    const framed = feed(
      new MessageFramer(framer, { maxMessage }),
      encode("abcdef"),
    );
    assertEquals(framed.messages, []);
    assertEquals(framed.failure?.code, code);
    assertEquals(describeError(framed.failure), why);
  }
});

Deno.test("MessageFramer limits what becomes of one read", {
  permissions,
}, () => {
  const message = new Uint8Array(1000);
  const framer: Framer = {
    frame: () => ({ length: 1, type: "binary", message }),
  };
  const framed = feed(
    new MessageFramer(framer, { maxMessage }),
    new Uint8Array(4096),
  );
  assertEquals(framed.failure?.code, 1009);
  assertEquals(framed.messages.length, 3146);
  assert(framed.data.length <= mostFramed(maxMessage));
});

Deno.test(
  "MessageFramer asks what becomes of the rest",
  { permissions },
  () => {
    const end: Framer["end"] = (data) => {
      if (data[0] === 0x20) return { length: 1, type: "discard" };
      if (data[0] === 0x21) return null;
      if (data[0] === 0x3f) throw new Error("no idea");
      return { length: 1, type: "text", message: encode(`<${decode(data)}>`) };
    };
    const cases: [rest: string, messages: string[], code?: number][] = [
      ["", []],
      ["  ", []],
      ["ab", ["text:<ab>", "text:<b>"]],
      [" a!b", ["text:<a!b>", "text:!b"]],
      ["!b", ["text:!b"]],
      ["a?", ["text:<a?>"], 1011],
    ];
    for (const [rest, messages, code] of cases) {
      const framer: Framer = { frame: () => null, end, remainder: "text" };
      const stream = new MessageFramer(framer, { maxMessage });
      if (rest !== "") feed(stream, encode(rest));
      const framed = stream.end();
      assertEquals(describeMessages(framed), messages);
      assertEquals(framed.failure?.code, code);
    }
  },
);
