import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MessageFramer } from "../../../core/bridge/message_framer.ts";
import { createText } from "../../../framing/text.ts";
import { cutEverywhere, decode, encode } from "../../support/framing_driver.ts";

const permissions = "none";

/** What a client gets for reads and the end of the stream. */
function run(
  config: string,
  reads: Iterable<Uint8Array>,
): { readonly data: Uint8Array; readonly text: boolean }[] {
  const stream = new MessageFramer(createText(config), { maxMessage: 99 });
  const sent: { data: Uint8Array; text: boolean }[] = [];
  function take(
    { data, messages, failure }: ReturnType<MessageFramer["end"]>,
  ): void {
    assertEquals(failure, undefined);
    for (const { start, end, text } of messages) {
      sent.push({ data: data.slice(start, end), text });
    }
  }
  for (const bytes of reads) {
    stream.room(bytes.length).set(bytes);
    const framed = stream.push(bytes.length);
    // Nothing but a character that lacks bytes waits.
    take(framed);
  }
  take(stream.end());
  stream.close();
  return sent;
}

function join(sent: readonly { readonly data: Uint8Array }[]): string {
  return sent.map(({ data }) => decode(data)).join("");
}

/** A character of each length and plane, those at the ends of their ranges too. */
const everyPlane = [
  0x00,
  0x41,
  0x7f,
  0x80,
  0x7ff,
  0x800,
  0xd7ff,
  0xe000,
  0xfeff,
  0xfffd,
  0xffff,
  ...Array.from({ length: 16 }, (_, plane) => (plane + 1) * 0x10000),
  0x1f600,
  0x10ffff,
].map((point) => String.fromCodePoint(point)).join("") + "end";

Deno.test(
  "createText() sends text of every plane, cut at every byte, as text",
  {
    permissions,
  },
  () => {
    for (const config of ["", "binary"]) {
      for (const reads of cutEverywhere(encode(everyPlane))) {
        const sent = run(config, reads);
        assert(sent.every(({ text }) => text));
        assertEquals(join(sent), everyPlane);
      }
    }
  },
);

Deno.test(
  "createText() holds back no more than it has to",
  { permissions },
  () => {
    const cases: [read: number[], length: number][] = [
      [[0x41], 1],
      [[0x41, 0xc3], 1],
      [[0x41, 0xe2, 0x82], 1],
      [[0x41, 0xf0, 0x9f, 0x98], 1],
      [[0xf0, 0x9f, 0x98, 0x80], 4],
      // These can be the start of nothing.
      [[0x41, 0xc0], 2],
      [[0x41, 0xff], 2],
      [[0x41, 0x80, 0x80, 0x80, 0x80], 5],
    ];
    for (const [read, length] of cases) {
      const frame = createText("").frame(new Uint8Array(read), read.length);
      assertEquals(frame?.length, length);
    }
  },
);

Deno.test("createText() replaces what is not UTF-8, or sends it as binary", {
  permissions,
}, () => {
  const cases: [reads: number[][], replaced: string[], types: boolean[]][] = [
    [[[0x41, 0xff, 0x42]], ["A\ufffdB"], [false]],
    [[[0xff], [0x41]], ["\ufffd", "A"], [false, true]],
    [[[0xc3], [0x41]], ["\ufffdA"], [false]],
    // Overlong, and a surrogate.
    [[[0xc0, 0xaf]], ["\ufffd\ufffd"], [false]],
    [[[0xed, 0xa0, 0x80]], ["\ufffd\ufffd\ufffd"], [false]],
    // The end of the stream cuts a character short.
    [[[0x41, 0xe2, 0x82]], ["A", "\ufffd"], [true, false]],
  ];
  for (const [reads, replaced, types] of cases) {
    const bytes = reads.map((read) => new Uint8Array(read));
    const sent = run("", bytes);
    assertEquals(sent.map(({ data }) => decode(data)), replaced);
    assert(sent.every(({ text }) => text));
    const asBinary = run(" binary ", bytes);
    assertEquals(asBinary.map(({ text }) => text), types);
    assertEquals(
      asBinary.flatMap(({ data }) => [...data]),
      reads.flat(),
    );
  }
  assertThrows(
    () => createText("replace"),
    SyntaxError,
    'Cannot use text "replace": "replace" is not one of binary',
  );
});

Deno.test(
  "createText() sends what a decoder makes of the whole, however it is cut",
  {
    permissions,
  },
  () => {
    // Bytes that begin, go on with and break characters of all lengths.
    const byte = fc.constantFrom(
      ...[0x41, 0x80, 0xa0, 0x8f, 0x90, 0xbf, 0xc0, 0xc3, 0xe0, 0xe2],
      ...[0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff],
    );
    fc.assert(
      fc.property(fc.array(fc.array(byte, { minLength: 1 })), (reads) => {
        const sent = run("", reads.map((read) => new Uint8Array(read)));
        assert(sent.every(({ text }) => text));
        assertEquals(join(sent), decode(new Uint8Array(reads.flat())));
      }),
      { numRuns: 2000 },
    );
  },
);
