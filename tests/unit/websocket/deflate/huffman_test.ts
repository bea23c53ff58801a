import { assert, assertEquals } from "@std/assert";
import {
  assignCodes,
  chooseLengths,
} from "../../../../core/websocket/deflate/huffman.ts";
import { Random } from "../../../support/random.ts";

const permissions = "none";

function lengthsOf(frequencies: readonly number[], most = 15): Uint8Array {
  const lengths = new Uint8Array(frequencies.length);
  chooseLengths(Uint16Array.from(frequencies), most, lengths);
  return lengths;
}

/** Bits that all symbols take together. */
function cost(frequencies: readonly number[], lengths: Uint8Array): number {
  return frequencies.reduce((sum, each, at) => sum + each * lengths[at]!, 0);
}

/** The same of Huffman's own algorithm: the sum of all nodes of the tree. */
function leastCost(frequencies: readonly number[]): number {
  const nodes = frequencies.filter((each) => each > 0);
  let sum = 0;
  while (nodes.length > 1) {
    nodes.sort((a, b) => b - a);
    const node = nodes.pop()! + nodes.pop()!;
    sum += node;
    nodes.push(node);
  }
  return sum;
}

/** Asserts that each sequence of bits is a code, or begins with one, or begins one. */
function assertComplete(lengths: Uint8Array): void {
  const used = lengths.reduce((sum, bits) => sum + (bits && 2 ** -bits), 0);
  assertEquals(used, 1);
}

Deno.test({
  name: "chooseLengths() makes what is frequent short, as well as can be",
  permissions,
  fn(): void {
    const random = new Random(1);
    for (let round = 0; round < 300; round++) {
      const frequencies = Array.from(
        { length: 2 + random.below(285) },
        () => random.chance(0.5) ? random.below(1 + random.below(300)) : 0,
      );
      frequencies[0] = 1;
      frequencies[frequencies.length - 1] = 70;
      const lengths = lengthsOf(frequencies);
      assertComplete(lengths);
      assertEquals(cost(frequencies, lengths), leastCost(frequencies));
      for (const [at, each] of frequencies.entries()) {
        assertEquals(lengths[at]! > 0, each > 0);
      }
    }
  },
});

Deno.test({
  name: "chooseLengths() makes no code longer than it may be",
  permissions,
  fn(): void {
    // With Fibonacci's numbers, each code is a bit longer than the one before.
    const fibonacci = [1, 1];
    while (fibonacci.length < 23) {
      fibonacci.push(fibonacci.at(-1)! + fibonacci.at(-2)!);
    }
    for (let count = 2; count <= fibonacci.length; count++) {
      for (const most of [5, 7, 15]) {
        const frequencies = fibonacci.slice(0, count);
        const lengths = lengthsOf(frequencies, most);
        assertComplete(lengths);
        assert(Math.max(...lengths) <= most);
        if (count <= most) {
          assertEquals(cost(frequencies, lengths), leastCost(frequencies));
        }
      }
    }
    const equal = lengthsOf(new Array(19).fill(1), 7);
    assertComplete(equal);
    // As many as there can be.
    assertEquals(
      lengthsOf(new Array(32).fill(9), 5),
      new Uint8Array(32).fill(5),
    );
  },
});

Deno.test({
  name: "chooseLengths() has codes for two symbols at least",
  permissions,
  fn(): void {
    assertEquals(lengthsOf([0, 0, 0]), Uint8Array.of(1, 1, 0));
    assertEquals(lengthsOf([0, 0, 7]), Uint8Array.of(1, 0, 1));
    assertEquals(lengthsOf([7, 0, 0]), Uint8Array.of(1, 1, 0));
  },
});

Deno.test({
  name: "assignCodes() gives each symbol a code that no other begins with",
  permissions,
  fn(): void {
    const random = new Random(2);
    const frequencies = Array.from({ length: 286 }, () => random.below(2_000));
    const lengths = lengthsOf(frequencies);
    const codes = new Uint16Array(lengths.length);
    assignCodes(lengths, codes);
    const texts = [...codes].map((code, at) =>
      [...code.toString(2).padStart(lengths[at]!, "0")].reverse().join("")
    ).filter((_, at) => lengths[at]! > 0).sort();
    for (const [at, text] of texts.entries()) {
      assert(!texts[at + 1]?.startsWith(text), `${text} ${texts[at + 1]}`);
    }
  },
});
