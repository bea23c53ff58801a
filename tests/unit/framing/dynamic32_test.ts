import { assert, assertEquals, assertThrows } from "@std/assert";
import { createDynamic32, parseDynamic32 } from "../../../framing/dynamic32.ts";
import {
  cutEvery,
  cutEverywhere,
  runFramer,
} from "../../support/framing_driver.ts";
import { isLong } from "../../support/long.ts";

const permissions = "none";

const defaults = {
  offset: 0,
  static: 0,
  endian: "little",
  wrap: false,
} as const;

/** Options for {@linkcode makeMessage}. */
interface MessageOptions {
  readonly offset?: number;
  readonly static?: number;
  readonly endian?: "little" | "big";
}

/** A message whose length field is `value`, filled with bytes that differ. */
function makeMessage(value: number, options: MessageOptions = {}): Uint8Array {
  const { offset = 0, static: extra = 0, endian = "little" } = options;
  const bytes = new Uint8Array(offset + 4 + extra + value);
  for (let index = 0; index < bytes.length; index++) bytes[index] = index * 7;
  new DataView(bytes.buffer).setUint32(offset, value, endian === "little");
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let start = 0;
  for (const part of parts) {
    bytes.set(part, start);
    start += part.length;
  }
  return bytes;
}

Deno.test("parseDynamic32() fills in defaults and takes any order", {
  permissions,
}, () => {
  const cases: [
    config: string,
    expected: Partial<ReturnType<typeof parseDynamic32>>,
  ][] = [
    ["", {}],
    ["  ", {}],
    ["offset=0,static=0,endian=little", {}],
    ["offset=2", { offset: 2 }],
    ["static=-4", { static: -4 }],
    ["static=+4", { static: 4 }],
    ["endian=big", { endian: "big" }],
    ["wrap", { wrap: true }],
    [" wrap , static=2", { wrap: true, static: 2 }],
    ["endian=big,static=1,offset=3", { offset: 3, static: 1, endian: "big" }],
    [" offset = 2 ,\tstatic= -1 , endian =big ", {
      offset: 2,
      static: -1,
      endian: "big",
    }],
    ["offset=2147483648,static=-2147483648", {
      offset: 2 ** 31,
      static: -(2 ** 31),
    }],
  ];
  for (const [config, expected] of cases) {
    assertEquals(parseDynamic32(config), { ...defaults, ...expected }, config);
  }
});

Deno.test("parseDynamic32() throws for a malformed configuration", {
  permissions,
}, () => {
  const cases: [config: string, why: string][] = [
    ["offset", '"offset" is not of the form KEY=VALUE, nor wrap'],
    ["offset=", '"offset=" is not of the form KEY=VALUE, nor wrap'],
    ["offset=1,", '"" is not of the form KEY=VALUE, nor wrap'],
    [",", '"" is not of the form KEY=VALUE, nor wrap'],
    ["=1", '"=1" is not of the form KEY=VALUE, nor wrap'],
    ["offset=1 2", '"offset=1 2" is not of the form KEY=VALUE, nor wrap'],
    ["length=1", '"length" is not one of offset, static, endian'],
    ["Offset=1", '"Offset" is not one of offset, static, endian'],
    ["toString=1", '"toString" is not one of offset, static, endian'],
    ["offset=1,offset=1", '"offset" is repeated'],
    ["wrap,offset=1,wrap", '"wrap" is repeated'],
    ["wrapped", '"wrapped" is not of the form KEY=VALUE, nor wrap'],
    ["offset=0x10", 'offset "0x10" is not a decimal number'],
    ["offset=1.5", 'offset "1.5" is not a decimal number'],
    ["static=one", 'static "one" is not a decimal number'],
    ["static=--1", 'static "--1" is not a decimal number'],
    ["endian=middle", 'endian "middle" is not one of little, big'],
    ["endian=BIG", 'endian "BIG" is not one of little, big'],
    ["offset=1=2", 'offset "1=2" is not a decimal number'],
  ];
  for (const [config, why] of cases) {
    const error = assertThrows(() => createDynamic32(config), SyntaxError);
    assertEquals(error.message, `Cannot use dynamic32 "${config}": ${why}`);
  }
  const outOfRange: [config: string, why: string][] = [
    ["offset=-1", 'offset "-1" is not from 0 to 2147483648'],
    ["offset=2147483649", 'offset "2147483649" is not from 0 to 2147483648'],
    [
      "static=-2147483649",
      'static "-2147483649" is not from -2147483648 to 2147483648',
    ],
  ];
  for (const [config, why] of outOfRange) {
    const error = assertThrows(() => createDynamic32(config), RangeError);
    assertEquals(error.message, `Cannot use dynamic32 "${config}": ${why}`);
  }
});

Deno.test(
  "createDynamic32() finds messages with every option, cut everywhere",
  { permissions },
  () => {
    const cases: MessageOptions[] = [
      {},
      { offset: 3 },
      { static: 2 },
      { static: -4 },
      { endian: "big" },
      { offset: 2, static: -3, endian: "big" },
      { offset: 5, static: 1, endian: "little" },
    ];
    for (const options of cases) {
      const config = Object.entries(options).map((pair) => pair.join("="))
        .join();
      const parts = [4, 5, 300, 4].map((value) => makeMessage(value, options));
      const rest = makeMessage(9, options).subarray(0, -1);
      for (const chunks of cutEverywhere(concat([...parts, rest]))) {
        const run = runFramer(createDynamic32(config), chunks);
        assertEquals(run.messages.map(({ bytes }) => bytes), parts, config);
        assertEquals(
          new Set(run.messages.map(({ type }) => type)),
          new Set(["binary"]),
        );
        assertEquals(run.rest, rest);
      }
    }
  },
);

Deno.test(
  "createDynamic32() takes 0, 1, 65,535 and a million bytes in chunks of 1 to 7",
  { permissions },
  () => {
    const parts = [0, 1, 65_535, 0].map((value) => makeMessage(value));
    const bytes = concat(parts);
    for (let size = 1; size <= 7; size++) {
      const { messages, rest } = runFramer(
        createDynamic32(""),
        cutEvery(bytes, size),
      );
      assertEquals(messages.length, parts.length);
      for (const [index, part] of parts.entries()) {
        assert(
          equal(messages[index]!.bytes, part),
          `message ${index} by ${size}`,
        );
      }
      assertEquals(rest.length, 0);
    }

    const large = makeMessage(isLong ? 10_000_000 : 1_000_000);
    for (let size = 1; size <= 7; size++) {
      const framer = createDynamic32("");
      // One growing view over the same bytes: what a driver would copy is not the point here.
      let calls = 0;
      let end = 0;
      while (end < large.length) {
        const fresh = Math.min(size, large.length - end);
        end += fresh;
        const frame = framer.frame(large.subarray(0, end), fresh);
        calls++;
        if (end < large.length) {
          if (frame !== null) throw new Error(`Framed at ${end} bytes`);
        } else assertEquals(frame, { length: large.length, type: "binary" });
      }
      assertEquals(calls, Math.ceil(large.length / size));
    }
  },
);

/** Compares bytes; `assertEquals` is slow for many. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

Deno.test(
  "createDynamic32() reads the length as unsigned",
  { permissions },
  () => {
    for (const endian of ["little", "big"]) {
      const framer = createDynamic32(`endian=${endian},static=-2147483648`);
      const bytes = new Uint8Array([0xff, 0xff, 0xff, 0xff]);
      // 4 - 2^31 + 2^32 - 1 bytes: far from there, and no error.
      assertEquals(framer.frame(bytes, 4), null);
    }
    assertEquals(
      createDynamic32("endian=big").frame(new Uint8Array([0x80, 0, 0, 0]), 4),
      null,
    );
    const head = new Uint8Array(8);
    head[3] = 0x80;
    assertEquals(createDynamic32("static=-2147483648").frame(head, 8), {
      length: 4,
      type: "binary",
    });
  },
);

Deno.test("createDynamic32() throws for a message of less than one byte", {
  permissions,
}, () => {
  const framer = createDynamic32("static=-6");
  assertEquals(framer.frame(new Uint8Array([3, 0, 0, 0]), 4), {
    length: 1,
    type: "binary",
  });
  for (const value of [0, 1, 2]) {
    assertThrows(
      () => framer.frame(new Uint8Array([value, 0, 0, 0]), 4),
      RangeError,
      `Cannot frame message: its length ${value} makes it ${
        value - 2
      } bytes long`,
    );
  }
});

Deno.test("createDynamic32() waits for the length before it judges it", {
  permissions,
}, () => {
  const framer = createDynamic32("offset=4,static=-8");
  assertEquals(framer.frame(new Uint8Array(7), 7), null);
  assertThrows(() => framer.frame(new Uint8Array(8), 1), RangeError);
});

Deno.test("createDynamic32() takes the length out, and puts it in", {
  permissions,
}, () => {
  const cases: [config: string, bytes: number[], message: number[]][] = [
    ["wrap", [2, 0, 0, 0, 7, 8], [7, 8]],
    ["wrap", [0, 0, 0, 0], []],
    ["wrap,endian=big", [0, 0, 0, 2, 7, 8], [7, 8]],
    // The length counts itself.
    ["wrap,endian=big,static=-4", [0, 0, 0, 6, 7, 8], [7, 8]],
    // As PostgreSQL has it: a type before it.
    ["offset=1,static=-4,endian=big,wrap", [0x51, 0, 0, 0, 6, 7, 8], [
      0x51,
      7,
      8,
    ]],
    ["offset=1,static=-4,endian=big,wrap", [0x48, 0, 0, 0, 4], [0x48]],
    // A checksum that is not counted.
    ["offset=2,static=2,wrap", [1, 2, 1, 0, 0, 0, 7, 8, 9], [1, 2, 7, 8, 9]],
  ];
  for (const [config, bytes, message] of cases) {
    const whole = new Uint8Array(bytes);
    const { encode } = createDynamic32(config);
    assertEquals(
      encode!(new Uint8Array(message), "binary"),
      whole,
      config,
    );
    const stream = concat([whole, whole]);
    for (const chunks of cutEverywhere(stream)) {
      const { messages, rest } = runFramer(createDynamic32(config), chunks);
      assertEquals(
        messages.map(({ bytes }) => [...bytes]),
        [message, message],
        config,
      );
      assertEquals(rest.length, 0);
    }
  }
  assertEquals(createDynamic32("").encode, undefined);
});

Deno.test(
  "createDynamic32() refuses what has no length to take out or put in",
  {
    permissions,
  },
  () => {
    const short = createDynamic32("offset=2,static=-6,wrap");
    assertThrows(
      () => short.frame(new Uint8Array([1, 2, 5, 0, 0, 0, 7]), 7),
      RangeError,
      "Cannot frame message: its length 5 makes it 5 bytes long",
    );
    const cases: [config: string, length: number, value: number][] = [
      ["offset=2,wrap", 1, -1],
      ["static=2,wrap", 1, -1],
      ["offset=1,static=2,wrap", 2, -1],
      ["offset=4,static=-4,wrap", 3, 3],
    ];
    for (const [config, length, value] of cases) {
      assertThrows(
        () => createDynamic32(config).encode!(new Uint8Array(length), "binary"),
        RangeError,
        `Cannot encode message: with ${length} bytes its length would be ${value}`,
      );
    }
  },
);
