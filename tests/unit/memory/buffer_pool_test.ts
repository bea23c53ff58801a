import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  giveMemory,
  headroom,
  largestSize,
  smallestSize,
  tailroom,
  takeAtLeast,
  takeMemory,
} from "../../../core/memory/buffer_pool.ts";

const permissions = "none";
const KiB = 1024;

Deno.test("takeMemory() gives what was given back, to one at a time", {
  permissions,
}, () => {
  for (let size = smallestSize; size <= largestSize; size *= 4) {
    const first = takeMemory(size);
    assertEquals(first.length, headroom + size + tailroom);
    giveMemory(first);
    assertStrictEquals(takeMemory(size), first);
    assert(takeMemory(size) !== first);
  }
});

Deno.test("giveMemory() keeps 64 pieces of a size, and 16 MiB", {
  permissions,
}, () => {
  for (const [size, most] of [[KiB, 64], [256 * KiB, 64], [1024 * KiB, 16]]) {
    const given = new Set<Uint8Array>();
    for (let count = 0; count < 70; count++) {
      given.add(new Uint8Array(headroom + size! + tailroom));
    }
    for (const memory of given) giveMemory(memory as Uint8Array<ArrayBuffer>);
    let again = 0;
    while (given.delete(takeMemory(size!))) again++;
    assertEquals(again, most);
  }
});

Deno.test("giveMemory() keeps nothing of another size", {
  permissions,
}, () => {
  for (const size of [0, 512, 2 * KiB, 64 * KiB + 1, 4 * largestSize]) {
    const memory = takeMemory(size);
    assertEquals(memory.length, headroom + size + tailroom);
    giveMemory(memory);
    assert(takeMemory(size) !== memory);
  }
  giveMemory(new Uint8Array(0));
});

Deno.test("takeAtLeast() takes memory of a usual size, if there is one", {
  permissions,
}, () => {
  const room = headroom + tailroom;
  for (
    const [bytes, length] of [
      [0, room + smallestSize],
      [room + smallestSize, room + smallestSize],
      [room + smallestSize + 1, room + 4 * smallestSize],
      [256 * KiB, room + 256 * KiB],
      [room + largestSize, room + largestSize],
      [room + largestSize + 1, room + largestSize + 1],
    ] as const
  ) {
    assertEquals(takeAtLeast(bytes).length, length);
  }
  const memory = takeMemory(largestSize);
  giveMemory(memory);
  assertStrictEquals(takeAtLeast(largestSize - 1), memory);
});
