import { assert, assertEquals } from "@std/assert";
import { createDelimiterSearch } from "../../../framing/delimiter.ts";
import { createSeparator } from "../../../framing/separator.ts";
import {
  cutEvery,
  cutEverywhere,
  decode,
  encode,
  runFramer,
  runFramerAsText,
} from "../../support/framing_driver.ts";

const permissions = "none";

/** All words of the letters a and b that have a length. */
function words(length: number): string[] {
  if (length === 0) return [""];
  return words(length - 1).flatMap((word) => [word + "a", word + "b"]);
}

/** What any search has to find, in the plainest way. */
function splitAfter(text: string, delimiter: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (true) {
    const place = text.indexOf(delimiter, start);
    if (place === -1) return [...pieces, text.slice(start)];
    pieces.push(text.slice(start, place + delimiter.length));
    start = place + delimiter.length;
  }
}

/** What a search did with the bytes it was given. */
interface Examination {
  /** The bytes, for the search. */
  readonly data: Uint8Array;
  /** How many bytes it has read, by itself or through `indexOf`. */
  examined: number;
  /** How often it has called `indexOf`. */
  calls: number;
}

function examine(bytes: Uint8Array): Examination {
  const examination: Examination = {
    data: new Proxy(bytes, {
      get(target, key): unknown {
        if (key === "indexOf") {
          return (byte: number, from = 0): number => {
            const place = target.indexOf(byte, from);
            const end = place === -1 ? target.length : place + 1;
            examination.examined += end - from;
            examination.calls++;
            return place;
          };
        }
        if (typeof key === "string" && /^\d+$/.test(key)) {
          examination.examined++;
        }
        return Reflect.get(target, key, target);
      },
    }),
    examined: 0,
    calls: 0,
  };
  return examination;
}

Deno.test("createDelimiterSearch() finds what a plain search finds", {
  permissions,
}, () => {
  const delimiters = [1, 2, 3, 4].flatMap(words);
  for (const text of words(8)) {
    const bytes = encode(text);
    for (const delimiter of delimiters) {
      const expected = splitAfter(text, delimiter).join();
      for (const size of [1, 3, 8]) {
        const { messages, rest } = runFramerAsText(
          createSeparator(delimiter),
          cutEvery(bytes, size),
        );
        assertEquals([...messages, rest].join(), expected);
      }
    }
  }
});

Deno.test(
  "createDelimiterSearch() finds the delimiter wherever the stream is cut",
  { permissions },
  () => {
    const cases: [delimiter: string, text: string][] = [
      ["\r\n", "one\r\ntwo\r\r\nthree\n\r\n\r\nfour\r"],
      ["\n", "\n\none\ntwo"],
      ["aab", "aaaabaabaaab aaa"],
      ["abab", "abaabababababab aba"],
      ["--end--", "-----end--x--end-----end--"],
      ["\0", "\0a\0"],
      ["→|", "a→→|b→|→"],
    ];
    for (const [delimiter, text] of cases) {
      const expected = splitAfter(text, delimiter);
      for (const chunks of cutEverywhere(encode(text))) {
        const find = createDelimiterSearch(encode(delimiter));
        const { messages, rest } = runFramerAsText({
          frame: (data, fresh) => {
            const length = find(data, fresh);
            return length === 0 ? null : { length, type: "binary" };
          },
        }, chunks);
        assertEquals([...messages, rest], expected);
      }
    }
  },
);

Deno.test(
  "createDelimiterSearch() forgets a partial match once all bytes are fresh",
  { permissions },
  () => {
    const find = createDelimiterSearch(encode("ab"));

    assertEquals(find(encode("xa"), 2), 0);
    assertEquals(find(encode("b"), 1), 0);
  },
);

Deno.test(
  "createDelimiterSearch() looks at each byte a bounded number of times",
  { permissions },
  () => {
    const cases: [delimiter: string, filling: string][] = [
      ["\n", "a"],
      ["\r\n", "\r"],
      ["\r\n", "\n"],
      ["aab", "a"],
      ["a".repeat(500) + "b", "a"],
      ["a".repeat(500) + "b", "a".repeat(499) + "c"],
      ["abab", "aba"],
    ];
    const total = 20_000;
    for (const [delimiter, filling] of cases) {
      const bytes = encode(filling.repeat(total).slice(0, total));
      for (const size of [1, 7, 1000, total]) {
        const find = createDelimiterSearch(encode(delimiter));
        let examined = 0;
        let calls = 0;
        for (let end = size; end <= total; end += size) {
          const examination = examine(bytes.subarray(0, end));
          assertEquals(find(examination.data, size), 0);
          examined += examination.examined;
          calls += examination.calls;
        }
        assert(
          examined <= 4 * total && calls <= total,
          `${examined} bytes examined, ${calls} calls for ${
            delimiter.slice(0, 9)
          } by ${size}`,
        );
      }
    }
  },
);

Deno.test("createDelimiterSearch() makes one native search for each line", {
  permissions,
}, () => {
  const line = "x".repeat(78) + "\r\n";
  const bytes = encode(line.repeat(100));
  const find = createDelimiterSearch(encode("\r\n"));
  let calls = 0;
  for (let start = 0; start < bytes.length; start += 80) {
    const examination = examine(bytes.subarray(start));
    assertEquals(find(examination.data, bytes.length - start), 80);
    calls += examination.calls;
  }
  assertEquals(calls, 100);
});

Deno.test("createDelimiterSearch() finds a long delimiter in random bytes", {
  permissions,
}, () => {
  // A linear congruential generator: the same bytes in each run.
  let seed = 12345;
  const bytes = Uint8Array.from({ length: 50_000 }, () => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return (seed >> 16) & 1;
  });
  const delimiter = new Uint8Array([1, 1, 0, 1, 1, 0, 1, 1, 1]);
  const latin1 = new TextDecoder("latin1");
  const expected = splitAfter(latin1.decode(bytes), latin1.decode(delimiter));
  assert(expected.length > 20);
  for (const size of [1, 2, 3, 8, 9, 10, 4096, 50_000]) {
    const find = createDelimiterSearch(delimiter);
    const { messages, rest } = runFramer({
      frame: (data, fresh) => {
        const length = find(data, fresh);
        return length === 0 ? null : { length, type: "binary" };
      },
    }, cutEvery(bytes, size));
    assertEquals(
      [...messages.map(({ bytes }) => decode(bytes)), decode(rest)],
      expected,
    );
  }
});
