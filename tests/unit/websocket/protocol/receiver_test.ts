import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Buffer } from "node:buffer";
import { Receiver } from "../../../../core/websocket/protocol/receiver.ts";
import {
  binary,
  frame,
  join,
  letters,
  pattern,
  ping,
  pong,
  sameBytes,
  text,
  utf8,
} from "../../../support/websocket_client_frames.ts";
import { CASES, type ProtocolCase } from "../../../support/receiver_cases.ts";
import { cutAt, observe } from "../../../support/receiver_observer.ts";

const permissions = "none";

Deno.test({
  name: "Receiver.receive() is tested with at least 300 cases",
  permissions,
  fn(): void {
    const names = Object.entries(CASES).flatMap(([group, cases]) =>
      cases.map(({ name }) => `${group}: ${name}`)
    );
    assertEquals(new Set(names).size, names.length);
    assert(names.length >= 300);
  },
});

for (const [group, cases] of Object.entries(CASES)) {
  Deno.test({
    name: `Receiver.receive() does what is expected: ${group}`,
    permissions,
    fn(): void {
      for (const item of cases) {
        check(item, [item.input.slice()], "whole");
        // A large payload byte by byte takes as long as all that is small, and is
        // no other in one group than in the next.
        const each = group === "lengths"
          ? item.input.keys().drop(1)
          : cuts(item.input.length);
        check(item, cutAt(item.input, [...each]), "byte by byte");
        for (const cut of cuts(item.input.length)) {
          check(item, cutAt(item.input, [cut]), `cut at ${cut}`);
        }
      }
    },
  });
}

/** Where an input is cut in two: everywhere, or near its ends and those of large payloads. */
function cuts(length: number): number[] {
  const all = Array.from(
    { length: Math.max(0, length - 1) },
    (_, index) => index + 1,
  );
  if (length <= 1024) return all;
  return all.filter((cut) =>
    cut <= 20 || length - cut <= 20 || Math.abs(length / 2 - cut) <= 12 ||
    cut % 8191 === 0
  );
}

/** Asserts that chunks come to what a case expects. */
function check(item: ProtocolCase, chunks: Uint8Array[], how: string): void {
  const got = observe(chunks, item.maxMessage);
  const where = `${item.name}, ${how}`;
  assertSame(got.messages, item.messages, where);
  assertSame(got.pings, item.pings, where);
  assertEquals(got.ponged, item.ponged, where);
  assertEquals(got.close, item.close, where);
  assertEquals(got.failure?.code, item.failure, where);
  assert(got.excess <= 1024, `${where}: ${got.excess} bytes too many are held`);
}

/** `assertEquals` for byte strings, in less time where they are equal. */
function assertSame(
  actual: readonly Uint8Array[],
  expected: readonly Uint8Array[],
  where: string,
): void {
  const same = actual.length === expected.length &&
    actual.every((bytes, index) => sameBytes(bytes, expected[index]!));
  if (!same) assertEquals(actual, expected, where);
}

Deno.test({
  name: "Receiver.receive() reads the client's frames of RFC 6455 section 5.7",
  permissions,
  fn(): void {
    const masked = observe([
      new Uint8Array([
        0x81,
        0x85,
        0x37,
        0xfa,
        0x21,
        0x3d,
        0x7f,
        0x9f,
        0x4d,
        0x51,
        0x58,
      ]),
    ], 1024);
    assertEquals(masked.messages, [utf8("Hello")]);
    const answer = observe([
      new Uint8Array([
        0x8a,
        0x85,
        0x37,
        0xfa,
        0x21,
        0x3d,
        0x7f,
        0x9f,
        0x4d,
        0x51,
        0x58,
      ]),
    ], 1024);
    assertEquals(answer.ponged, true);
    assertEquals(answer.failure, undefined);
  },
});

Deno.test({
  name:
    "Receiver.receive() refuses the server's frames of RFC 6455 section 5.7",
  permissions,
  fn(): void {
    const examples = [
      [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
      [0x01, 0x03, 0x48, 0x65, 0x6c],
      [0x80, 0x02, 0x6c, 0x6f],
      [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
      [0x82, 0x7e, 0x01, 0x00, ...letters(256)],
      [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0, ...letters(65536)],
    ];
    for (const example of examples) {
      const { failure, messages } = observe([new Uint8Array(example)], 1 << 20);
      assertEquals(failure, { code: 1002, reason: "Frame is not masked" });
      assertEquals(messages, []);
    }
  },
});

Deno.test({
  name: "Receiver.receive() gives the messages of a read as one view of it",
  permissions,
  fn(): void {
    const chunk = join(
      text("ab"),
      binary("cde"),
      ping("1"),
      text(""),
      text("f"),
      text("g"),
    );
    const { messages, pongs } = new Receiver({ maxMessage: 9 })
      .receive(
        chunk,
      );
    assertEquals(messages, [{
      data: utf8("abcdefg"),
      ends: [2, 5, 5, 6, 7],
      turns: [0, 1, 2],
    }]);
    assertStrictEquals(messages[0]?.data.buffer, chunk.buffer);
    assertEquals(pongs, [utf8("1")]);
  },
});

Deno.test({
  name:
    "Receiver.receive() gives fragments that came in one read as part of its view",
  permissions,
  fn(): void {
    const chunk = join(
      text("a"),
      frame({ opcode: 1, payload: "b", final: false }),
      frame({ opcode: 0, payload: "c" }),
      binary("d"),
    );
    const { messages } = new Receiver({ maxMessage: 9 }).receive(
      chunk,
    );
    assertEquals(messages, [
      { data: utf8("abcd"), ends: [1, 3, 4], turns: [0, 2] },
    ]);
    assertStrictEquals(messages[0]?.data.buffer, chunk.buffer);
  },
});

Deno.test({
  name:
    "Receiver.receive() looks at its chunk only, wherever that lies in its buffer",
  permissions,
  fn(): void {
    const input = join(text("ab"), binary(pattern(3000)), binary("c"));
    for (let offset = 0; offset < 5; offset++) {
      const chunk = Buffer.alloc(offset + input.length + 9, 0x77);
      chunk.set(input, offset);
      const receiver = new Receiver({ maxMessage: 3000 });
      const { messages } = receiver.receive(
        chunk.subarray(offset, offset + input.length),
      );
      assertEquals(messages, [
        {
          data: join(utf8("ab"), pattern(3000), utf8("c")),
          ends: [2, 3002, 3003],
          turns: [0, 1],
        },
      ]);
      assert(chunk.subarray(0, offset).every((byte) => byte === 0x77));
      assert(
        chunk.subarray(offset + input.length).every((byte) => byte === 0x77),
      );
    }
  },
});

Deno.test({
  name: "Receiver.receive() says in words what is wrong",
  permissions,
  fn(): void {
    const table: [Uint8Array, string][] = [
      [frame({ opcode: 1, reserved: 4 }), "Reserved bits are set"],
      [frame({ opcode: 11 }), "Opcode 11 is reserved"],
      [frame({ opcode: 1, mask: null }), "Frame is not masked"],
      [frame({ opcode: 9, final: false }), "Control frame is fragmented"],
      [
        frame({ opcode: 9, payload: letters(126) }),
        "Control frame is over 125 bytes",
      ],
      [
        frame({ opcode: 2, lengthBytes: 2 }),
        "Length is not in the shortest form",
      ],
      [
        frame({ opcode: 2, length: 2n ** 63n }),
        "Length has its highest bit set",
      ],
      [
        frame({ opcode: 0 }),
        "Continuation frame without a message to continue",
      ],
      [
        join(frame({ opcode: 1, final: false }), text("")),
        "Message begins before the one before it is complete",
      ],
      [text(letters(300)), "Message is over 200 bytes"],
      [text(new Uint8Array([0xff])), "Text is not valid UTF-8"],
      [frame({ opcode: 8, payload: "x" }), "Close frame has only half a code"],
      [
        frame({ opcode: 8, payload: new Uint8Array(2) }),
        "Close code 0 is not valid",
      ],
      [
        frame({ opcode: 8, payload: new Uint8Array([3, 232, 255]) }),
        "Close reason is not valid UTF-8",
      ],
    ];
    for (const [input, reason] of table) {
      assertEquals(observe([input], 200).failure?.reason, reason);
    }
  },
});

Deno.test({
  name: "Receiver.receive() refuses text before its frame is complete",
  permissions,
  fn(): void {
    const head = text(join(new Uint8Array([0x61, 0xff]), letters(9000)))
      .subarray(0, 20);
    assertEquals(observe([head], 10_000).failure?.code, 1007);
    const cutShort = text(join(letters(13), utf8("€"))).subarray(0, -1);
    assertEquals(observe([cutShort], 10_000).failure, undefined);
  },
});

Deno.test({
  name:
    "Receiver.receive() allocates for what has come, not for what is announced",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 24 });
    const payload = pattern(1 << 20);
    const input = frame({ opcode: 2, payload, length: BigInt(1 << 24) });
    receiver.receive(input.slice(0, 14));
    assert(receiver.held <= 256);
    for (let given = 14; given < input.length; given += 1000) {
      receiver.receive(input.slice(given, given + 1000));
      assert(receiver.held <= 4 * Math.min(given + 1000, input.length));
    }
  },
});

Deno.test({
  name:
    "Receiver.receive() allocates no more than a message needs that comes to its end",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 24 });
    const input = binary(pattern(100_000));
    receiver.receive(input.slice(0, 90_000));
    assertEquals(receiver.held, 100_000);
  },
});

Deno.test({
  name: "Receiver.receive() does not grow with fragments that are empty",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1024 });
    receiver.receive(frame({ opcode: 1, payload: "a", final: false }));
    const before = receiver.held;
    const empty = join(
      ...Array.from({ length: 1000 }, () => frame({ opcode: 0, final: false })),
    );
    for (let count = 0; count < 100; count++) receiver.receive(empty.slice());
    assertEquals(receiver.held, before);
    const { messages } = receiver.receive(frame({ opcode: 0, payload: "b" }));
    assertEquals(messages, [{ data: utf8("ab"), ends: [2], turns: [0] }]);
  },
});

Deno.test({
  name: "Receiver.receive() tells where the type of messages changes",
  permissions,
  fn(): void {
    const kinds = [1, 2, 2, 1, 1, 1, 2, 1, 2, 2];
    const input = join(
      ...kinds.map((opcode, index) =>
        index === 4
          ? join(
            frame({ opcode, payload: "x", final: false }),
            frame({ opcode: 0, payload: "y" }),
          )
          : frame({ opcode, payload: "xy" })
      ),
    );
    const { messages } = new Receiver({ maxMessage: 9 }).receive(
      input.slice(),
    );
    assertEquals(messages[0]?.turns, [0, 1, 3, 6, 7, 8]);
    // However it is cut, each message keeps its type.
    for (let cut = 1; cut < input.length; cut++) {
      const { types } = observe(cutAt(input, [cut]), 9);
      assertEquals(types, kinds.map((kind) => kind === 1 ? "text" : "binary"));
    }
    // The next read begins anew.
    const receiver = new Receiver({ maxMessage: 9 });
    assertEquals(receiver.receive(text("a")).messages[0]?.turns, [0]);
    assertEquals(receiver.receive(binary("a")).messages[0]?.turns, undefined);
    assertEquals(receiver.receive(text("a")).messages[0]?.turns, [0]);
  },
});

Deno.test({
  name: "Receiver.receive() grows seldom with fragments that are small",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 20 });
    receiver.receive(frame({ opcode: 2, payload: pattern(100), final: false }));
    const sizes = new Set<number>();
    for (let count = 1; count < 1000; count++) {
      receiver.receive(
        frame({ opcode: 0, payload: pattern(100), final: false }),
      );
      sizes.add(receiver.held);
    }
    assert(sizes.size <= 12, `${sizes.size} sizes`);
    assert(receiver.held <= 2 * 100_000);
  },
});

Deno.test({
  name: "Receiver.receive() fails text at the first byte that cannot be UTF-8",
  permissions,
  fn(): void {
    const before = utf8("κόσμε");
    for (
      const bad of [
        [0x80],
        [0xc1],
        [0xe0, 0x80],
        [0xe0, 0x9f],
        [0xed, 0xa0],
        [0xf0, 0x8f],
        [0xf4, 0x90],
        [0xf5],
        [0xe2, 0x82, 0x28],
      ]
    ) {
      const payload = join(before, new Uint8Array(bad));
      const longer = text(join(payload, new Uint8Array(100)));
      for (
        const [how, input] of [
          ["a fragment's end", frame({ opcode: 1, final: false, payload })],
          ["a read's end", longer.subarray(0, 6 + payload.length)],
          [
            "a fragment's read's end",
            join(
              frame({ opcode: 1, final: false, payload: "a" }),
              frame({ opcode: 0, payload, length: 125n }),
            ),
          ],
        ] as const
      ) {
        const where = `${bad} at ${how}`;
        const bytes = Array.from(input, (byte) => new Uint8Array([byte]));
        // They are changed, and so is the input.
        const again = structuredClone(bytes);
        const early = observe(bytes.slice(0, -1), 1024);
        assertEquals(early.failure, undefined, where);
        assertEquals(observe(again, 1024).failure?.code, 1007, where);
        assertEquals(observe([input], 1024).failure?.code, 1007, where);
      }
    }
  },
});

Deno.test({
  name: "Receiver.receive() tells of 64 pings of a read, the last among them",
  permissions,
  fn(): void {
    for (const count of [63, 64, 65, 1000]) {
      const receiver = new Receiver({ maxMessage: 9 });
      const all = Array.from({ length: count }, (_, index) => `${index}`);
      const { pongs } = receiver.receive(
        join(...all.map((data) => ping(data))),
      );
      const told = [...all.slice(0, 63), ...all.slice(63).slice(-1)];
      assertEquals(pongs, told.map(utf8));
    }
  },
});

Deno.test({
  name: "Receiver.receive() tells of pings and pongs once",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 9 });
    const first = receiver.receive(join(ping("1"), ping("2"), pong("3")));
    assertEquals(first, {
      messages: [],
      pongs: [utf8("1"), utf8("2")],
      ponged: true,
    });
    assertEquals(receiver.receive(new Uint8Array()), {
      messages: [],
      pongs: [],
      ponged: false,
    });
  },
});

Deno.test({
  name:
    "Receiver.receive() uses two buffers in turn for messages that come in several reads",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 20 });
    const payloads = Array.from(
      { length: 9 },
      (_, index) => pattern(65536).fill(index, 5, 500),
    );
    const input = join(...payloads.map(binary));
    const buffers = new Set<ArrayBufferLike>();
    const got: Uint8Array[] = [];
    for (let start = 0; start < input.length; start += 60_000) {
      const { messages } = receiver.receive(input.slice(start, start + 60_000));
      for (const { data } of messages) {
        got.push(data.slice());
        buffers.add(data.buffer);
      }
    }
    assertSame(got, payloads, "messages");
    assertEquals(buffers.size, 2);
    assertEquals(receiver.held, 2 * 65536);
  },
});

Deno.test({
  name: "Receiver.receive() keeps no buffer of a huge message",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 24 });
    const payload = pattern(1 << 20);
    const input = binary(payload);
    receiver.receive(input.slice(0, 900_000));
    const { messages } = receiver.receive(input.slice(900_000));
    assertSame(messages.map(({ data }) => data), [payload], "messages");
    assertEquals(receiver.held, 0);
  },
});

Deno.test({
  name: "Receiver.taken() lets others use the memory of a long message",
  permissions,
  fn(): void {
    function receive(seed: number): [Receiver, Uint8Array] {
      const receiver = new Receiver({ maxMessage: 1 << 24 });
      const payload = pattern(1 << 20).fill(seed, 5, 500);
      const input = binary(payload.slice());
      // It is in memory of both sizes before it is whole.
      for (const end of [100_000, 200_000, 900_000]) {
        receiver.receive(input.slice(given, end));
        given = end;
      }
      const { messages } = receiver.receive(input.slice(given));
      given = 0;
      assertSame(messages.map(({ data }) => data), [payload], "messages");
      return [receiver, messages[0]!.data];
    }
    let given = 0;
    const [first, message] = receive(1);
    const before = message.slice();
    const [second, other] = receive(2);
    assert(other.buffer !== message.buffer);
    // The buffers that wait are dropped, what is in use is not.
    first.trim();
    assertEquals(receive(3)[1].buffer === message.buffer, false);
    assertSame([message], [before], "messages");
    first.taken();
    first.taken();
    const [third, next] = receive(4);
    assertStrictEquals(next.buffer, message.buffer);
    const [, last] = receive(5);
    assert(last.buffer !== next.buffer && last.buffer !== other.buffer);
    for (const receiver of [second, third]) receiver.taken();
  },
});

Deno.test({
  name: "Receiver.trim() drops the buffers that wait for messages",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 20 });
    const input = binary(pattern(50_000));
    receiver.receive(input.slice(0, 30_000));
    receiver.receive(input.slice(30_000));
    assert(receiver.held > 0);
    receiver.trim();
    assertEquals(receiver.held, 0);
  },
});

Deno.test({
  name: "Receiver.trim() keeps an unfinished message",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 1 << 20 });
    const payload = pattern(50_000);
    const input = binary(payload);
    receiver.receive(input.slice(0, 30_000));
    receiver.trim();
    const { messages } = receiver.receive(input.slice(30_000));
    assertSame(messages.map(({ data }) => data), [payload], "messages");
  },
});

Deno.test({
  name: "Receiver() throws on a limit that is none",
  permissions,
  fn(): void {
    for (const maxMessage of [-1, 1.5, NaN, Infinity]) {
      assertThrows(
        () => new Receiver({ maxMessage }),
        RangeError,
        `"maxMessage" must be a whole number of at least 0: current value is ${maxMessage}`,
      );
    }
  },
});

/** The messages that come of chunks, where they get an end. */
function readWithEnding(
  chunks: readonly Uint8Array[],
  ending: string,
): string[] {
  const receiver = new Receiver({ maxMessage: 4000 });
  receiver.addEnding(utf8(ending));
  return chunks.flatMap((chunk) =>
    receiver.receive(chunk).messages.flatMap(({ data, ends, ended }) => {
      const messages = ends.map((end, index) =>
        new TextDecoder().decode(data.subarray(ends[index - 1] ?? 0, end))
      );
      // It is said of all or none, and never of one that lacks its end.
      if (ended === true) {
        assert(messages.every((message) => message.endsWith(ending)));
      }
      return messages;
    })
  );
}

Deno.test({
  name: "Receiver.addEnding() gives messages an end where there is room",
  permissions,
  fn(): void {
    for (const ending of ["\n", "\r\n", "123456"]) {
      const payloads = [0, 1, 2, 7, 8, 125, 126, 3000, 0].flatMap((size) => [
        "x".repeat(size),
        "x".repeat(size) + ending,
        "x".repeat(size) + ending.slice(0, -1),
        "x".repeat(size) + ending.slice(1),
      ]);
      const expected = payloads.map((payload) =>
        payload.endsWith(ending) ? payload : payload + ending
      );
      const input = join(
        ...payloads.map((payload, index) =>
          index % 5 === 3
            ? join(
              frame({ opcode: 1, payload, final: false }),
              ping("between"),
              frame({ opcode: 0 }),
            )
            : index % 2 === 0
            ? text(payload)
            : binary(payload)
        ),
      );
      assertEquals(readWithEnding([input.slice()], ending), expected);
      // However it is cut, a message has its end or not, and nothing else.
      for (const cut of cuts(input.length)) {
        const got = readWithEnding(cutAt(input, [cut]), ending);
        assertEquals(got.length, payloads.length);
        for (const [index, message] of got.entries()) {
          assert(
            message === payloads[index] || message === expected[index],
            `message ${index}, cut at ${cut}`,
          );
        }
      }
    }
  },
});

Deno.test({
  name:
    "Receiver.addEnding() says whether all messages of a read have their end",
  permissions,
  fn(): void {
    const whole = binary("a\n");
    const cases: [input: Uint8Array, ended: (boolean | undefined)[]][] = [
      [join(binary("a"), text("b\n"), binary("")), [true]],
      // With its end, it would be larger than it may be.
      [join(binary("123456789"), whole), [undefined]],
      [join(whole, binary("123456789")), [undefined]],
      [join(binary("12345678\n"), whole), [true]],
      // The last one is not whole.
      [join(whole, binary("a").slice(0, 7)), [true]],
    ];
    for (const [input, ended] of cases) {
      const receiver = new Receiver({ maxMessage: 9 });
      receiver.addEnding(utf8("\n"));
      const { messages } = receiver.receive(input.slice());
      assertEquals(messages.map((batch) => batch.ended), ended);
    }
    const receiver = new Receiver({ maxMessage: 9 });
    const { messages } = receiver.receive(whole.slice());
    assertEquals(messages.map((batch) => batch.ended), [undefined]);
    receiver.addEnding(utf8("\n"));
    receiver.receive(binary("a").slice(0, 6));
    const { messages: cut } = receiver.receive(
      join(binary("a").slice(6), whole),
    );
    assertEquals(cut.map((batch) => batch.ended), [true, true]);
  },
});

Deno.test({
  name: "Receiver.addEnding() gives messages an end that came in several reads",
  permissions,
  fn(): void {
    const cases: [payload: string, expected: string, ended?: boolean][] = [
      ["", "\r\n", true],
      ["a", "a\r\n", true],
      ["a\r", "a\r\r\n", true],
      ["a\r\n", "a\r\n", true],
      ["1234567", "1234567\r\n", true],
      // With its end, it would be larger than it may be.
      ["12345678", "12345678"],
      ["1234567\r\n", "1234567\r\n", true],
    ];
    for (const [payload, expected, ended] of cases) {
      for (const { input, from } of splittable(payload)) {
        for (let cut = from; cut < input.length; cut++) {
          const receiver = new Receiver({ maxMessage: 9 });
          receiver.addEnding(utf8("\r\n"));
          const chunks = cutAt(join(input, binary("z")), [cut]);
          const [first, second] = chunks.map((chunk) =>
            receiver.receive(chunk).messages.map((batch) => ({
              text: new TextDecoder().decode(batch.data),
              ended: batch.ended,
            }))
          );
          assertEquals(first, []);
          assertEquals(second, [
            { text: expected, ended },
            { text: "z\r\n", ended: true },
          ]);
        }
      }
    }
  },
});

/** A message in one frame and in two, and from where on a cut leaves a part of it to the next read. */
function splittable(payload: string): { input: Uint8Array; from: number }[] {
  return [
    { input: text(payload), from: 6 },
    {
      input: join(
        frame({ opcode: 2, payload: payload.slice(0, 1), final: false }),
        frame({ opcode: 0, payload: payload.slice(1) }),
      ),
      from: 6,
    },
  ];
}

Deno.test({
  name: "Receiver.addEnding() makes no text valid, and no room",
  permissions,
  fn(): void {
    const receiver = new Receiver({ maxMessage: 9 });
    receiver.addEnding(utf8("\n"));
    const broken = frame({ opcode: 1, payload: new Uint8Array([0xc3]) });
    assertEquals(receiver.receive(broken).failure?.code, 1007);
    // The second byte of a character, and more than a header leaves.
    for (const ending of [new Uint8Array([0xa9]), utf8("1234567")]) {
      const other = new Receiver({ maxMessage: 9 });
      other.addEnding(ending);
      const { messages } = other.receive(join(binary("a"), binary("b")));
      assertEquals(messages[0]?.ends, [1, 2]);
    }
  },
});
