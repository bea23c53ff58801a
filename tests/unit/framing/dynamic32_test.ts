import { assert, assertEquals, assertThrows } from "@std/assert";
import { createDynamic32, parseDynamic32 } from "../../../framing/dynamic32.ts";
import {
  cutEvery,
  cutEverywhere,
  runFramer,
} from "../../support/framing_driver.ts";

const permissions = "none";

const defaults = { offset: 0, static: 0, endian: "little" } as const;

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
    ["offset", '"offset" is not of the form KEY=VALUE'],
    ["offset=", '"offset=" is not of the form KEY=VALUE'],
    ["offset=1,", '"" is not of the form KEY=VALUE'],
    [",", '"" is not of the form KEY=VALUE'],
    ["=1", '"=1" is not of the form KEY=VALUE'],
    ["offset=1 2", '"offset=1 2" is not of the form KEY=VALUE'],
    ["length=1", '"length" is not one of offset, static, endian'],
    ["Offset=1", '"Offset" is not one of offset, static, endian'],
    ["toString=1", '"toString" is not one of offset, static, endian'],
    ["offset=1,offset=1", '"offset" is repeated'],
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
  "createDynamic32() takes 0, 1, 65,535 and 10,000,000 bytes in chunks of 1 to 7",
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

    const large = makeMessage(10_000_000);
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
