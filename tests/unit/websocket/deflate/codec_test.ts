import { assert, assertEquals } from "@std/assert";
import {
  constants,
  createDeflateRaw,
  createInflateRaw,
  type DeflateRaw,
  deflateRawSync,
  type InflateRaw,
} from "node:zlib";
import { DeflateCodec } from "../../../../core/websocket/deflate/codec.ts";
import type { DeflateParameters } from "../../../../core/websocket/deflate/offer.ts";
import { assertUsable } from "../../../../core/websocket/deflate/zlib.ts";
import type { Decompressed } from "../../../../core/websocket/protocol/compression.ts";
import { InflatedMessages } from "../../../../core/websocket/protocol/inflated_messages.ts";
import { Random } from "../../../support/random.ts";
import { sameBytes } from "../../../support/websocket_client_frames.ts";

const whole: DeflateParameters = {
  serverBits: 15,
  memoryLevel: 8,
  serverTakeover: true,
  clientBits: 15,
  clientTakeover: true,
};

/** The four bytes that RFC 7692 leaves out at the end of a message. */
const tail = Uint8Array.of(0, 0, 0xff, 0xff);

const encoder = new TextEncoder();

/** A client's side, by the methods of `node:zlib` that everybody uses. */
class ZlibClient {
  #deflate: DeflateRaw;
  #inflate: InflateRaw;
  #parameters: DeflateParameters;

  constructor(parameters: DeflateParameters) {
    const { serverBits, clientBits } = parameters;
    this.#parameters = parameters;
    this.#deflate = createDeflateRaw({ windowBits: clientBits });
    this.#inflate = createInflateRaw({ windowBits: serverBits });
  }

  async compress(message: Uint8Array): Promise<Uint8Array> {
    if (!this.#parameters.clientTakeover) this.#deflate.reset();
    const bytes = await through(this.#deflate, message);
    return bytes.subarray(0, -tail.length);
  }

  async decompress(payload: Uint8Array): Promise<Uint8Array> {
    if (!this.#parameters.serverTakeover) this.#inflate.reset();
    return await through(this.#inflate, concat(payload, tail));
  }

  close(): void {
    this.#deflate.close();
    this.#inflate.close();
  }
}

async function through(
  stream: DeflateRaw | InflateRaw,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const onData = (chunk: Uint8Array): number => chunks.push(chunk);
  stream.on("data", onData);
  stream.write(bytes);
  const flushed = Promise.withResolvers<void>();
  stream.flush(constants.Z_SYNC_FLUSH, () => flushed.resolve());
  await flushed.promise;
  stream.off("data", onData);
  return concat(...chunks);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** What a codec makes of a message; `undefined`: it is to be sent as it is. */
function compress(
  codec: DeflateCodec,
  message: Uint8Array,
  text = true,
): Uint8Array | undefined {
  // A message lies among other bytes, and so does its frame.
  const data = concat(Uint8Array.of(1, 2, 3), message, Uint8Array.of(4));
  const target = new Uint8Array(5 + message.length + 4);
  const place = { start: 3, end: 3 + message.length, text };
  const size = codec.compress(data, place, target, 5);
  return size < 0 ? undefined : target.slice(5, 5 + size);
}

/** Decompresses a message in as many steps as it takes. */
function inflate(
  codec: DeflateCodec,
  payload: Uint8Array,
  into: InflatedMessages,
  most: number,
): Decompressed {
  let result = codec.decompress(payload, into, most);
  while (result === "partial") result = codec.proceed(into, most);
  return result;
}

function decompress(
  codec: DeflateCodec,
  payload: Uint8Array,
  most = 1 << 20,
): Uint8Array | number {
  const into = new InflatedMessages();
  const result = inflate(codec, payload, into, most);
  return typeof result === "string" ? into.last().slice() : result.code;
}

/** Messages as they come from services: words again and again, then noise. */
function randomMessage(random: Random): Uint8Array {
  const size = random.below(random.chance(0.1) ? 200_000 : 2_000);
  if (random.chance(0.25)) return random.bytes(size);
  let text = "";
  while (text.length < size) {
    text += `{"id":${random.below(1000)},"name":"temperature","unit":"°C"}\n`;
  }
  return encoder.encode(text.slice(0, size));
}

const parameterSets: readonly Partial<DeflateParameters>[] = [
  {},
  { serverBits: 9, memoryLevel: 1, clientBits: 9 },
  { serverTakeover: false, clientTakeover: false },
  { serverBits: 12, memoryLevel: 5, clientTakeover: false },
];

Deno.test("DeflateCodec and zlib understand each other, whatever the messages are", async () => {
  for (const [index, set] of parameterSets.entries()) {
    const parameters = { ...whole, ...set };
    const random = new Random(index + 1);
    const codec = new DeflateCodec(parameters, 6);
    const client = new ZlibClient(parameters);
    let compressed = 0;
    for (let round = 0; round < 100; round++) {
      const message = randomMessage(random);
      const sent = compress(codec, message, random.chance(0.5));
      if (sent !== undefined) {
        compressed++;
        assert(sent.length < message.length);
        assertEquals(await client.decompress(sent), message);
      }
      const received = await client.compress(message);
      assertEquals(decompress(codec, received), message);
      // The client has never to know that the server has forgotten.
      if (random.chance(0.1)) codec.trim();
    }
    assert(compressed > 20, `${compressed} were compressed`);
    codec.close();
    client.close();
  }
});

Deno.test("DeflateCodec remembers what it sent, where that was agreed upon", () => {
  const message = encoder.encode(
    "the quick brown fox jumps over the lazy dog, and over all others",
  );
  for (const serverTakeover of [true, false]) {
    const codec = new DeflateCodec({ ...whole, serverTakeover }, 6);
    const first = compress(codec, message)!;
    const second = compress(codec, message)!;
    assertEquals(second.length < first.length / 4, serverTakeover);
    codec.trim();
    assertEquals(compress(codec, message), first);
    codec.close();
  }
});

/** Lines of a log in JSON, the same in each run. */
function logLines(): readonly Uint8Array[] {
  const random = new Random(7);
  const words =
    "request served from cache to user session expired while reading upstream timeout after retry"
      .split(" ");
  return Array.from({ length: 600 }, (_, i) => {
    const message = Array.from({ length: 12 }, () => random.pick(words));
    return encoder.encode(JSON.stringify({
      time: 1.7e12 + i * 977 + random.below(900),
      host: `web-${random.below(17)}`,
      id: random.below(0x7fffffff).toString(16),
      message: message.join(" "),
    }));
  });
}

/** Bytes of the lines, compressed by zlib 1.2.13 with `Z_SYNC_FLUSH` at levels 2 to 9, without the tails. */
const sizesByZlib = [26219, 23982, 23862, 22632, 21536, 21155, 20996, 20996];

Deno.test("DeflateCodec makes text about as small as zlib does at the same level", () => {
  const lines = logLines();
  for (const [i, byZlib] of sizesByZlib.entries()) {
    const level = i + 2;
    const codec = new DeflateCodec(whole, level);
    let size = 0;
    for (const line of lines) size += compress(codec, line)!.length;
    codec.close();
    assert(size <= 1.005 * byZlib, `level ${level}: ${size}, not ${byZlib}`);
  }
});

Deno.test("DeflateCodec sends as it is what is short, long, or does not become smaller", () => {
  const codec = new DeflateCodec(whole, 6);
  assertEquals(compress(codec, new Uint8Array(31)), undefined);
  assertEquals(compress(codec, new Uint8Array(2 * 1024 * 1024 + 1)), undefined);
  const noise = new Random(1).bytes(1000);
  assertEquals(compress(codec, noise, false), undefined);
  // Text goes on, and refers to nothing that the client has not seen.
  const text = concat(noise, noise);
  const sent = compress(codec, text)!;
  const client = new DeflateCodec(whole, 6);
  assertEquals(decompress(client, sent), text);
  // Noise is tried less and less often: for each that is, more are not.
  let tried = 0;
  for (let round = 0; round < 1000; round++) {
    const copy = round % 100 === 99 ? text : new Random(round).bytes(1000);
    if (compress(codec, copy, false) !== undefined) tried++;
  }
  assert(tried < 10, `${tried} were tried`);
  codec.close();
  client.close();
});

Deno.test("DeflateCodec refuses what becomes too large before it is decompressed", () => {
  const bomb = deflateRawSync(new Uint8Array(50_000_000), {
    finishFlush: constants.Z_SYNC_FLUSH,
  }).subarray(0, -tail.length);
  const codec = new DeflateCodec(whole, 6);
  const into = new InflatedMessages();
  const result = inflate(codec, bomb, into, 1_000_000);
  assertEquals(typeof result === "string" ? result : result.code, 1009);
  assert(into.bytes.length < 4_000_000, `${into.bytes.length} bytes`);
  codec.close();
  const exact = deflateRawSync(new Uint8Array(1_000), {
    finishFlush: constants.Z_SYNC_FLUSH,
  }).subarray(0, -tail.length);
  for (const [most, result] of [[1_000, 1_000], [999, 1009]] as const) {
    const codec = new DeflateCodec(whole, 6);
    const got = decompress(codec, exact, most);
    assertEquals(typeof got === "number" ? got : got.length, result);
    codec.close();
  }
});

Deno.test("DeflateCodec decompresses in steps what becomes large, and others meanwhile", () => {
  const finishFlush = constants.Z_SYNC_FLUSH;
  // Little that becomes much, and much that becomes little.
  const large = new Random(5).bytes(3_000);
  const messages = [
    new Uint8Array(4_000_000),
    concat(...Array.from({ length: 1_000 }, () => large)),
    new Random(6).bytes(3_000_000),
  ];
  const payloads = [
    ...messages.map((message) =>
      deflateRawSync(message, { finishFlush }).subarray(0, -tail.length)
    ),
    // Empty blocks.
    new Uint8Array(2_000_001).map((_, index) => index % 5 < 3 ? 0 : 255),
  ];
  for (const clientTakeover of [true, false]) {
    const running = payloads.map((payload) => ({
      codec: new DeflateCodec({ ...whole, clientTakeover }, 6),
      into: new InflatedMessages(),
      payload,
      steps: 0,
    }));
    const waiting = new Set(running);
    while (waiting.size > 0) {
      for (const each of waiting) {
        const { codec, into, payload } = each;
        const before = into.length;
        const result = each.steps++ === 0
          ? codec.decompress(payload, into, 32_000_000)
          : codec.proceed(into, 32_000_000);
        assert(into.length - before <= 512 * 1024);
        if (result === "partial") continue;
        assertEquals(result, "whole");
        waiting.delete(each);
      }
    }
    for (const [index, { codec, into, steps }] of running.entries()) {
      assert(sameBytes(into.last(), messages[index] ?? new Uint8Array()));
      assert(steps > 4, `message ${index} took ${steps} steps`);
      // One that is given up in the middle takes nothing with it.
      const other = new InflatedMessages();
      const result = codec.decompress(payloads[0]!, other, 32_000_000);
      assertEquals(result, "partial", `after message ${index}`);
      codec.close();
    }
  }
  const codec = new DeflateCodec({ ...whole, clientTakeover: false }, 6);
  assertEquals(
    decompress(codec, Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0)),
    encoder.encode("Hello"),
  );
  codec.close();
});

Deno.test("DeflateCodec refuses what is not valid, and goes on with others", () => {
  for (const clientTakeover of [true, false]) {
    for (const bad of [[0xff, 0xff], [0x06]]) {
      const codec = new DeflateCodec({ ...whole, clientTakeover }, 6);
      assertEquals(decompress(codec, Uint8Array.from(bad)), 1007);
      codec.close();
    }
    const codec = new DeflateCodec({ ...whole, clientTakeover }, 6);
    assertEquals(
      decompress(codec, Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0)),
      encoder.encode("Hello"),
    );
    codec.close();
  }
});

Deno.test("DeflateCodec takes the examples of RFC 7692 section 7.2.3", () => {
  const hello = encoder.encode("Hello");
  const examples: Readonly<Record<string, readonly number[]>> = {
    "one block": [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    "a block without compression": [
      ...[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
    ],
    "a final block": [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
    "a final block, and nothing after it": [
      ...[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ],
    "two blocks": [
      ...[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9],
      ...[0xc9, 0x07, 0x00],
    ],
  };
  for (const [name, payload] of Object.entries(examples)) {
    const codec = new DeflateCodec(whole, 6);
    for (let round = 0; round < 3; round++) {
      const got = decompress(codec, Uint8Array.from(payload));
      assertEquals(got, hello, name);
    }
    codec.close();
  }
  const codec = new DeflateCodec(whole, 6);
  // The second one refers to the first.
  assertEquals(
    decompress(codec, Uint8Array.from(examples["one block"]!)),
    hello,
  );
  assertEquals(
    decompress(codec, Uint8Array.of(0xf2, 0x00, 0x11, 0x00, 0x00)),
    hello,
  );
  assertEquals(decompress(codec, Uint8Array.of(0x00)), new Uint8Array());
  codec.close();
});

Deno.test("DeflateCodec does not end streams without end", () => {
  const codec = new DeflateCodec(whole, 6);
  const ends = new Uint8Array(2 * 1_000_000);
  for (let index = 0; index < ends.length; index += 2) ends[index] = 0x03;
  assertEquals(decompress(codec, ends), 1007);
  codec.close();
});

Deno.test("assertUsable() does not throw with this runtime", () => {
  assertUsable();
});
