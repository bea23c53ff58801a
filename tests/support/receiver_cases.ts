/**
 * What clients send and what is to come of it, in the manner of the groups of
 * the Autobahn test suite.
 */

import { INVALID_UTF8, VALID_UTF8 } from "./utf8_strings.ts";
import {
  binary,
  close,
  fragments,
  frame,
  join,
  letters,
  pattern,
  ping,
  pong,
  text,
  utf8,
} from "./websocket_client_frames.ts";

/** What came of an input. */
export interface Outcome {
  /** Messages, in order. */
  readonly messages: readonly Uint8Array[];
  /** Payloads of the pings to answer, in order. */
  readonly pings: readonly Uint8Array[];
  /** Whether a pong came. */
  readonly ponged: boolean;
  /** The client's close frame. */
  readonly close?: { readonly code: number; readonly reason: string };
  /** The close code for a violation of the protocol. */
  readonly failure?: number;
}

/** An input and what is to come of it. */
export interface ProtocolCase extends Outcome {
  readonly name: string;
  readonly input: Uint8Array;
  /** The largest message. */
  readonly maxMessage: number;
}

/** Cases of a group, by its name. */
export const CASES: Record<string, readonly ProtocolCase[]> = {
  "framing": framing(),
  "masking": masking(),
  "pings and pongs": pings(),
  "reserved bits": reservedBits(),
  "opcodes": opcodes(),
  "fragmentation": fragmentation(),
  "UTF-8": utf8Texts(),
  "UTF-8 of messages in a row": utf8Rows(),
  "close": closes(),
  "lengths": lengths(),
  "limits": limits(),
};

type Expected = Partial<
  & Omit<Outcome, "messages" | "pings">
  & {
    messages: (Uint8Array | string)[];
    pings: (Uint8Array | string)[];
    maxMessage: number;
  }
>;

function entry(
  name: string,
  input: Uint8Array,
  expected: Expected,
): ProtocolCase {
  const { messages = [], pings = [], maxMessage = 1 << 20, ...rest } = expected;
  return {
    name,
    input,
    maxMessage,
    messages: messages.map(toBytes),
    pings: pings.map(toBytes),
    ponged: false,
    ...rest,
  };
}

function toBytes(value: Uint8Array | string): Uint8Array {
  return typeof value === "string" ? utf8(value) : value;
}

function framing(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  for (
    const length of [
      0,
      1,
      2,
      3,
      4,
      7,
      64,
      125,
      126,
      127,
      128,
      1000,
      65535,
      65536,
      70001,
    ]
  ) {
    const chars = letters(length);
    const bytes = pattern(length);
    cases.push(
      entry(`text of ${length}`, text(chars), { messages: [chars] }),
      entry(`binary of ${length}`, binary(bytes), { messages: [bytes] }),
      entry(
        `binary of ${length} between others`,
        join(binary("a"), binary(bytes), text("b")),
        { messages: ["a", bytes, "b"] },
      ),
    );
  }
  const many = Array.from({ length: 40 }, (_, index) => letters(index));
  cases.push(
    entry("no bytes", new Uint8Array(), {}),
    entry("40 texts", join(...many.map(text)), { messages: many }),
    entry("40 binaries", join(...many.map(binary)), { messages: many }),
    entry(
      "texts and binaries in turn",
      join(
        ...many.map((payload, index) =>
          index % 2 ? text(payload) : binary(payload)
        ),
      ),
      { messages: many },
    ),
    entry("empty messages", join(text(""), binary(""), text("")), {
      messages: ["", "", ""],
    }),
    entry("a header cut short", text("abc").subarray(0, 5), {}),
    entry("a payload cut short", join(text("ab"), text("abc").subarray(0, 8)), {
      messages: ["ab"],
    }),
  );
  return cases;
}

function masking(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  const masks = [
    [0, 0, 0, 0],
    [255, 255, 255, 255],
    [1, 0, 0, 0],
    [0, 0, 0, 1],
    [128, 127, 64, 191],
  ];
  for (const mask of masks) {
    for (const length of [1, 5, 33]) {
      const payload = pattern(length);
      cases.push(
        entry(
          `${length} bytes, mask ${mask}`,
          frame({ opcode: 2, payload, mask }),
          {
            messages: [payload],
          },
        ),
      );
    }
    cases.push(
      entry(
        `ping, mask ${mask}`,
        frame({ opcode: 9, payload: "hello", mask }),
        { pings: ["hello"] },
      ),
    );
  }
  const payload = "hello";
  for (const opcode of [1, 2, 9, 10]) {
    cases.push(
      entry(
        `opcode ${opcode} without a mask`,
        frame({ opcode, payload, mask: null }),
        { failure: 1002 },
      ),
      entry(
        `opcode ${opcode} without a mask, empty`,
        frame({ opcode, mask: null }),
        { failure: 1002 },
      ),
    );
  }
  cases.push(
    entry(
      "close without a mask",
      frame({ opcode: 8, payload: new Uint8Array([3, 232]), mask: null }),
      {
        failure: 1002,
      },
    ),
    entry(
      "no mask after masked",
      join(text("a"), frame({ opcode: 1, payload, mask: null })),
      {
        messages: ["a"],
        failure: 1002,
      },
    ),
    entry(
      "continuation without a mask",
      join(
        frame({ opcode: 2, payload, final: false }),
        frame({ opcode: 0, payload, mask: null }),
      ),
      { failure: 1002 },
    ),
  );
  return cases;
}

function pings(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  for (
    const payload of [
      "",
      "h",
      "hello",
      pattern(124),
      pattern(125),
      new Uint8Array([0, 255, 254]),
    ]
  ) {
    const size = payload.length;
    cases.push(
      entry(`ping of ${size}`, ping(payload), { pings: [payload] }),
      entry(`pong of ${size}`, pong(payload), { ponged: true }),
      entry(
        `ping of ${size} between messages`,
        join(text("a"), ping(payload), text("b")),
        {
          messages: ["a", "b"],
          pings: [payload],
        },
      ),
    );
  }
  const ten = Array.from({ length: 10 }, (_, index) => `payload ${index}`);
  for (const opcode of [8, 9, 10]) {
    for (const payload of [pattern(126), pattern(65536)]) {
      cases.push(
        entry(
          `opcode ${opcode} with ${payload.length} bytes`,
          frame({ opcode, payload }),
          { failure: 1002 },
        ),
      );
    }
    cases.push(
      entry(
        `opcode ${opcode} with a long form of 5`,
        frame({ opcode, payload: "hello", lengthBytes: 2 }),
        {
          failure: 1002,
        },
      ),
      entry(`opcode ${opcode} fragmented`, frame({ opcode, final: false }), {
        failure: 1002,
      }),
      entry(
        `opcode ${opcode} fragmented in a message`,
        join(
          frame({ opcode: 1, payload: "a", final: false }),
          frame({ opcode, final: false }),
        ),
        { failure: 1002 },
      ),
    );
  }
  cases.push(
    entry("10 pings", join(...ten.map(ping)), { pings: ten }),
    entry(
      "10 pings and pongs",
      join(...ten.flatMap((data) => [ping(data), pong(data)])),
      {
        pings: ten,
        ponged: true,
      },
    ),
    entry(
      "ping, then a violation",
      join(ping("1"), frame({ opcode: 3 }), ping("2")),
      {
        pings: ["1"],
        failure: 1002,
      },
    ),
    entry("ping, then close", join(ping("1"), close(1000), ping("2")), {
      pings: ["1"],
      close: { code: 1000, reason: "" },
    }),
    entry(
      "ping of bytes that are no text",
      ping(new Uint8Array([0xff, 0xfe])),
      {
        pings: [new Uint8Array([0xff, 0xfe])],
      },
    ),
    entry("ping cut short", ping("hello").subarray(0, 9), {}),
    entry("ping over the limit for messages", ping("hello"), {
      pings: ["hello"],
      maxMessage: 1,
    }),
  );
  return cases;
}

function reservedBits(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  for (let reserved = 1; reserved <= 7; reserved++) {
    for (const opcode of [0, 1, 2, 8, 9, 10]) {
      for (const payload of ["", "hello"]) {
        const name =
          `bits ${reserved}, opcode ${opcode}, ${payload.length} bytes`;
        const bad = frame({ opcode, reserved, payload });
        cases.push(
          opcode === 0
            ? entry(
              name,
              join(frame({ opcode: 1, final: false, payload }), bad),
              { failure: 1002 },
            )
            : entry(name, join(text("ok"), bad, ping("late")), {
              messages: ["ok"],
              failure: 1002,
            }),
        );
      }
    }
  }
  return cases;
}

function opcodes(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    cases.push(
      entry(`${opcode}`, frame({ opcode }), { failure: 1002 }),
      entry(`${opcode} with a payload`, frame({ opcode, payload: "x" }), {
        failure: 1002,
      }),
      entry(`${opcode} not final`, frame({ opcode, final: false }), {
        failure: 1002,
      }),
      entry(
        `${opcode} after a message`,
        join(binary("ok"), frame({ opcode }), ping()),
        {
          messages: ["ok"],
          failure: 1002,
        },
      ),
      entry(
        `${opcode} inside a message`,
        join(
          frame({ opcode: 2, final: false, payload: "a" }),
          frame({ opcode }),
          frame({ opcode: 0 }),
        ),
        { failure: 1002 },
      ),
    );
  }
  return cases;
}

function fragmentation(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  const start = (opcode: number, payload: string) =>
    frame({ opcode, payload, final: false });
  const more = (payload: string) => frame({ opcode: 0, payload, final: false });
  const last = (payload: string) => frame({ opcode: 0, payload });
  for (const opcode of [1, 2]) {
    const kind = opcode === 1 ? "text" : "binary";
    const whole = frame({ opcode, payload: "whole" });
    cases.push(
      entry(`${kind} in 2`, fragments(opcode, "frag", "ment"), {
        messages: ["fragment"],
      }),
      entry(`${kind} in 3`, fragments(opcode, "f", "ragmen", "t"), {
        messages: ["fragment"],
      }),
      entry(`${kind} in single bytes`, fragments(opcode, ..."fragment"), {
        messages: ["fragment"],
      }),
      entry(`${kind} in empty ones`, fragments(opcode, "", "", ""), {
        messages: [""],
      }),
      entry(
        `${kind}, only the first with bytes`,
        fragments(opcode, "a", "", ""),
        { messages: ["a"] },
      ),
      entry(
        `${kind}, only the middle with bytes`,
        fragments(opcode, "", "a", ""),
        { messages: ["a"] },
      ),
      entry(
        `${kind}, only the last with bytes`,
        fragments(opcode, "", "", "a"),
        { messages: ["a"] },
      ),
      entry(
        `${kind}, twice`,
        join(fragments(opcode, "a", "b"), fragments(opcode, "c", "d")),
        {
          messages: ["ab", "cd"],
        },
      ),
      entry(
        `${kind} between whole ones`,
        join(whole, fragments(opcode, "a", "b"), whole),
        {
          messages: ["whole", "ab", "whole"],
        },
      ),
      entry(
        `${kind} with pings between`,
        join(start(opcode, "a"), ping("1"), more("b"), ping("2"), last("c")),
        {
          messages: ["abc"],
          pings: ["1", "2"],
        },
      ),
      entry(
        `${kind} with a pong between`,
        join(start(opcode, "a"), pong("1"), last("c")),
        {
          messages: ["ac"],
          ponged: true,
        },
      ),
      entry(
        `${kind} with a close between`,
        join(start(opcode, "a"), close(1001), last("c")),
        {
          close: { code: 1001, reason: "" },
        },
      ),
      entry(`${kind}, not ended`, join(start(opcode, "a"), more("b"), ping()), {
        pings: [""],
      }),
      entry(
        `${kind} starts in a message`,
        join(start(opcode, "a"), frame({ opcode, payload: "b" })),
        {
          failure: 1002,
        },
      ),
      entry(
        `${kind} starts in fragments in a message`,
        join(start(opcode, "a"), start(opcode, "b")),
        {
          failure: 1002,
        },
      ),
      entry(
        `the other kind starts in ${kind}`,
        join(start(opcode, "a"), frame({ opcode: 3 - opcode })),
        {
          failure: 1002,
        },
      ),
      entry(`continuation after ${kind}`, join(whole, last("b"), whole), {
        messages: ["whole"],
        failure: 1002,
      }),
      entry(
        `continuation after ${kind} in fragments`,
        join(fragments(opcode, "a", "b"), last("c")),
        {
          messages: ["ab"],
          failure: 1002,
        },
      ),
      entry(
        `${kind} in 100`,
        fragments(
          opcode,
          ...Array.from({ length: 100 }, (_, index) => letters(index)),
        ),
        {
          messages: [
            join(...Array.from({ length: 100 }, (_, index) => letters(index))),
          ],
        },
      ),
    );
    for (const size of [125, 126, 127, 65535, 65536]) {
      const half = letters(size);
      cases.push(
        entry(
          `${kind} in 2 of ${size}`,
          join(fragments(opcode, half, half), whole),
          {
            messages: [join(half, half), "whole"],
          },
        ),
      );
    }
  }
  cases.push(
    entry("continuation first", last("a"), { failure: 1002 }),
    entry("continuation first, not final", more("a"), { failure: 1002 }),
    entry("continuation first, empty", last(""), { failure: 1002 }),
    entry("continuation after a ping", join(ping("1"), last("a")), {
      pings: ["1"],
      failure: 1002,
    }),
    entry(
      "kinds in turn, in fragments",
      join(
        fragments(1, "a", "b"),
        fragments(2, "c", "d"),
        text("e"),
        fragments(2, "f", "g", "h"),
      ),
      { messages: ["ab", "cd", "e", "fgh"] },
    ),
  );
  return cases;
}

function utf8Texts(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  const tables = [[VALID_UTF8, true], [INVALID_UTF8, false]] as const;
  for (const [table, valid] of tables) {
    for (const [name, list] of Object.entries(table)) {
      const bytes = new Uint8Array(list);
      const expected: Expected = valid
        ? { messages: ["before", bytes, "after"] }
        : { messages: ["before"], failure: 1007 };
      const add = (how: string, input: Uint8Array) =>
        cases.push(
          entry(
            `${name} ${how}`,
            join(text("before"), input, text("after")),
            expected,
          ),
        );
      add("in one frame", text(bytes));
      add(
        "in single bytes",
        fragments(1, "", ...list.map((byte) => new Uint8Array([byte])), ""),
      );
      for (let cut = 1; cut < bytes.length; cut++) {
        add(
          `in two, cut at ${cut}`,
          fragments(1, bytes.subarray(0, cut), bytes.subarray(cut)),
        );
      }
      cases.push(
        entry(
          `${name} in a binary message`,
          join(binary(bytes), text("after")),
          {
            messages: [bytes, "after"],
          },
        ),
      );
      const long = join(letters(60), bytes, letters(60));
      // What lacks bytes at its end is no more valid before a letter.
      cases.push(
        entry(
          `${name} in a longer text`,
          text(long),
          valid ? { messages: [long] } : { failure: 1007 },
        ),
      );
    }
  }
  return cases;
}

function utf8Rows(): ProtocolCase[] {
  const euro = utf8("€");
  const bad = new Uint8Array([0xff]);
  const row = Array.from(
    { length: 30 },
    (_, index) => utf8("äb€".repeat(index)),
  );
  const cases = [
    entry("valid ones", join(...row.map(text)), { messages: row }),
    entry(
      "a ping before an invalid one",
      join(text("a"), ping("1"), text(bad)),
      {
        messages: ["a"],
        pings: ["1"],
        failure: 1007,
      },
    ),
    entry(
      "a ping after an invalid one",
      join(text("a"), text(bad), ping("1"), text("b")),
      {
        messages: ["a"],
        failure: 1007,
      },
    ),
    entry("a pong after an invalid one", join(text(bad), pong("1")), {
      failure: 1007,
    }),
    entry(
      "a close after an invalid one",
      join(text("a"), text(bad), close(1000)),
      {
        messages: ["a"],
        failure: 1007,
      },
    ),
    entry(
      "a violation after an invalid one",
      join(text(bad), frame({ opcode: 3 })),
      { failure: 1007 },
    ),
    entry("a binary after an invalid one", join(text(bad), binary("b")), {
      failure: 1007,
    }),
    entry(
      "a fragmented text after an invalid one",
      join(text(bad), fragments(1, "a", bad)),
      {
        failure: 1007,
      },
    ),
    entry(
      "a message too large after an invalid one",
      join(text(bad), binary("12345")),
      {
        failure: 1007,
        maxMessage: 4,
      },
    ),
    entry(
      "an invalid one after a fragmented one",
      join(fragments(1, "a", "b"), text(bad)),
      {
        messages: ["ab"],
        failure: 1007,
      },
    ),
    entry(
      "a fragmented binary between them",
      join(text("a"), fragments(2, bad, bad), text("b")),
      { messages: ["a", join(bad, bad), "b"] },
    ),
    entry(
      "two invalid ones around a valid one",
      join(text(bad), text("a"), text(bad)),
      { failure: 1007 },
    ),
    entry(
      "a character over two fragmented ones",
      join(fragments(1, "a", "\u00c3"), binary("b")),
      {
        messages: ["a\u00c3", "b"],
      },
    ),
    entry(
      "a fragment that ends the text too early",
      fragments(1, "a", euro.subarray(0, 2), "b"),
      {
        failure: 1007,
      },
    ),
    entry(
      "an invalid fragment, then a violation",
      join(
        frame({ opcode: 1, final: false, payload: bad }),
        frame({ opcode: 3 }),
      ),
      { failure: 1007 },
    ),
    entry(
      "an invalid fragment, then a ping",
      join(
        frame({ opcode: 1, final: false, payload: bad }),
        ping("1"),
      ),
      { failure: 1007 },
    ),
  ];
  for (let index = 0; index < row.length; index += 3) {
    cases.push(
      entry(
        `number ${index} is invalid`,
        join(
          ...row.map((payload, at) =>
            text(at === index ? join(payload, bad) : payload)
          ),
        ),
        { messages: row.slice(0, index), failure: 1007 },
      ),
    );
  }
  for (const chars of ["é", "€", "😀"]) {
    const bytes = utf8(chars);
    for (let cut = 1; cut < bytes.length; cut++) {
      const halves = [
        text(bytes.subarray(0, cut)),
        text(bytes.subarray(cut)),
      ] as const;
      cases.push(
        entry(
          `${chars} over two messages, cut at ${cut}`,
          join(text("a"), ...halves),
          {
            messages: ["a"],
            failure: 1007,
          },
        ),
        entry(
          `${chars} over two messages, an empty one between, cut at ${cut}`,
          join(halves[0], text(""), halves[1]),
          {
            failure: 1007,
          },
        ),
      );
    }
  }
  return cases;
}

function closes(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  for (
    const code of [
      1000,
      1001,
      1002,
      1003,
      1007,
      1008,
      1009,
      1010,
      1011,
      1012,
      1013,
      1014,
      3000,
      3999,
      4000,
      4999,
    ]
  ) {
    for (const reason of ["", "going"]) {
      cases.push(
        entry(
          `${code} "${reason}"`,
          join(text("a"), close(code, reason), text("b"), ping()),
          {
            messages: ["a"],
            close: { code, reason },
          },
        ),
      );
    }
  }
  for (
    const code of [
      0,
      1,
      255,
      500,
      999,
      1004,
      1005,
      1006,
      1015,
      1016,
      1100,
      2000,
      2999,
      5000,
      32768,
      65535,
    ]
  ) {
    for (const reason of ["", "going"]) {
      cases.push(
        entry(`${code} "${reason}"`, close(code, reason), { failure: 1002 }),
      );
    }
  }
  for (const length of [1, 121, 122, 123]) {
    const reason = "r".repeat(length);
    cases.push(
      entry(`reason of ${length}`, close(1000, reason), {
        close: { code: 1000, reason },
      }),
    );
  }
  for (const [name, list] of Object.entries(INVALID_UTF8)) {
    cases.push(
      entry(`reason with ${name}`, close(1000, new Uint8Array(list)), {
        failure: 1007,
      }),
    );
  }
  for (const [name, list] of Object.entries(VALID_UTF8)) {
    const bytes = new Uint8Array(list);
    const reason = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    cases.push(
      entry(`reason with ${name}`, close(1000, bytes), {
        close: { code: 1000, reason },
      }),
    );
  }
  cases.push(
    entry("without a code", join(close(), text("b")), {
      close: { code: 1005, reason: "" },
    }),
    entry("half a code", frame({ opcode: 8, payload: new Uint8Array([3]) }), {
      failure: 1002,
    }),
    entry("reason of 124", close(1000, "r".repeat(124)), { failure: 1002 }),
    entry("twice", join(close(1000, "one"), close(1001, "two")), {
      close: { code: 1000, reason: "one" },
    }),
    entry("then a violation", join(close(1000), frame({ opcode: 3 })), {
      close: { code: 1000, reason: "" },
    }),
    entry("a violation, then close", join(frame({ opcode: 3 }), close(1000)), {
      failure: 1002,
    }),
    entry("an invalid code and reason", close(999, new Uint8Array([0xff])), {
      failure: 1002,
    }),
    entry("cut short", close(1000, "going").subarray(0, 10), {}),
  );
  return cases;
}

function lengths(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  const forms = [[2, 0], [2, 1], [2, 124], [2, 125], [8, 0], [8, 1], [8, 125], [
    8,
    126,
  ], [8, 65535]] as const;
  for (const [lengthBytes, length] of forms) {
    for (const opcode of [1, 2]) {
      const payload = letters(length);
      cases.push(
        entry(
          `opcode ${opcode}, ${length} in ${lengthBytes} bytes`,
          frame({ opcode, payload, lengthBytes }),
          {
            failure: 1002,
          },
        ),
      );
    }
  }
  for (const length of [2n ** 63n, 2n ** 63n + 5n, 2n ** 64n - 1n]) {
    cases.push(
      entry(`${length}`, frame({ opcode: 2, length }), { failure: 1002 }),
    );
  }
  for (
    const length of [
      2n ** 31n,
      2n ** 32n,
      2n ** 32n + 1n,
      2n ** 53n,
      2n ** 63n - 1n,
    ]
  ) {
    cases.push(
      entry(`${length}`, join(binary("a"), frame({ opcode: 2, length })), {
        messages: ["a"],
        failure: 1009,
      }),
    );
  }
  cases.push(
    entry(
      "4 GiB, all taken",
      join(frame({ opcode: 2, length: 2n ** 32n, payload: "a" })),
      {
        maxMessage: Number.MAX_SAFE_INTEGER,
      },
    ),
  );
  return cases;
}

function limits(): ProtocolCase[] {
  const cases: ProtocolCase[] = [];
  for (const maxMessage of [0, 1, 125, 126, 300, 65536]) {
    const most = letters(maxMessage);
    const over = letters(maxMessage + 1);
    const header = frame({ opcode: 1, payload: over }).subarray(
      0,
      -over.length,
    );
    const half = maxMessage >> 1;
    cases.push(
      entry(`${maxMessage}, at it`, join(text(most), binary(most)), {
        maxMessage,
        messages: [most, most],
      }),
      entry(`${maxMessage}, over it`, join(text(most), text(over)), {
        maxMessage,
        messages: [most],
        failure: 1009,
      }),
      entry(`${maxMessage}, over it by its header`, header, {
        maxMessage,
        failure: 1009,
      }),
      entry(
        `${maxMessage}, fragments at it`,
        fragments(2, most.subarray(0, half), most.subarray(half)),
        {
          maxMessage,
          messages: [most],
        },
      ),
      entry(
        `${maxMessage}, fragments over it`,
        fragments(2, over.subarray(0, half), over.subarray(half)),
        {
          maxMessage,
          failure: 1009,
        },
      ),
      entry(
        `${maxMessage}, fragments over it by a header`,
        join(
          frame({ opcode: 2, final: false, payload: most }),
          frame({ opcode: 0, length: 1n }),
        ),
        { maxMessage, failure: 1009 },
      ),
      entry(
        `${maxMessage}, empty fragments after it`,
        join(fragments(2, most, "", ""), ping("12345")),
        { maxMessage, messages: [most], pings: ["12345"] },
      ),
    );
  }
  return cases;
}
