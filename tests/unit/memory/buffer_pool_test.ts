import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  giveMemory,
  headroom,
  largestSize,
  smallestSize,
  tailroom,
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

Deno.test("giveMemory() keeps 64 pieces of a size, and 8 MiB", {
  permissions,
}, () => {
  for (const [size, most] of [[KiB, 64], [256 * KiB, 32], [1024 * KiB, 8]]) {
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
