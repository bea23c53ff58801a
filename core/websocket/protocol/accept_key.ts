/**
 * The proof that a server has understood a request for a WebSocket, RFC 6455
 * section 4.2.2.
 *
 * @module
 */

/** From RFC 6455 section 1.3. */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The text that is hashed has 60 bytes: its end mark fits into the first block, its length does not. */
const keyLength = 24;
const bits = (keyLength + guid.length) * 8;

const base64 =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Memory for one hash: the words of a block and those made of them, and the state. */
const words = new Int32Array(80);
const state = new Int32Array(5);
/** The hash, and a byte to fill up the last digits in base64. */
const digest = new Uint8Array(21);

/**
 * Computes `Sec-WebSocket-Accept`: the SHA-1 (RFC 3174) of the client's key and a
 * constant, in base64. It guards no secret; for so few bytes, a call into
 * the runtime costs more than the hash.
 *
 * @param key The client's `Sec-WebSocket-Key`.
 * @returns The value.
 * @throws {RangeError} If the key has not the 24 characters of 16 bytes in
 * base64.
 *
 * @example Usage
 * ```ts
 * import { acceptKey } from "./accept_key.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   acceptKey("dGhlIHNhbXBsZSBub25jZQ=="),
 *   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
 * );
 * ```
 */
export function acceptKey(key: string): string {
  if (key.length !== keyLength) {
    throw new RangeError(
      `Cannot accept a key of ${key.length} characters: it has ${keyLength}`,
    );
  }
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  state[4] = 0xc3d2e1f0;
  const text = key + guid;
  for (let word = 0; word < text.length / 4; word++) {
    words[word] = text.charCodeAt(word * 4) << 24 |
      text.charCodeAt(word * 4 + 1) << 16 |
      text.charCodeAt(word * 4 + 2) << 8 | text.charCodeAt(word * 4 + 3);
  }
  words[15] = 0x80000000;
  hashBlock();
  words.fill(0, 0, 15);
  words[15] = bits;
  hashBlock();
  for (let index = 0; index < 20; index++) {
    digest[index] = state[index >> 2]! >> (24 - (index & 3) * 8);
  }
  let encoded = "";
  for (let index = 0; index < digest.length; index += 3) {
    const group = digest[index]! << 16 | digest[index + 1]! << 8 |
      digest[index + 2]!;
    encoded += base64[group >> 18]! + base64[group >> 12 & 63]! +
      base64[group >> 6 & 63]! + base64[group & 63]!;
  }
  // The last digit is that of the byte that fills up.
  return `${encoded.slice(0, -1)}=`;
}

/** Takes a block into the state, RFC 3174 section 6.1. */
function hashBlock(): void {
  for (let round = 16; round < 80; round++) {
    words[round] = rotate(
      words[round - 3]! ^ words[round - 8]! ^ words[round - 14]! ^
        words[round - 16]!,
      1,
    );
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  for (let round = 0; round < 80; round++) {
    const mixed = round < 20
      ? (b & c | ~b & d) + 0x5a827999
      : round < 40
      ? (b ^ c ^ d) + 0x6ed9eba1
      : round < 60
      ? (b & c | b & d | c & d) + 0x8f1bbcdc
      : (b ^ c ^ d) + 0xca62c1d6;
    const next = rotate(a, 5) + mixed + e + words[round]! | 0;
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
}

function rotate(word: number, count: number): number {
  return word << count | word >>> (32 - count);
}
