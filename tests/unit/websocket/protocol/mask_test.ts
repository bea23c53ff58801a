import { assertEquals } from "@std/assert";
import {
  rotateMask,
  unmask,
} from "../../../../core/websocket/protocol/mask.ts";
import { sameBytes } from "../../../support/websocket_client_frames.ts";

const permissions = "none";

const MASK_BYTES = [0x9a, 0x01, 0xf3, 0x5c];
const MASK = 0x5cf3019a;

function numbers(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + 7) % 253);
}

/** What RFC 6455 section 5.3 says, byte by byte, in a copy. */
function model(
  bytes: Uint8Array,
  from: number,
  to: number,
  length: number,
): Uint8Array {
  const result = bytes.slice();
  for (let index = 0; index < length; index++) {
    result[to + index] = bytes[from + index]! ^ MASK_BYTES[index % 4]!;
  }
  return result;
}

/** Unmasks in a buffer in which the view starts at `shift`, and compares all of it. */
function check(shift: number, from: number, to: number, length: number): void {
  const buffer = numbers(shift + from + length + 9);
  const expected = model(buffer, shift + from, shift + to, length);
  unmask(new DataView(buffer.buffer, shift), from, to, length, MASK);
  if (sameBytes(buffer, expected)) return;
  assertEquals(buffer, expected, `shift ${shift}, ${from} to ${to}, ${length}`);
}

Deno.test({
  name: "unmask() does what the RFC says, at all alignments, for 0 to 67 bytes",
  permissions,
  fn(): void {
    for (let length = 0; length <= 67; length++) {
      for (let shift = 0; shift < 4; shift++) {
        for (let from = 0; from < 20; from++) {
          for (let to = 0; to <= from; to++) check(shift, from, to, length);
        }
      }
    }
  },
});

Deno.test({
  name: "unmask() does what the RFC says, at all alignments, for many bytes",
  permissions,
  fn(): void {
    const lengths = [
      ...[999, 1000, 1022, 1023, 1024, 1025, 1026, 1027, 1028, 1029, 1030],
      ...[1031, 1039, 1040, 1041, 2047, 4099],
    ];
    for (const length of lengths) {
      for (let shift = 0; shift < 4; shift++) {
        for (
          const [from, to] of [[0, 0], [1, 1], [6, 0], [7, 3], [9, 8], [
            3,
            2,
          ]] as const
        ) {
          check(shift, from, to, length);
        }
      }
    }
  },
});

Deno.test({
  name: "unmask() undoes itself",
  permissions,
  fn(): void {
    for (const length of [0, 5, 64, 5000]) {
      const bytes = numbers(length);
      const view = new DataView(bytes.buffer);
      unmask(view, 0, 0, length, MASK);
      unmask(view, 0, 0, length, MASK);
      assertEquals(bytes, numbers(length));
    }
  },
});

Deno.test({
  name: "rotateMask() gives the mask for the bytes that follow",
  permissions,
  fn(): void {
    for (let length = 0; length < 40; length++) {
      for (let cut = 0; cut <= length; cut++) {
        const bytes = numbers(length);
        const expected = model(bytes, 0, 0, length);
        const view = new DataView(bytes.buffer);
        unmask(view, 0, 0, cut, MASK);
        unmask(view, cut, cut, length - cut, rotateMask(MASK, cut));
        assertEquals(bytes, expected, `${length} bytes, cut at ${cut}`);
      }
    }
  },
});
