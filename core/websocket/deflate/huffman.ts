/**
 * Huffman codes as DEFLATE has them, RFC 1951 section 3.2.2.
 *
 * @module
 */

/** The most symbols of an alphabet. */
const mostSymbols = 288;

/** The longest code of any alphabet. */
const mostBits = 15;

/** Frequencies below it are sorted by counting. */
const fewest = 64;

// Memory that each call uses anew.
const symbols = new Uint32Array(mostSymbols);
const sorted = new Uint32Array(mostSymbols);
const nodes = new Uint32Array(mostSymbols);
const places = new Uint16Array(fewest);
const counts = new Uint16Array(mostBits + 1);
const next = new Uint16Array(mostBits + 1);

/**
 * Chooses how long the code of each symbol is, so that all of them together are
 * as short as they can be, or nearly so where codes would be too long.
 *
 * At least two symbols have a code, as some decoders demand.
 *
 * @param frequencies How often each symbol occurs; less than 2^16 times.
 * @param most Bits of the longest code that may be.
 * @param lengths Where the lengths are written, one for each frequency; 0: the
 * symbol has no code.
 *
 * @example Usage
 * ```ts
 * import { chooseLengths } from "./huffman.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const lengths = new Uint8Array(4);
 * chooseLengths(new Uint16Array([5, 1, 0, 1]), 15, lengths);
 * assertEquals(lengths, new Uint8Array([1, 2, 0, 2]));
 * ```
 */
export function chooseLengths(
  frequencies: Uint16Array,
  most: number,
  lengths: Uint8Array,
): void {
  const count = sortSymbols(frequencies);
  lengths.fill(0);
  if (count < 2) {
    const only = count === 0 ? 0 : sorted[0]! & 0x1ff;
    lengths[only] = 1;
    lengths[only === 0 ? 1 : 0] = 1;
    return;
  }
  for (let at = 0; at < count; at++) nodes[at] = sorted[at]! >>> 9;
  measureDepths(count);
  if (nodes[0]! > most) limitDepths(count, most);
  for (let at = 0; at < count; at++) lengths[sorted[at]! & 0x1ff] = nodes[at]!;
}

/**
 * Sorts the symbols that occur into `sorted`, the rarest first: each is its
 * frequency times 2^9, and the symbol. Returns how many there are.
 */
function sortSymbols(frequencies: Uint16Array): number {
  let count = 0;
  places.fill(0);
  for (let symbol = 0; symbol < frequencies.length; symbol++) {
    const frequency = frequencies[symbol]!;
    if (frequency === 0) continue;
    symbols[count++] = frequency << 9 | symbol;
    if (frequency < fewest) places[frequency]!++;
  }
  let place = 0;
  for (let frequency = 1; frequency < fewest; frequency++) {
    const those = places[frequency]!;
    places[frequency] = place;
    place += those;
  }
  let end = place;
  for (let at = 0; at < count; at++) {
    const symbol = symbols[at]!;
    const frequency = symbol >>> 9;
    if (frequency < fewest) {
      sorted[places[frequency]!++] = symbol;
      continue;
    }
    // Few are so frequent.
    let to = end++;
    while (to > place && sorted[to - 1]! > symbol) {
      sorted[to] = sorted[to - 1]!;
      to--;
    }
    sorted[to] = symbol;
  }
  return count;
}

/**
 * Replaces the frequencies in `nodes`, in ascending order, with the lengths of
 * the codes: Moffat and Katajainen, "In-place calculation of minimum-redundancy
 * codes", 1995.
 */
function measureDepths(count: number): void {
  // Each pair of the rarest becomes a node that knows its parent's place.
  let leaf = 0;
  let root = 0;
  for (let node = 0; node < count - 1; node++) {
    let sum = 0;
    for (let child = 0; child < 2; child++) {
      if (leaf >= count || root < node && nodes[root]! < nodes[leaf]!) {
        sum += nodes[root]!;
        nodes[root++] = node;
      } else {
        sum += nodes[leaf++]!;
      }
    }
    nodes[node] = sum;
  }
  // The depths of these nodes, from the root of the tree.
  nodes[count - 2] = 0;
  for (let node = count - 3; node >= 0; node--) {
    nodes[node] = nodes[nodes[node]!]! + 1;
  }
  // The depths of the leaves: what of a depth is not one of these nodes.
  let place = count - 1;
  let node = count - 2;
  let room = 1;
  for (let depth = 0; room > 0; depth++) {
    let inner = 0;
    while (node >= 0 && nodes[node] === depth) {
      inner++;
      node--;
    }
    for (let leaves = room - inner; leaves > 0; leaves--) {
      nodes[place--] = depth;
    }
    room = 2 * inner;
  }
}

/**
 * Makes codes no longer than a limit: too long ones get shorter, and of the
 * others as many longer as it takes, the rarest first.
 */
function limitDepths(count: number, most: number): void {
  const room = 1 << most;
  let used = 0;
  for (let at = 0; at < count; at++) {
    nodes[at] = Math.min(nodes[at]!, most);
    used += 1 << (most - nodes[at]!);
  }
  for (let at = 0; used > room; at = (at + 1) % count) {
    if (nodes[at]! < most) used -= 1 << (most - ++nodes[at]!);
  }
  // A decoder refuses codes that leave room.
  for (let at = count - 1; used < room; at = at > 0 ? at - 1 : count - 1) {
    const more = 1 << (most - nodes[at]!);
    if (used + more > room) continue;
    used += more;
    nodes[at]!--;
  }
}

/**
 * Assigns codes of given lengths, RFC 1951 section 3.2.2.
 *
 * @param lengths Bits of each symbol's code.
 * @param codes Where the codes are written, each with its first bit as the
 * lowest, as they are sent.
 *
 * @example The one of section 3.2.2
 * ```ts
 * import { assignCodes } from "./huffman.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const codes = new Uint16Array(8);
 * assignCodes(new Uint8Array([3, 3, 3, 3, 3, 2, 4, 4]), codes);
 * assertEquals(codes[0], 0b010);
 * assertEquals(codes[1], 0b110);
 * assertEquals(codes[5], 0b00);
 * assertEquals(codes[7], 0b1111);
 * ```
 */
export function assignCodes(lengths: Uint8Array, codes: Uint16Array): void {
  counts.fill(0);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    counts[lengths[symbol]!]!++;
  }
  counts[0] = 0;
  let code = 0;
  for (let bits = 1; bits <= mostBits; bits++) {
    code = (code + counts[bits - 1]!) << 1;
    next[bits] = code;
  }
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const bits = lengths[symbol]!;
    if (bits === 0) continue;
    let rest = next[bits]!++;
    let reversed = 0;
    for (let bit = 0; bit < bits; bit++) {
      reversed = reversed << 1 | rest & 1;
      rest >>>= 1;
    }
    codes[symbol] = reversed;
  }
}
