/**
 * Compressed messages (RFC 7692) as the protocol reads and sends them.
 */

import { assert, assertEquals } from "@std/assert";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { DeflateCodec } from "../../../../core/websocket/deflate/codec.ts";
import type { ReceiverEvents } from "../../../../core/websocket/protocol/receiver.ts";
import { ServerProtocol } from "../../../../core/websocket/protocol/server.ts";
import { Random } from "../../../support/random.ts";
import {
  type ClientFrame,
  frame,
  join,
  ping,
  text,
  utf8,
} from "../../../support/websocket_client_frames.ts";

/** A client that keeps no context is understood by a server that could. */
const parameters = {
  serverBits: 15,
  memoryLevel: 8,
  serverTakeover: false,
  clientBits: 15,
  clientTakeover: false,
};

const finishFlush = constants.Z_SYNC_FLUSH;

function deflate(message: Uint8Array): Uint8Array {
  return deflateRawSync(message, { finishFlush }).subarray(0, -4);
}

function inflate(payload: Uint8Array): Uint8Array {
  const whole = join(payload, Uint8Array.of(0, 0, 0xff, 0xff));
  return new Uint8Array(inflateRawSync(whole, { finishFlush }));
}

/** The frames of a message that is compressed, in fragments. */
function compressed(
  opcode: number,
  message: Uint8Array | string,
  cuts: readonly number[] = [],
): Uint8Array {
  const payload = deflate(
    typeof message === "string" ? utf8(message) : message,
  );
  const places = [0, ...cuts.filter((cut) => cut < payload.length)].toSorted((
    a,
    b,
  ) => a - b);
  return join(...places.map((start, index) =>
    frame({
      opcode: index === 0 ? opcode : 0,
      reserved: index === 0 ? 4 : 0,
      final: index === places.length - 1,
      payload: payload.subarray(start, places[index + 1]),
    })
  ));
}

function protocolWith(maxMessage = 100_000): ServerProtocol {
  const protocol = new ServerProtocol({ maxMessage });
  protocol.compressWith(new DeflateCodec(parameters, 6));
  return protocol;
}

/** What a message is, in short. */
type Told = readonly [isText: boolean, bytes: Uint8Array];

/** What happens when a protocol receives chunks, with all that it interrupts. */
function* eventsOf(
  protocol: ServerProtocol,
  chunks: readonly Uint8Array[],
): Generator<ReceiverEvents> {
  for (const chunk of chunks) {
    yield protocol.receive(chunk);
    while (protocol.isPaused && protocol.canReceive) yield protocol.proceed();
  }
}

/** What a protocol makes of chunks: messages, pings answered, and its failure. */
function receive(
  protocol: ServerProtocol,
  chunks: readonly Uint8Array[],
): { messages: Told[]; pongs: number; code: number | undefined } {
  const messages: Told[] = [];
  let pongs = 0;
  let code: number | undefined;
  for (const events of eventsOf(protocol, chunks)) {
    pongs += events.pongs.length;
    for (const { data, ends, turns = [] } of events.messages) {
      let start = 0;
      let isText = false;
      for (const [index, end] of ends.entries()) {
        if (turns.includes(index)) isText = !isText;
        messages.push([isText, data.slice(start, end)]);
        start = end;
      }
    }
    code ??= events.failure?.code;
  }
  protocol.release();
  return { messages, pongs, code };
}

Deno.test("ServerProtocol.receive() gives compressed messages among others, however they are cut", () => {
  const random = new Random(7);
  for (let round = 0; round < 60; round++) {
    const expected: Told[] = [];
    const frames: Uint8Array[] = [];
    let pings = 0;
    for (let count = random.below(12); count >= 0; count--) {
      const isText = random.chance(0.5);
      const message = isText
        ? utf8("grüße €😀 ".repeat(random.below(60)))
        : new Uint8Array(random.below(3_000)).fill(random.below(256));
      expected.push([isText, message]);
      if (random.chance(0.3)) {
        frames.push(frame({ opcode: isText ? 1 : 2, payload: message }));
      } else {
        const cuts = random.chance(0.5)
          ? []
          : [1, 2, random.below(20), random.below(20)];
        frames.push(compressed(isText ? 1 : 2, message, [...new Set(cuts)]));
      }
      if (random.chance(0.2)) {
        pings++;
        frames.push(ping("?"));
      }
    }
    const input = join(...frames);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < input.length;) {
      const size = random.chance(0.3)
        ? 1 + random.below(5)
        : 1 + random.below(4_000);
      chunks.push(input.slice(at, at + size));
      at += size;
    }
    assertEquals(receive(protocolWith(), chunks), {
      messages: expected,
      pongs: pings,
      code: undefined,
    });
  }
});

Deno.test("ServerProtocol.receive() fails what breaks RFC 7692, after what came before it", () => {
  const long = new Uint8Array(5_000);
  const rsv1 = (init: ClientFrame): Uint8Array =>
    frame({ reserved: 4, ...init });
  const broken: Readonly<Record<string, readonly [Uint8Array, number]>> = {
    "RSV1 on a continuation": [
      join(
        frame({ opcode: 1, final: false, payload: "a" }),
        rsv1({ opcode: 0, payload: "b" }),
      ),
      1002,
    ],
    "RSV1 on a ping": [rsv1({ opcode: 9 }), 1002],
    "RSV1 on a close frame": [rsv1({ opcode: 8 }), 1002],
    "RSV2": [frame({ opcode: 1, reserved: 2 }), 1002],
    "RSV1 and RSV3": [frame({ opcode: 1, reserved: 5 }), 1002],
    "what is not DEFLATE": [
      rsv1({ opcode: 2, payload: Uint8Array.of(0xff, 0xff) }),
      1007,
    ],
    "text that is not UTF-8": [compressed(1, Uint8Array.of(0xed, 0xa0)), 1007],
    "text that is not UTF-8, in fragments": [
      compressed(1, Uint8Array.of(0x61, 0xff, 0x61), [1, 3]),
      1007,
    ],
    "a message that becomes too large": [compressed(2, long), 1009],
    "a message that is too large as it is": [
      rsv1({ opcode: 2, length: 5_000n, payload: "a" }),
      1009,
    ],
  };
  for (const [name, [bytes, code]] of Object.entries(broken)) {
    const input = join(compressed(1, "before"), text("and"), bytes);
    for (
      const chunks of [
        [input],
        [...input].map((byte) => Uint8Array.of(byte)),
      ]
    ) {
      const seen = receive(protocolWith(4_000), chunks);
      assertEquals(seen.code, code, name);
      assertEquals(seen.messages, [
        [true, utf8("before")],
        [true, utf8("and")],
      ], name);
    }
  }
});

Deno.test("ServerProtocol.receive() is interrupted by what becomes large, and goes on after it", () => {
  const large = new Uint8Array(3_000_000);
  const middle = new Uint8Array(200_000);
  const input = join(
    text("a"),
    compressed(2, large),
    ping("?"),
    ...Array.from({ length: 10 }, () => compressed(2, middle)),
    text("b"),
    compressed(1, "c", [1]),
    // It ends what is not valid.
    compressed(2, large),
    frame({ opcode: 3 }),
    text("d"),
  );
  const sizes = [1, 3_000_000, ...Array(10).fill(200_000), 1, 1, 3_000_000];
  for (const chunks of [[input], [input.slice(0, 900), input.slice(900)]]) {
    const protocol = protocolWith(3_000_000);
    const seen: number[] = [];
    let pauses = 0;
    let pinged = 0;
    for (const events of eventsOf(protocol, chunks.map((one) => one.slice()))) {
      if (protocol.isPaused) pauses++;
      if (events.pongs.length > 0) {
        pinged++;
        // It is answered in its turn.
        assertEquals(seen.concat(sizesOf(events)).includes(3_000_000), true);
      }
      const together = sizesOf(events);
      seen.push(...together);
      // All that is decompressed together is one message, or little.
      const sum = together.reduce((sum, size) => sum + size, 0);
      assert(
        together.filter((size) => size > 1).length <= 1 || sum < 512 * 1024,
        `${together}`,
      );
    }
    assertEquals(seen, sizes);
    assertEquals(pinged, 1);
    assert(pauses > 20, `${pauses}`);
    assertEquals(protocol.state, "failing");
    protocol.release();
  }
});

function sizesOf({ messages }: ReceiverEvents): number[] {
  return messages.flatMap(({ ends }) =>
    ends.map((end, index) => end - (ends[index - 1] ?? 0))
  );
}

Deno.test("ServerProtocol.receive() fails RSV1 where no compression was agreed upon", () => {
  const protocol = new ServerProtocol({ maxMessage: 1000 });
  assertEquals(receive(protocol, [compressed(1, "Hello")]).code, 1002);
});

Deno.test("ServerProtocol.addEnding() gives compressed messages an end, and says whether all have it", () => {
  const cases: [messages: string[], expected: string, ended?: boolean][] = [
    [["", "a", "a\r", "a\r\n"], "\r\na\r\na\r\r\na\r\n", true],
    [["x".repeat(98)], "x".repeat(98) + "\r\n", true],
    [["x".repeat(98) + "\r\n"], "x".repeat(98) + "\r\n", true],
    // With its end, the first would be larger than it may be.
    [["x".repeat(99), "a"], "x".repeat(99) + "a\r\n"],
  ];
  for (const [messages, expected, ended] of cases) {
    const protocol = protocolWith(100);
    protocol.addEnding(utf8("\r\n"));
    const input = join(...messages.map((message) => compressed(1, message)));
    const { messages: [batch, ...others] } = protocol.receive(input);
    assertEquals(new TextDecoder().decode(batch?.data), expected);
    assertEquals(batch?.ends.length, messages.length);
    assertEquals(batch?.ended, ended);
    assertEquals(others, []);
    protocol.release();
  }
  // Without an end to add, nothing is said.
  const protocol = protocolWith();
  const { messages } = protocol.receive(compressed(1, "a"));
  assertEquals(messages.map((batch) => batch.ended), [undefined]);
  protocol.release();
});

Deno.test("ServerProtocol.send() compresses what becomes smaller, each message for itself", () => {
  const protocol = protocolWith();
  const letters = utf8("all work and no play ".repeat(50));
  const noise = new Random(3).bytes(500);
  const data = join(utf8("short"), letters, noise, letters);
  const ends = [5, 5 + letters.length, 505 + letters.length, data.length];
  const messages = ends.map((end, index) => ({
    start: ends[index - 1] ?? 0,
    end,
    text: index !== 2,
  }));
  assertEquals(
    protocol.sendInPlace({ data, messages: [messages[1]!], headroom: 5 }),
    undefined,
  );
  const bytes = protocol.send({ data, messages })!;
  assert(bytes.length < 800, `${bytes.length} bytes`);
  let at = 0;
  const seen: (readonly [first: number, payload: Uint8Array])[] = [];
  while (at < bytes.length) {
    const [first, short] = [bytes[at]!, bytes[at + 1]!];
    const isLong = short === 126;
    const length = isLong ? bytes[at + 2]! << 8 | bytes[at + 3]! : short;
    // The length takes the fewest bytes, also where compressing has made it less.
    assertEquals(isLong, length >= 126);
    at += isLong ? 4 : 2;
    const payload = bytes.slice(at, at + length);
    at += length;
    seen.push([first, (first & 0x40) !== 0 ? inflate(payload) : payload]);
  }
  assertEquals(seen, [
    [0x81, utf8("short")],
    [0xc1, letters],
    [0x82, noise],
    [0xc1, letters],
  ]);
  protocol.release();
});
