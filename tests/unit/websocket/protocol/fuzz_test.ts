import { assert, assertEquals } from "@std/assert";
import { isValidUtf8 } from "../../../../core/websocket/utf8.ts";
import { isLong } from "../../../support/long.ts";
import {
  frame,
  join,
  sameBytes,
  utf8,
} from "../../../support/websocket_client_frames.ts";
import {
  cutAt,
  observe,
  type Observed,
} from "../../../support/receiver_observer.ts";

const permissions = "none";

const MAX_MESSAGE = 600;

/** How many inputs are tried, of each of two kinds. */
const count = isLong ? 50_000 : 8_000;

/** Numbers that look random and are the same in every run: xorshift32. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0 up to, but not including, `bound`. */
  below(bound: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) % bound;
  }

  /** One of some values. */
  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }

  /** Any bytes. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Bytes that often look like the start of a frame. */
function randomBytes(random: Random): Uint8Array {
  const bytes = random.bytes(1 + random.below(60));
  if (random.below(4) > 0) {
    bytes[0] = random.pick([0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a]);
    if (bytes.length > 1) bytes[1]! |= 0x80;
    const length = random.pick([random.below(12), 126, 127]);
    if (bytes.length > 1) bytes[1] = 0x80 | length;
  }
  return bytes;
}

/** A few frames that break no rule, but may end in the middle of a message. */
function randomStream(random: Random): Uint8Array {
  const frames: Uint8Array[] = [];
  const count = 1 + random.below(8);
  let open = 0;
  for (let index = 0; index < count; index++) {
    const mask = [...random.bytes(4)];
    if (random.below(5) === 0) {
      const opcode = random.pick([9, 9, 10, 8]);
      const payload = opcode === 8
        ? join(
          new Uint8Array([3, 232 + random.below(3)]),
          utf8(random.pick(["", "bye", "€"])),
        )
        : random.bytes(random.below(20));
      frames.push(frame({ opcode, payload, mask }));
      continue;
    }
    const opcode = open === 0 ? random.pick([1, 2]) : 0;
    const kind = open === 0 ? opcode : open;
    const final = random.below(3) > 0;
    const text = random.pick([
      "",
      "a",
      "é€😀",
      "text ".repeat(9),
      "ü".repeat(70),
    ]);
    const payload = kind === 1 ? utf8(text) : random.bytes(random.below(150));
    frames.push(frame({ opcode, payload, final, mask }));
    open = final ? 0 : kind;
  }
  return join(...frames);
}

/** Changes a few bits, bytes or stretches. */
function mutate(random: Random, stream: Uint8Array): Uint8Array {
  let bytes = stream;
  for (let count = random.below(4); count > 0; count--) {
    const at = random.below(bytes.length);
    const rest = bytes.subarray(at);
    switch (random.below(4)) {
      case 0:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.below(256);
        break;
      case 2:
        bytes = join(
          bytes.subarray(0, at),
          random.bytes(1 + random.below(5)),
          rest,
        );
        break;
      default:
        bytes = join(
          bytes.subarray(0, at),
          rest.subarray(random.below(9)),
          new Uint8Array(1),
        );
    }
  }
  return bytes;
}

/** Where an input of some length is cut: nowhere up to almost everywhere, in order. */
function randomCuts(random: Random, length: number): number[] {
  const cuts = new Set<number>();
  for (let count = random.below(random.pick([3, 9, 60])); count > 0; count--) {
    cuts.add(random.below(length + 1));
  }
  return [...cuts].sort((one, other) => one - other);
}

/** Asserts what holds whatever the input was. */
function assertSpecified(got: Observed): void {
  const { close, failure } = got;
  assert(got.messages.every(({ length }) => length <= MAX_MESSAGE));
  assert(got.pings.every(({ length }) => length <= 125));
  if (failure !== undefined) {
    assert([1002, 1007, 1009].includes(failure.code));
    assert(failure.reason.length > 0 && failure.reason.length < 100);
  }
  if (close !== undefined) {
    assert(close.code >= 1000 && close.code <= 4999);
    assert(isValidUtf8(utf8(close.reason)) && utf8(close.reason).length <= 123);
  }
  // Two small buffers, besides what an unfinished message may take.
  assert(got.most <= 2 * 2 * MAX_MESSAGE, `${got.most} bytes are held`);
}

/** Asserts that an input comes to the same, however it is cut. */
function assertSameOutcome(got: Observed, whole: Observed): void {
  assertEquals(got.messages.length, whole.messages.length);
  assertEquals(got.types, whole.types);
  assert(
    got.messages.every((bytes, index) =>
      sameBytes(bytes, whole.messages[index]!)
    ),
  );
  assertEquals(got.pings, whole.pings);
  assertEquals(got.ponged, whole.ponged);
  assertEquals(got.close, whole.close);
  assertEquals(got.failure, whole.failure);
}

/** Tries inputs, each whole and cut; returns how many came to each kind of end. */
function fuzz(
  count: number,
  seed: number,
  generate: (random: Random) => Uint8Array,
): Record<string, number> {
  const random = new Random(seed);
  const ends: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const input = generate(random);
    const cuts = randomCuts(random, input.length);
    try {
      const whole = observe([input.slice()], MAX_MESSAGE);
      const cut = observe(cutAt(input, cuts), MAX_MESSAGE);
      assertSpecified(whole);
      assertSpecified(cut);
      assertSameOutcome(cut, whole);
      const end = whole.failure?.code ??
        (whole.close === undefined ? "open" : "closed");
      ends[end] = (ends[end] ?? 0) + 1;
    } catch (cause) {
      throw new Error(
        `Input ${index} of seed ${seed}: ${input.toHex()} cut at ${cuts}`,
        { cause },
      );
    }
  }
  return ends;
}

Deno.test({
  name: "Receiver.receive() takes random byte strings, cut anywhere",
  permissions,
  fn(): void {
    const ends = fuzz(count, 0x6455, randomBytes);
    // The generator has to reach each of them, or it shows nothing.
    for (const end of ["open", "closed", 1002, 1007, 1009]) {
      assert((ends[end] ?? 0) >= 20, `${end}: ${ends[end]}`);
    }
  },
});

Deno.test({
  name: "Receiver.receive() takes changed streams of frames, cut anywhere",
  permissions,
  fn(): void {
    const ends = fuzz(
      count,
      0x1eaf,
      (random) => mutate(random, randomStream(random)),
    );
    for (const end of ["open", "closed", 1002, 1007, 1009]) {
      assert((ends[end] ?? 0) >= 20, `${end}: ${ends[end]}`);
    }
  },
});

Deno.test({
  name:
    "Receiver.receive() finds no fault with streams of frames as they should be",
  permissions,
  fn(): void {
    const ends = fuzz(2_000, 0xfeed, randomStream);
    assertEquals(Object.keys(ends).sort(), ["closed", "open"]);
  },
});
