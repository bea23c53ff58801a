/**
 * What hostile clients send: made from a seed, so that it can be sent again.
 *
 * @module
 */

import { formatRequest, type RequestOptions } from "./client.ts";
import type { Random } from "./random.ts";
import {
  binary,
  type ClientFrame,
  close,
  frame,
  join,
  ping,
  text,
  utf8,
} from "./websocket_client_frames.ts";

/** How a hostile client leaves. */
export type Leaving = "wait" | "reset" | "vanish" | "half";

/** What one hostile client does. */
export interface HostileInput {
  /** What it is about. */
  readonly name: string;
  /** The pieces that it sends, one after another. */
  readonly pieces: readonly Uint8Array[];
  /** Whether the first piece is a good handshake, whose answer is awaited. */
  readonly awaitsUpgrade: boolean;
  /**
   * What it does then: `wait` for the server to end the connection, which it
   * must; or go by itself.
   */
  readonly leaving: Leaving;
}

const good = utf8(formatRequest());
const departures: readonly Leaving[] = ["reset", "vanish", "half"];

/** Breaks the protocol in one frame: RFC 6455 sections 5.1 to 5.5, 7.4 and 8.1. */
function badFrame(random: Random): readonly [string, Uint8Array] {
  function bytes(): Uint8Array {
    return random.bytes(random.below(200));
  }
  function one(name: string, init: ClientFrame): readonly [string, Uint8Array] {
    return [name, frame({ mask: [...random.bytes(4)], ...init })];
  }
  const control = random.pick([8, 9, 10]);
  const kinds: readonly (() => readonly [string, Uint8Array])[] = [
    () =>
      one("reserved bit", {
        opcode: random.pick([1, 2, 9]),
        reserved: 1 + random.below(7),
        payload: "x",
      }),
    () =>
      one("reserved opcode", {
        opcode: random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]),
        payload: random.bytes(random.below(100)),
      }),
    () =>
      one("control frame in fragments", {
        opcode: control,
        final: false,
        payload: random.bytes(2),
      }),
    () =>
      one(control === 10 ? "long pong" : "long ping or close", {
        opcode: control,
        payload: random.bytes(126 + random.below(500)),
      }),
    () => one("continuation of nothing", { opcode: 0, payload: bytes() }),
    () => [
      "message within a message",
      join(
        frame({ opcode: random.pick([1, 2]), final: false, payload: "a" }),
        random.chance(0.5) ? text("b") : binary(bytes()),
      ),
    ],
    () =>
      one("text that is not UTF-8", {
        opcode: 1,
        payload: join(
          utf8("a".repeat(random.below(130))),
          random.pick([
            Uint8Array.of(0xc0, 0x80),
            Uint8Array.of(0xed, 0xa0, 0x80),
            Uint8Array.of(0xf4, 0x90, 0x80, 0x80),
            Uint8Array.of(0xe2, 0x82),
            Uint8Array.of(0xff),
          ]),
        ),
      }),
    () => one("half a close code", { opcode: 8, payload: Uint8Array.of(3) }),
    () => [
      "close code that is none",
      close(random.pick([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])),
    ],
    () => ["close reason that is not UTF-8", close(1000, Uint8Array.of(0xff))],
    () =>
      one("length of more than 63 bits", {
        opcode: 2,
        lengthBytes: 8,
        length: (1n << 63n) + BigInt(random.below(1000)),
      }),
    () =>
      one("length over the limit", {
        opcode: random.pick([1, 2]),
        lengthBytes: 8,
        length: (1n << BigInt(27 + random.below(35))) + 1n,
      }),
  ];
  return random.pick(kinds)();
}

/** Damages a request. */
function badHead(random: Random): readonly [string, Uint8Array] {
  const kinds: readonly (() => readonly [string, Uint8Array])[] = [
    () => ["noise", random.bytes(1 + random.below(600))],
    () => {
      const bytes = good.slice();
      for (let flips = 1 + random.below(6); flips > 0; flips--) {
        bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
      }
      return ["flipped bits", bytes];
    },
    () => ["cut off", good.subarray(0, random.below(good.length))],
    () => [
      "field without an end",
      utf8(formatRequest({
        headers: { "X-Long": "x".repeat(16_384 << random.below(4)) },
      })),
    ],
    () => [
      "too many fields",
      utf8(formatRequest({
        headers: Object.fromEntries(
          Array.from({ length: 500 + random.below(3000) }, (_, index) => [
            `X-${index}`,
            "x",
          ]),
        ),
      })),
    ],
    () => [
      "long target",
      utf8(formatRequest({ target: `/${"a".repeat(random.below(100_000))}` })),
    ],
    () => [
      "malformed field",
      utf8(formatRequest({
        headers: random.pick<NonNullable<RequestOptions["headers"]>>([
          { "": "nameless" },
          { "Sp ace": "x" },
          { Host: null },
          { Host: ["a", "b"] },
          { "X-Nul": "a\0b" },
          { "X-Bare": "a\rb" },
          { "X-Folded": "a\r\n b" },
          { "Content-Length": "-1" },
          { "Content-Length": ["1", "2"] },
          { "Transfer-Encoding": "chunked", "Content-Length": "5" },
          { Connection: "close" },
          { Upgrade: ["websocket", "h2c"] },
          { "Sec-WebSocket-Key": ["a", "b"] },
          { "Sec-WebSocket-Key": "x".repeat(2000) },
          { "Sec-WebSocket-Version": "13, 8" },
          { "Sec-WebSocket-Protocol": ",,, ,\t" },
          { "Sec-WebSocket-Extensions": 'permessage-deflate; x="' },
          { Cookie: "\xff\xfe=\x80" },
        ]),
      })),
    ],
    () => [
      "wrong line",
      utf8(random.pick([
        "GET / HTTP/9.9\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "get / http/1.1\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET http://[::1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\x7f\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "\n\n\n",
      ])),
    ],
    () => ["TLS", join(Uint8Array.of(22, 3, 1, 2, 0, 1), random.bytes(300))],
    () => [
      "request behind a request",
      join(utf8("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), good, random.bytes(50)),
    ],
    () => [
      "body without an end",
      utf8(
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n${
          "x".repeat(random.below(5000))
        }`,
      ),
    ],
  ];
  return random.pick(kinds)();
}

/** Good frames, too many of them. */
function flood(random: Random): readonly [string, Uint8Array] {
  const many = 200 + random.below(1500);
  const one = frame({ opcode: 0, final: false });
  const kinds: readonly (() => readonly [string, Uint8Array])[] = [
    () => ["pings", repeat(ping(random.bytes(random.below(126))), many)],
    () => ["pongs", repeat(frame({ opcode: 10, payload: "x" }), many)],
    () => ["empty messages", repeat(random.pick([text(""), binary("")]), many)],
    () => ["small messages", repeat(text("x"), many)],
    () => [
      "fragments without end",
      join(frame({ opcode: 1, final: false, payload: "x" }), repeat(one, many)),
    ],
    () => [
      "fragments of a byte, and pings",
      join(
        frame({ opcode: 2, final: false }),
        repeat(
          join(frame({ opcode: 0, final: false, payload: "y" }), ping("z")),
          many,
        ),
      ),
    ],
    () => ["closes", repeat(close(1000), 50)],
  ];
  return random.pick(kinds)();
}

/** Frames without fault, changed at random. */
function noise(random: Random): readonly [string, Uint8Array] {
  const frames = join(
    ...Array.from({ length: 1 + random.below(8) }, () =>
      frame({
        opcode: random.pick([0, 1, 2, 8, 9, 10]),
        final: random.chance(0.8),
        payload: random.bytes(random.below(300)),
      })),
  );
  if (random.chance(0.3)) return ["noise", random.bytes(frames.length)];
  for (let flips = random.below(8); flips > 0; flips--) {
    frames[random.below(frames.length)]! ^= 1 << random.below(8);
  }
  return ["damaged frames", frames];
}

/** An unfinished frame or message. */
function unfinished(random: Random): readonly [string, Uint8Array] {
  const bytes = join(text("whole"), binary(random.bytes(70_000)));
  return ["in a frame", bytes.subarray(0, random.below(bytes.length))];
}

/**
 * Makes an input.
 *
 * @param random Where it comes from.
 */
export function createInput(random: Random): HostileInput {
  const kind = random.below(100);
  if (kind < 35) {
    const [name, bytes] = badHead(random);
    return {
      name: `head: ${name}`,
      pieces: cut(random, bytes),
      awaitsUpgrade: false,
      // Whether there is an answer depends on what it has become.
      leaving: random.pick(departures),
    };
  }
  const [sort, make] = kind < 65
    ? ["bad frame", badFrame] as const
    : kind < 75
    ? ["flood", flood] as const
    : kind < 90
    ? ["noise", noise] as const
    : ["leaving", unfinished] as const;
  const [name, bytes] = make(random);
  // In the same write as the handshake, frames come before the peer is open.
  const awaitsUpgrade = random.chance(0.7);
  const isFatal = sort === "bad frame";
  return {
    name: `${sort}: ${name}`,
    pieces: awaitsUpgrade
      ? [good, ...cut(random, bytes)]
      : cut(random, join(good, bytes)),
    awaitsUpgrade,
    leaving: isFatal && random.chance(0.6) ? "wait" : random.pick(departures),
  };
}

/** Cuts bytes into a few pieces. */
function cut(random: Random, bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let rest = bytes;
  while (rest.length > 1 && pieces.length < 3 && random.chance(0.5)) {
    const length = 1 + random.below(rest.length - 1);
    pieces.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return [...pieces, rest];
}

function repeat(bytes: Uint8Array, times: number): Uint8Array {
  const repeated = new Uint8Array(bytes.length * times);
  for (let at = 0; at < repeated.length; at += bytes.length) {
    repeated.set(bytes, at);
  }
  return repeated;
}
