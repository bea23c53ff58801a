import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  encodeClose,
  encodeInPlace,
  encodeMessages,
  encodePing,
  encodePongs,
} from "../../../../core/websocket/protocol/frames.ts";
import {
  frame,
  join,
  letters,
  pattern,
  sameBytes,
  utf8,
} from "../../../support/websocket_client_frames.ts";

const permissions = "none";

/** A frame of the server's, built by the tests' own means. */
function serverFrame(opcode: number, payload: Uint8Array | string): Uint8Array {
  return frame({ opcode, payload, mask: null });
}

/** What precedes the payload of a binary message. */
function headerOf(payload: Uint8Array): Uint8Array {
  const messages = [{ start: 0, end: payload.length, text: false }];
  const encoded = encodeMessages({ data: payload, messages });
  return encoded.subarray(0, encoded.length - payload.length);
}

Deno.test({
  name:
    "encodeMessages() and the others give the server's frames of RFC 6455 section 5.7",
  permissions,
  fn(): void {
    const hello = utf8("Hello");
    assertEquals(
      encodeMessages({
        data: hello,
        messages: [{ start: 0, end: 5, text: true }],
      }),
      new Uint8Array([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
    );
    assertEquals(
      encodePing(hello),
      new Uint8Array([0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
    );
    assertEquals(
      encodePongs([hello]),
      new Uint8Array([0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]),
    );
    assertEquals(
      headerOf(new Uint8Array(256)),
      new Uint8Array([0x82, 0x7e, 0x01, 0x00]),
    );
    assertEquals(
      headerOf(new Uint8Array(65536)),
      new Uint8Array([0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
    );
  },
});

const LENGTHS = [
  ...[0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 124, 125, 126, 127, 128, 255],
  ...[256, 257, 1000, 65534, 65535, 65536, 65537, 100_000],
];

Deno.test({
  name: "encodeMessages() encodes messages of all lengths, wherever they lie",
  permissions,
  fn(): void {
    for (const length of LENGTHS) {
      for (const text of [true, false]) {
        for (let shift = 0; shift < 3; shift++) {
          const payload = letters(length);
          const data = join(pattern(9), payload, pattern(5)).subarray(shift);
          const start = 9 - shift;
          const messages = [{ start, end: start + length, text }];
          const expected = serverFrame(text ? 1 : 2, payload);
          const actual = encodeMessages({ data, messages });
          assert(sameBytes(actual, expected), `${length} bytes, text: ${text}`);
        }
      }
    }
  },
});

Deno.test({
  name:
    "encodeMessages() encodes many messages as one buffer, without what lies between them",
  permissions,
  fn(): void {
    const data = pattern(200_000);
    const messages = [];
    const frames = [];
    let start = 1;
    for (const length of LENGTHS.filter((length) => length < 65537)) {
      for (const text of [false, true]) {
        if (start + length > data.length) continue;
        messages.push({ start, end: start + length, text });
        frames.push(
          serverFrame(text ? 1 : 2, data.subarray(start, start + length)),
        );
        start += length + messages.length % 3;
      }
    }
    const before = data.slice();
    assert(sameBytes(encodeMessages({ data, messages }), join(...frames)));
    assert(sameBytes(data, before));
  },
});

Deno.test({
  name: "encodeMessages() encodes no messages as no bytes",
  permissions,
  fn(): void {
    assertEquals(
      encodeMessages({ data: pattern(9), messages: [] }),
      new Uint8Array(),
    );
  },
});

Deno.test({
  name:
    "encodeInPlace() writes the header before the message, and nothing else",
  permissions,
  fn(): void {
    for (const length of LENGTHS) {
      for (const text of [true, false]) {
        const payload = letters(length);
        const expected = serverFrame(text ? 1 : 2, payload);
        const size = expected.length - length;
        const messages = [{ start: 12, end: 12 + length, text }];
        const data = join(pattern(12), payload, pattern(3));
        for (let headroom = 0; headroom < size; headroom++) {
          assertEquals(encodeInPlace({ data, messages, headroom }), undefined);
        }
        assertEquals(encodeInPlace({ data, messages }), undefined);
        const before = data.slice(0, 12 - size);
        const after = data.slice(12 + length);
        const frame = encodeInPlace({ data, messages, headroom: size })!;
        assert(sameBytes(frame, expected), `${length} bytes, text: ${text}`);
        assertEquals(frame.buffer, data.buffer);
        assertEquals(data.slice(0, 12 - size), before);
        assertEquals(data.slice(12 + length), after);
      }
    }
  },
});

Deno.test({
  name: "encodeClose() encodes code and reason",
  permissions,
  fn(): void {
    assertEquals(encodeClose(1000, ""), new Uint8Array([0x88, 2, 0x03, 0xe8]));
    assertEquals(
      encodeClose(4999, "grüß dich"),
      join(new Uint8Array([0x88, 13, 0x13, 0x87]), utf8("grüß dich")),
    );
  },
});

Deno.test({
  name: "encodeClose() sends no code that never goes over the wire",
  permissions,
  fn(): void {
    for (const code of [1005, 1006, 1015]) {
      assertEquals(encodeClose(code, "lost"), new Uint8Array([0x88, 0]));
    }
  },
});

Deno.test({
  name: "encodeClose() cuts the reason after 123 bytes, between two characters",
  permissions,
  fn(): void {
    const table = [
      ["a".repeat(122), 122],
      ["a".repeat(123), 123],
      ["a".repeat(124), 123],
      ["a".repeat(122) + "é", 122],
      ["a".repeat(121) + "é", 123],
      ["a".repeat(121) + "€", 121],
      ["a".repeat(120) + "€", 123],
      ["a".repeat(120) + "😀", 120],
      ["a".repeat(119) + "😀b", 123],
      ["€".repeat(41), 123],
      ["€".repeat(42), 123],
      ["😀".repeat(31), 120],
    ] as const;
    for (const [reason, length] of table) {
      const expected = utf8(reason).slice(0, length);
      assertEquals(
        encodeClose(1011, reason),
        join(new Uint8Array([0x88, 2 + length, 0x03, 0xf3]), expected),
      );
    }
  },
});

Deno.test({
  name: "encodePing() and encodePongs() encode up to 125 bytes",
  permissions,
  fn(): void {
    const hello = utf8("Hello");
    for (const length of [0, 1, 124, 125]) {
      const data = pattern(length);
      assertEquals(encodePing(data), serverFrame(9, data));
      const pong = serverFrame(10, data);
      assertEquals(encodePongs([data]), pong);
      assertEquals(
        encodePongs([data, hello, data]),
        join(pong, serverFrame(10, hello), pong),
      );
    }
  },
});

Deno.test({
  name: "encodePing() and encodePongs() throw on more than 125 bytes",
  permissions,
  fn(): void {
    for (
      const encode of [
        encodePing,
        (data: Uint8Array) => encodePongs([new Uint8Array(), data]),
      ]
    ) {
      assertThrows(
        () => encode(pattern(126)),
        RangeError,
        "Cannot encode a control frame: its payload has 126 bytes, and 125 are the most",
      );
    }
  },
});
