/**
 * A block of compressed data, RFC 1951 section 3.2.3.
 *
 * @module
 */

import { assignCodes, chooseLengths } from "./huffman.ts";

/** The shortest repetition that is sent as one, and the longest there can be. */
export const leastMatch = 4;
export const mostMatch = 258;

/** Symbols of a block, at most. */
export const mostSymbols = 32 * 1024;

// RFC 1951 section 3.2.5: codes of lengths and distances, their first values and extra bits.

export const lengthExtra = new Uint8Array(29);
const lengthBase = new Uint16Array(29);
/** Code of each length, without 257. */
export const lengthCode = new Uint8Array(mostMatch + 1);
export const distanceExtra = new Uint8Array(30);
const distanceBase = new Uint16Array(30);
/** Code of each distance less 1 below 256, then of each 128th. */
export const distanceCode = new Uint8Array(512);

/** Fills the six. */
function fillTables(): void {
  let length = 3;
  for (let code = 0; code < 28; code++) {
    lengthExtra[code] = code < 8 ? 0 : (code >> 2) - 1;
    lengthBase[code] = length;
    const end = length + (1 << lengthExtra[code]!);
    while (length < end) lengthCode[length++] = code;
  }
  // Section 3.2.5: 258 has a code of its own.
  lengthBase[28] = mostMatch;
  lengthCode[mostMatch] = 28;
  let distance = 0;
  for (let code = 0; code < 30; code++) {
    distanceExtra[code] = code < 4 ? 0 : (code >> 1) - 1;
    distanceBase[code] = distance + 1;
    const end = distance + (1 << distanceExtra[code]!);
    if (distance < 256) distanceCode.fill(code, distance, end);
    else distanceCode.fill(code, 256 + (distance >> 7), 256 + (end >> 7));
    distance = end;
  }
}
fillTables();

/** The symbol that ends a block. */
const endOfBlock = 256;

/** The alphabets: literals and lengths, distances, lengths of codes. */
const literals = 286;
const distances = 30;
const codeLengths = 19;

// Section 3.2.6: the codes that are fixed.
export const fixedLiteralBits = new Uint8Array(288)
  .fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
const fixedLiteralCodes = new Uint16Array(288);
assignCodes(fixedLiteralBits, fixedLiteralCodes);
const fixedDistanceBits = new Uint8Array(32).fill(5);
const fixedDistanceCodes = new Uint16Array(32);
assignCodes(fixedDistanceBits, fixedDistanceCodes);

/** In which order the lengths of the codes of lengths are sent: section 3.2.7. */
const codeLengthOrder = Uint8Array.of(
  ...[16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15],
);

/**
 * Symbols from which a block may have codes of its own. With fewer, what
 * describes them takes more than they save.
 */
const leastForCodes = 32;

/** Bits that describe codes at the least: that many, and so many for each symbol. */
const leastDescription = 60;
const leastDescriptionEach = 4.5;

/** Logarithms of small numbers, to base 2. */
const logarithms = Float64Array.from({ length: 1024 }, (_, n) => Math.log2(n));

// Codes of the block that is being written: nothing comes between.

const literalBits = new Uint8Array(literals);
const literalCodes = new Uint16Array(literals);
const distanceBits = new Uint8Array(distances);
const distanceCodes = new Uint16Array(distances);
const codeLengthCounts = new Uint16Array(codeLengths);
const codeLengthBits = new Uint8Array(codeLengths);
const codeLengthCodes = new Uint16Array(codeLengths);
/** The lengths of both alphabets' codes, one after another. */
const lengths = new Uint8Array(literals + distances);
/** How these are sent: each symbol, and what follows it times 2^5. */
const described = new Uint16Array(literals + distances);
/** How many of each are sent: of both alphabets' codes, of the codes of lengths, and of these symbols. */
const description = { literals: 0, distances: 0, codeLengths: 0, symbols: 0 };
/** Bits that follow each symbol: 16 to 18 repeat. */
const repeatBits = Uint8Array.of(
  ...new Array<number>(16).fill(0),
  ...[2, 3, 7],
);

/** The codes of a block. */
interface Codes {
  readonly literalCodes: Uint16Array;
  readonly literalBits: Uint8Array;
  readonly distanceCodes: Uint16Array;
  readonly distanceBits: Uint8Array;
}

const ownCodes: Codes = {
  literalCodes,
  literalBits,
  distanceCodes,
  distanceBits,
};
const fixedCodes: Codes = {
  literalCodes: fixedLiteralCodes,
  literalBits: fixedLiteralBits,
  distanceCodes: fixedDistanceCodes,
  distanceBits: fixedDistanceBits,
};

/**
 * The symbols of a block, and where it is written. One serves all compressors of
 * a thread, a message at a time.
 *
 * @example Usage
 * ```ts
 * import { Block } from "./block.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const block = new Block();
 * const target = new Uint8Array(10);
 * block.start(0, 10);
 * block.symbols[block.count++] = 0x41 << 16;
 * block.fixedBits += 8;
 * block.literalCounts[0x41]!++;
 * block.write(target);
 * block.finish(target);
 * assertEquals(target.subarray(0, block.at), new Uint8Array([0x72, 0x04, 0x00]));
 * ```
 */
export class Block {
  /** Each a literal times 2^16, or a length times 2^16 and its distance. */
  readonly symbols = new Uint32Array(mostSymbols);
  /** How many symbols there are. */
  count = 0;
  /** How often each literal and each code of a length occurs. */
  readonly literalCounts = new Uint16Array(literals);
  /** How often each code of a distance occurs. */
  readonly distanceCounts = new Uint16Array(distances);
  /** Bits of the symbols with the codes that are fixed. */
  fixedBits = 0;
  /** Bits that their lengths and distances have beside the codes. */
  extraBits = 0;
  /** Offset after what is written. */
  at = 0;
  /** Offset that nothing is written beyond. */
  #end = 0;
  /** Bits that do not fill a byte yet, and how many. */
  #bits = 0;
  #bitCount = 0;

  /**
   * Begins a message.
   *
   * @param at Offset in the target at which it begins.
   * @param end Offset there that nothing is written beyond.
   */
  start(at: number, end: number): void {
    this.at = at;
    this.#end = end;
    this.#bits = 0;
    this.#bitCount = 0;
    this.#clear();
  }

  /**
   * Writes the block, and begins another one.
   *
   * @param target Where to.
   * @returns Whether there was room for it, and for what ends a message.
   */
  write(target: Uint8Array): boolean {
    const { count, literalCounts, distanceCounts } = this;
    if (count === 0) return true;
    literalCounts[endOfBlock] = 1;
    const fixed = this.fixedBits + fixedLiteralBits[endOfBlock]!;
    const own = count < leastForCodes ||
        estimateOwn(literalCounts, distanceCounts) > fixed
      ? Infinity
      : makeOwn(literalCounts, distanceCounts);
    const bits = this.#bitCount + 3 + Math.min(own, fixed) + this.extraBits + 3;
    if (this.at + Math.ceil(bits / 8) > this.#end) return false;
    if (own < fixed) {
      this.#put(target, 0b100, 3);
      this.#writeDescription(target);
      this.#writeSymbols(target, ownCodes);
    } else {
      this.#put(target, 0b010, 3);
      this.#writeSymbols(target, fixedCodes);
    }
    this.#clear();
    return true;
  }

  /**
   * Ends a message, without the four bytes that RFC 7692 section 7.2.1 has
   * removed: with the header of an empty block without compression.
   *
   * @param target Where to.
   */
  finish(target: Uint8Array): void {
    this.#put(target, 0b000, 3);
    if (this.#bitCount > 0) target[this.at++] = this.#bits;
  }

  #clear(): void {
    this.count = 0;
    this.fixedBits = 0;
    this.extraBits = 0;
    this.literalCounts.fill(0);
    this.distanceCounts.fill(0);
  }

  /** Writes which codes the block has: section 3.2.7. */
  #writeDescription(target: Uint8Array): void {
    const { literals, distances, codeLengths, symbols } = description;
    this.#put(target, literals - 257, 5);
    this.#put(target, distances - 1, 5);
    this.#put(target, codeLengths - 4, 4);
    for (let at = 0; at < codeLengths; at++) {
      this.#put(target, codeLengthBits[codeLengthOrder[at]!]!, 3);
    }
    for (let at = 0; at < symbols; at++) {
      const symbol = described[at]! & 31;
      this.#put(target, codeLengthCodes[symbol]!, codeLengthBits[symbol]!);
      this.#put(target, described[at]! >> 5, repeatBits[symbol]!);
    }
  }

  #writeSymbols(
    target: Uint8Array,
    { literalCodes, literalBits, distanceCodes, distanceBits }: Codes,
  ): void {
    const { symbols, count } = this;
    let bits = this.#bits;
    let bitCount = this.#bitCount;
    let to = this.at;
    for (let at = 0; at < count; at++) {
      const symbol = symbols[at]!;
      const distance = symbol & 0xffff;
      const value = symbol >>> 16;
      if (distance === 0) {
        bits |= literalCodes[value]! << bitCount;
        bitCount += literalBits[value]!;
      } else {
        const length = lengthCode[value]!;
        bits |= literalCodes[257 + length]! << bitCount;
        bitCount += literalBits[257 + length]!;
        // There is room for 32 bits, of which less than 8 may be left of before.
        for (; bitCount >= 8; bitCount -= 8, bits >>>= 8) target[to++] = bits;
        bits |= (value - lengthBase[length]!) << bitCount;
        bitCount += lengthExtra[length]!;
        const less = distance - 1;
        const code = distanceCode[less < 256 ? less : 256 + (less >> 7)]!;
        bits |= distanceCodes[code]! << bitCount;
        bitCount += distanceBits[code]!;
        for (; bitCount >= 8; bitCount -= 8, bits >>>= 8) target[to++] = bits;
        bits |= (distance - distanceBase[code]!) << bitCount;
        bitCount += distanceExtra[code]!;
      }
      for (; bitCount >= 8; bitCount -= 8, bits >>>= 8) target[to++] = bits;
    }
    this.#bits = bits;
    this.#bitCount = bitCount;
    this.at = to;
    this.#put(target, literalCodes[endOfBlock]!, literalBits[endOfBlock]!);
  }

  /** Writes some bits, the lowest first. */
  #put(target: Uint8Array, value: number, length: number): void {
    this.#bits |= value << this.#bitCount;
    this.#bitCount += length;
    while (this.#bitCount >= 8) {
      target[this.at++] = this.#bits;
      this.#bits >>>= 8;
      this.#bitCount -= 8;
    }
  }
}

/** Bits that the block takes with codes of its own, at the least. */
function estimateOwn(
  literalCounts: Uint16Array,
  distanceCounts: Uint16Array,
): number {
  let bits = leastDescription;
  for (const counts of [literalCounts, distanceCounts]) {
    let sum = 0;
    for (let symbol = 0; symbol < counts.length; symbol++) {
      const count = counts[symbol]!;
      if (count === 0) continue;
      sum += count;
      bits += leastDescriptionEach - count * logarithm(count);
    }
    bits += sum * logarithm(sum);
  }
  return bits;
}

function logarithm(count: number): number {
  return count < logarithms.length ? logarithms[count]! : Math.log2(count);
}

/** Makes codes for the block, and answers how many bits it takes with them. */
function makeOwn(
  literalCounts: Uint16Array,
  distanceCounts: Uint16Array,
): number {
  chooseLengths(literalCounts, 15, literalBits);
  chooseLengths(distanceCounts, 15, distanceBits);
  let bits = describe();
  for (let symbol = 0; symbol < literals; symbol++) {
    bits += literalCounts[symbol]! * literalBits[symbol]!;
  }
  for (let symbol = 0; symbol < distances; symbol++) {
    bits += distanceCounts[symbol]! * distanceBits[symbol]!;
  }
  assignCodes(literalBits, literalCodes);
  assignCodes(distanceBits, distanceCodes);
  return bits;
}

/** Makes what describes the block's own codes, and answers how many bits it takes. */
function describe(): number {
  let literalsUsed = literals;
  while (literalBits[literalsUsed - 1] === 0) literalsUsed--;
  let distancesUsed = distances;
  while (distanceBits[distancesUsed - 1] === 0) distancesUsed--;
  lengths.set(literalBits);
  lengths.set(distanceBits, literalsUsed);
  codeLengthCounts.fill(0);
  const end = literalsUsed + distancesUsed;
  let symbols = 0;
  function add(symbol: number, more: number): void {
    described[symbols++] = symbol | more << 5;
    codeLengthCounts[symbol]!++;
  }
  for (let at = 0; at < end;) {
    const length = lengths[at]!;
    let run = 1;
    while (at + run < end && lengths[at + run] === length) run++;
    at += run;
    if (length > 0) {
      add(length, 0);
      run--;
    }
    while (run >= 3) {
      const most = length > 0 ? 6 : 138;
      const part = Math.min(run, most);
      if (length > 0) add(16, part - 3);
      else if (part < 11) add(17, part - 3);
      else add(18, part - 11);
      run -= part;
    }
    while (run-- > 0) add(length, 0);
  }
  chooseLengths(codeLengthCounts, 7, codeLengthBits);
  assignCodes(codeLengthBits, codeLengthCodes);
  let used = codeLengths;
  while (codeLengthBits[codeLengthOrder[used - 1]!] === 0) used--;
  description.literals = literalsUsed;
  description.distances = distancesUsed;
  description.codeLengths = used;
  description.symbols = symbols;
  let bits = 14 + 3 * used;
  for (let symbol = 0; symbol < codeLengths; symbol++) {
    bits += codeLengthCounts[symbol]! *
      (codeLengthBits[symbol]! + repeatBits[symbol]!);
  }
  return bits;
}
