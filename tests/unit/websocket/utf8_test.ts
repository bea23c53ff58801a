import { assert, assertEquals } from "@std/assert";
import { endOfCharacters, isValidUtf8 } from "../../../core/websocket/utf8.ts";
import { isLong } from "../../support/long.ts";
import { INVALID_UTF8, VALID_UTF8 } from "../../support/utf8_strings.ts";

const permissions = "none";

/**
 * The grammar of RFC 3629 section 4 for one character: the lead bytes, the
 * bytes that may come second, and how many follow these. What it says is
 * compared with `TextDecoder`, too.
 */
const GRAMMAR = [
  { lead: [0x00, 0x7f], length: 1, second: [0x80, 0xbf] },
  { lead: [0xc2, 0xdf], length: 2, second: [0x80, 0xbf] },
  { lead: [0xe0, 0xe0], length: 3, second: [0xa0, 0xbf] },
  { lead: [0xe1, 0xec], length: 3, second: [0x80, 0xbf] },
  { lead: [0xed, 0xed], length: 3, second: [0x80, 0x9f] },
  { lead: [0xee, 0xef], length: 3, second: [0x80, 0xbf] },
  { lead: [0xf0, 0xf0], length: 4, second: [0x90, 0xbf] },
  { lead: [0xf1, 0xf3], length: 4, second: [0x80, 0xbf] },
  { lead: [0xf4, 0xf4], length: 4, second: [0x80, 0x8f] },
] as const;

const RULES = Array.from(
  { length: 256 },
  (_, byte) => GRAMMAR.find(({ lead }) => lead[0] <= byte && byte <= lead[1]),
);

/**
 * The third bytes that are tried: the first and the last of those which the grammar
 * treats alike; `WEBSOCKSY_LONG=1`: all.
 */
const thirds = isLong ? RULES.keys().toArray() : [
  ...[0x00, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1],
  ...[0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3],
  ...[0xf4, 0xf5, 0xff],
];

/** Whether bytes are UTF-8, by the grammar. */
function matchesGrammar(bytes: Uint8Array): boolean {
  let index = 0;
  while (index < bytes.length) {
    const rule = RULES[bytes[index]!];
    if (rule === undefined || index + rule.length > bytes.length) return false;
    for (let more = 1; more < rule.length; more++) {
      const byte = bytes[index + more]!;
      const [low, high] = more === 1 ? rule.second : [0x80, 0xbf];
      if (byte < low || byte > high) return false;
    }
    index += rule.length;
  }
  return true;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Whether bytes are UTF-8, by `TextDecoder`: what is not becomes U+FFFD, which none
 * of them spells. An exception for each would take ten times as long.
 */
function decodes(bytes: Uint8Array): boolean {
  return !decoder.decode(bytes).includes("\ufffd");
}

/** Asserts that both say the same. That is asked too often to make a text each time. */
function assertAgrees(bytes: Uint8Array): void {
  const isValid = isValidUtf8(bytes);
  if (isValid !== decodes(bytes)) assertEquals(isValid, !isValid, `${bytes}`);
}

Deno.test({
  name: "isValidUtf8() agrees with TextDecoder on all strings of 1 and 2 bytes",
  permissions,
  fn(): void {
    for (let first = 0; first < 256; first++) {
      const one = new Uint8Array([first]);
      assertAgrees(one);
      for (let second = 0; second < 256; second++) {
        const two = new Uint8Array([first, second]);
        assertAgrees(two);
        assert(matchesGrammar(two) === decodes(two), "The grammar is wrong");
      }
    }
  },
});

Deno.test({
  name: "isValidUtf8() agrees with the grammar on strings of 3 bytes",
  permissions,
  fn(): void {
    const bytes = new Uint8Array(3);
    for (let pair = 0; pair < 1 << 16; pair++) {
      bytes[0] = pair >> 8;
      bytes[1] = pair;
      for (const third of thirds) {
        bytes[2] = third;
        if (isValidUtf8(bytes) !== matchesGrammar(bytes)) {
          assertEquals(isValidUtf8(bytes), matchesGrammar(bytes), `${bytes}`);
        }
      }
    }
  },
});

Deno.test({
  name:
    "isValidUtf8() agrees with TextDecoder on strings of 3 and 4 bytes at the bounds",
  permissions,
  fn(): void {
    const leads = [
      ...[0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec],
      ...[0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff],
    ];
    const others = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for (const lead of leads) {
      for (const second of others) {
        for (const third of others) {
          const three = new Uint8Array([lead, second, third]);
          assertAgrees(three);
          for (const fourth of [0x7f, 0x80, 0xbf, 0xc2]) {
            const four = new Uint8Array([lead, second, third, fourth]);
            assertAgrees(four);
          }
        }
      }
    }
  },
});

Deno.test({
  name: "isValidUtf8() tells valid strings from others, wherever they lie",
  permissions,
  fn(): void {
    const tables = [[VALID_UTF8, true], [INVALID_UTF8, false]] as const;
    for (const [table, valid] of tables) {
      for (const [name, bytes] of Object.entries(table)) {
        // Up to 48 bytes are looked at in another way than more.
        for (const before of [0, 1, 40, 44, 45, 46, 47, 48, 49, 200]) {
          for (const after of [0, 1, 100]) {
            const data = new Uint8Array(before + bytes.length + after).fill(
              0x61,
            );
            data.set(bytes, before);
            assertEquals(
              isValidUtf8(data),
              valid,
              `${name}, ${before} letters before`,
            );
          }
        }
      }
    }
  },
});

Deno.test({
  name: "isValidUtf8() looks at no byte outside of what it is given",
  permissions,
  fn(): void {
    for (const length of [0, 1, 10, 47, 48, 49, 300]) {
      const data = new Uint8Array(length + 6).fill(0xff);
      data.fill(0x61, 3, 3 + length);
      assert(isValidUtf8(data, 3, 3 + length));
      assertEquals(isValidUtf8(data, 2, 3 + length), false);
      assertEquals(isValidUtf8(data, 3, 4 + length), false);
      assertEquals(isValidUtf8(data, 3), false);
      assert(isValidUtf8(data.subarray(0, 3 + length), 3));
    }
  },
});

Deno.test({
  name: "endOfCharacters() finds where a character at the end lacks bytes",
  permissions,
  fn(): void {
    for (const text of ["é", "€", "😀", "\u{10ffff}", "\u0800"]) {
      for (const before of ["", "a", "é", "€", "😀"]) {
        const bytes = new TextEncoder().encode(`${before}${text}`);
        const start = new TextEncoder().encode(before).length;
        for (let end = start; end < bytes.length; end++) {
          assertEquals(
            endOfCharacters(bytes, 0, end),
            start,
            `${before}${text}, ${end}`,
          );
        }
        assertEquals(endOfCharacters(bytes, 0, bytes.length), bytes.length);
      }
    }
  },
});

Deno.test({
  name: "endOfCharacters() leaves nothing out that no byte can make valid",
  permissions,
  fn(): void {
    for (
      const bytes of [
        [0x80],
        [0x61, 0xbf],
        [0xe2, 0x82, 0xac, 0x80],
        [0xf0, 0x9f, 0x98, 0x80, 0x80],
        [0xc0],
        [0xc1],
        [0xf5],
        [0xff],
        [0xf5, 0x80, 0x80],
        [0x61, 0xe0, 0x80],
        [0xed, 0xa0],
        [0xf0, 0x8f],
        [0xf0, 0x8f, 0xbf],
        [0xf4, 0x90],
        [],
      ]
    ) {
      assertEquals(
        endOfCharacters(new Uint8Array(bytes), 0, bytes.length),
        bytes.length,
        `${bytes}`,
      );
    }
  },
});

Deno.test({
  name:
    "endOfCharacters() shows at the first byte that no other can make it valid",
  permissions,
  fn(): void {
    /** Whether bytes are the start of some UTF-8, by the grammar. */
    function mayBecomeText(bytes: readonly number[]): boolean {
      const rule = RULES[bytes[0]!];
      if (rule === undefined) return false;
      for (let index = 1; index < bytes.length; index++) {
        if (index === rule.length) return mayBecomeText(bytes.slice(index));
        const [low, high] = index === 1 ? rule.second : [0x80, 0xbf];
        if (bytes[index]! < low || bytes[index]! > high) return false;
      }
      return true;
    }
    const third = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xe0];
    // One letter stands for all of ASCII in the first place.
    for (let pair = 0x6100; pair < 0x10000; pair++) {
      if (pair === 0x6200) pair = 0x8000;
      const two = [pair >> 8, pair & 0xff];
      for (const bytes of [two, ...third.map((byte) => [...two, byte])]) {
        const data = new Uint8Array(bytes);
        const end = endOfCharacters(data, 0, data.length);
        if (isValidUtf8(data, 0, end) !== mayBecomeText(bytes)) {
          throw new Error(`It is wrong about ${bytes}`);
        }
      }
    }
  },
});

Deno.test({
  name: "endOfCharacters() looks at no byte before the start",
  permissions,
  fn(): void {
    const bytes = new Uint8Array([0xf0, 0x9f, 0x98]);
    assertEquals(endOfCharacters(bytes, 0, 3), 0);
    assertEquals(endOfCharacters(bytes, 1, 3), 3);
  },
});
