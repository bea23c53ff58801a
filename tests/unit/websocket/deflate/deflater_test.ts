import { assert, assertEquals } from "@std/assert";
import { constants, createDeflateRaw, createInflateRaw } from "node:zlib";
import {
  Deflater,
  deflaterSize,
} from "../../../../core/websocket/deflate/deflater.ts";
import { joinBytes } from "../../../../core/memory/join_bytes.ts";
import { Random } from "../../../support/random.ts";
import { sameBytes } from "../../../support/websocket_client_frames.ts";

const encoder = new TextEncoder();
const tail = Uint8Array.of(0, 0, 0xff, 0xff);

/** What a stream of `node:zlib` makes of all that is written to it. */
async function through(
  stream: ReturnType<typeof createInflateRaw>,
  pieces: readonly Uint8Array[],
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  for (const piece of pieces) stream.write(piece);
  const flushed = Promise.withResolvers<void>();
  stream.on("error", flushed.reject);
  stream.flush(constants.Z_SYNC_FLUSH, () => flushed.resolve());
  await flushed.promise;
  stream.close();
  return joinBytes(chunks);
}

/** Asserts that zlib, with a window, makes the messages of what was made of them. */
async function assertInflates(
  windowBits: number,
  payloads: readonly Uint8Array[],
  messages: readonly Uint8Array[],
): Promise<void> {
  const pieces = payloads.flatMap((payload) => [payload, tail]);
  const got = await through(createInflateRaw({ windowBits }), pieces);
  assert(sameBytes(got, joinBytes(messages)), `window 2^${windowBits}`);
}

function deflate(
  deflater: Deflater,
  message: Uint8Array,
  level: number,
  room = 2 * message.length + 20,
): Uint8Array | undefined {
  const target = new Uint8Array(room + 8).fill(0xa5);
  const size = deflater
    .deflate(message, 0, message.length, target, 4, room, level);
  // It keeps to its place.
  const around = [...target.subarray(0, 4), ...target.subarray(4 + room)];
  assertEquals(around, new Array(8).fill(0xa5));
  return size < 0 ? undefined : target.slice(4, 4 + size);
}

/** Text, noise, runs, or all of them, of what comes in a message. */
function randomMessage(random: Random): Uint8Array {
  const size = random.below(random.chance(0.1) ? 150_000 : 3_000);
  const message = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const length = Math.min(1 + random.below(700), size - at);
    const part = message.subarray(at, at + length);
    switch (random.below(at === 0 ? 3 : 5)) {
      case 0:
        part.set(random.bytes(length));
        break;
      case 1:
        part.fill(random.below(256));
        break;
      case 2:
        for (let byte = 0; byte < length; byte++) {
          part[byte] = 0x61 + random.below(3 + random.below(20));
        }
        break;
      default: {
        const from = random.below(at);
        part.set(message.subarray(from, from + length));
      }
    }
    at += length;
  }
  return message;
}

Deno.test("Deflater makes what zlib takes, with each window and at each level", async () => {
  for (let windowBits = 8; windowBits <= 15; windowBits++) {
    const random = new Random(windowBits);
    const deflater = new Deflater(windowBits);
    const messages: Uint8Array[] = [];
    const payloads: Uint8Array[] = [];
    for (let round = 0; round < 60; round++) {
      const message = randomMessage(random);
      const level = 1 + random.below(9);
      if (random.chance(0.1)) deflater.forget();
      messages.push(message);
      payloads.push(deflate(deflater, message, level)!);
    }
    await assertInflates(windowBits, payloads, messages);
    deflater.free();
  }
});

Deno.test("Deflater makes large messages of several blocks", async () => {
  const random = new Random(5);
  const noise = random.bytes(100_000);
  const message = new Uint8Array(400_000);
  for (let at = 0; at < message.length; at += noise.length) {
    message.set(noise.map((byte) => byte % (3 + at / 5_000)), at);
  }
  const deflater = new Deflater(15);
  const payload = deflate(deflater, message, 6)!;
  await assertInflates(15, [payload], [message]);
  assert(payload.length < 0.7 * message.length);
});

Deno.test("Deflater refers to a repetition as far away as the window", async () => {
  const random = new Random(6);
  for (const windowBits of [9, 12, 15]) {
    const window = 2 ** windowBits;
    const piece = random.bytes(50);
    for (const [between, isFound] of [[0, true], [1, false]] as const) {
      const deflater = new Deflater(windowBits);
      const noise = random.bytes(window - piece.length + between);
      const messages = [piece, noise, piece];
      const payloads = messages.map((each) => deflate(deflater, each, 9)!);
      assertEquals(payloads[2]!.length < 10, isFound);
      await assertInflates(windowBits, payloads, messages);
    }
  }
});

Deno.test("Deflater takes no more room than it is given, and refers to nothing that was not sent", async () => {
  const random = new Random(7);
  let tooLittle = 0;
  for (let round = 0; round < 200; round++) {
    const first = randomMessage(random);
    const message = randomMessage(random);
    const deflater = new Deflater(15);
    const before = deflate(deflater, first, 6)!;
    const needed = deflate(deflater, message, 6)!.length;
    for (const [room, fits] of [[needed, true], [needed - 1, false]] as const) {
      const other = new Deflater(15);
      deflate(other, first, 6);
      const payload = deflate(other, message, 6, room);
      if (payload !== undefined) {
        await assertInflates(15, [before, payload], [first, message]);
      }
      if (fits) continue;
      // What is reserved for the end of a message may be a byte too many.
      assertEquals(payload, undefined);
      tooLittle++;
      const next = deflate(other, message, 6)!;
      await assertInflates(15, [next], [message]);
    }
  }
  assertEquals(tooLittle, 200);
});

Deno.test("Deflater makes lines of JSON as small as zlib does", async () => {
  const random = new Random(8);
  const words = "request served from cache to user session expired while".split(
    " ",
  );
  for (const size of [120, 1_000, 6_000]) {
    const lines = Array.from({ length: 300_000 / size }, (_, at) => {
      let message = "";
      while (message.length < size) message += `${random.pick(words)} `;
      const time = new Date(1.7e12 + at * 977 + random.below(900));
      const id = random.below(2 ** 31).toString(16);
      const level = random.pick(["info", "info", "warn", "error"]);
      return encoder.encode(JSON.stringify({ time, level, id, message }));
    });
    const sum = (pieces: readonly Uint8Array[]): number =>
      pieces.reduce((sum, { length }) => sum + length, 0);
    const sizes: number[] = [];
    for (const level of [1, 6, 9]) {
      const deflater = new Deflater(15);
      const payloads = lines.map((line) => deflate(deflater, line, level)!);
      await assertInflates(15, payloads, lines);
      sizes.push(sum(payloads));
    }
    assertEquals(sizes, sizes.toSorted((a, b) => b - a));
    const zlib = createDeflateRaw({ level: 6 });
    let chunks = 0;
    zlib.on("data", ({ length }: Uint8Array) => chunks += length);
    for (const line of lines) {
      const flushed = Promise.withResolvers<void>();
      zlib.write(line);
      zlib.flush(constants.Z_SYNC_FLUSH, () => flushed.resolve());
      await flushed.promise;
    }
    zlib.close();
    const theirs = chunks - tail.length * lines.length;
    assert(sizes[1]! < 1.02 * theirs, `${sizes[1]} bytes, zlib ${theirs}`);
  }
});

Deno.test("deflaterSize() tells what a Deflater takes", () => {
  assertEquals(deflaterSize(15), 256 * 1024 + 8);
  assertEquals(deflaterSize(9), 4 * 1024 + 8);
});
