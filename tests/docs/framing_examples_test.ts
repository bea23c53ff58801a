/** Framing plugins of `examples/plugins/` that speak in both directions. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { apiVersion } from "../../core/api.ts";
import * as mysql from "../../examples/plugins/mysql_framing.ts";
import * as serial from "../../examples/plugins/serial_framing.ts";
import * as telnet from "../../examples/plugins/telnet_framing.ts";
import {
  cutEvery,
  cutEverywhere,
  decode,
  encode,
  runFramer,
  runFramerAsText,
} from "../support/framing_driver.ts";
import { join } from "../support/websocket_client_frames.ts";

const permissions = "none";

Deno.test("framing examples are plugins, and take no configuration", {
  permissions,
}, () => {
  for (const plugin of [mysql, serial, telnet]) {
    assertEquals(plugin.apiVersion, apiVersion);
    for (const [name, create] of Object.entries(plugin.framings)) {
      create(" ").close?.();
      assertThrows(
        () => create("x"),
        TypeError,
        `Cannot use ${name} "x": it takes nothing`,
      );
    }
  }
});

Deno.test("slip encodes as RFC 1055 says", { permissions }, () => {
  const { encode, frame } = serial.createSlip("");
  assertEquals(
    encode!(Uint8Array.of(1, 0xc0, 2, 0xdb, 3), "binary"),
    Uint8Array.of(0xc0, 1, 0xdb, 0xdc, 2, 0xdb, 0xdd, 3, 0xc0),
  );
  const { message } = frame(Uint8Array.of(0xdb, 7, 0xdb, 0xc0), 4)!;
  assertEquals(message, Uint8Array.of(7, 0xdb));
});

Deno.test("cobs encodes as its authors do", { permissions }, () => {
  const run = (first: number, last: number): number[] =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const cases: [message: number[], packet: number[]][] = [
    [[0], [1, 1, 0]],
    [[0, 0], [1, 1, 1, 0]],
    [[0x11, 0x22, 0, 0x33], [3, 0x11, 0x22, 2, 0x33, 0]],
    [[0x11, 0, 0, 0], [2, 0x11, 1, 1, 1, 0]],
    [run(1, 254), [255, ...run(1, 254), 0]],
    [[0, ...run(1, 254)], [1, 255, ...run(1, 254), 0]],
    [run(1, 255), [255, ...run(1, 254), 2, 255, 0]],
    [[...run(2, 255), 0], [255, ...run(2, 255), 1, 1, 0]],
  ];
  const { encode, frame } = serial.createCobs("");
  for (const [message, packet] of cases) {
    assertEquals([...encode!(Uint8Array.from(message), "binary")], packet);
    const frameOfIt = frame(Uint8Array.from(packet), packet.length)!;
    assertEquals([...frameOfIt.message!], message);
  }
  // What cannot be decoded is the rest of a packet.
  assertEquals(frame(Uint8Array.of(9, 1, 0), 3), {
    length: 3,
    type: "discard",
  });
});

Deno.test("slip and cobs are their own inverse", { permissions }, () => {
  const byte = fc.oneof(
    fc.constantFrom(0, 1, 0xc0, 0xdb, 0xdc, 0xdd, 0xfe, 0xff),
    fc.nat(255),
  );
  const message = fc.oneof(
    fc.array(byte, { minLength: 1, maxLength: 20 }),
    fc.array(byte, { minLength: 250, maxLength: 520 }),
  );
  const size = fc.integer({ min: 1, max: 300 });
  for (const create of Object.values(serial.framings)) {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }),
        size,
        (messages, size) => {
          const { encode } = create("");
          const stream = join(
            ...messages.map((message) =>
              encode!(Uint8Array.from(message), "binary")
            ),
          );
          const run = runFramer(create(""), cutEvery(stream, size));
          assertEquals(run.messages.map(({ bytes }) => [...bytes]), messages);
          assertEquals(run.rest.length, 0);
        },
      ),
      { numRuns: 200 },
    );
  }
});

Deno.test("telnet sends text without commands, however it is cut", {
  permissions,
}, () => {
  // DO TTYPE, WILL ECHO, a subnegotiation with a doubled IAC, NOP, then text.
  const stream = Uint8Array.from([
    ...[255, 253, 24, 255, 251, 1],
    ...[255, 250, 24, 1, 255, 255, 240, 255, 240],
    ...encode("login: "),
    ...[255, 241],
    ...encode("ada\r\n"),
    ...[255, 255],
    ...encode("end"),
  ]);
  for (const chunks of cutEverywhere(stream)) {
    const framer = telnet.createTelnet("");
    const { messages, rest } = runFramer(framer, chunks);
    const bytes = join(...messages.map(({ bytes }) => bytes));
    assertEquals(
      bytes,
      join(encode("login: ada\r\n"), Uint8Array.of(255), encode("end")),
    );
    assert(
      messages.every(({ type, bytes }) =>
        type === (bytes[0] === 255 ? "binary" : "text")
      ),
    );
    assertEquals(rest.length, 0);
    // The answers: WONT TTYPE, DO ECHO.
    assertEquals(
      [...framer.encode!(encode("x"), "text")],
      [255, 252, 24, 255, 253, 1, 120],
    );
    assertEquals([...framer.encode!(encode("y"), "text")], [121]);
  }
});

Deno.test(
  "telnet answers what is new, and not for good",
  { permissions },
  () => {
    const cases: [said: number[], answered: number[]][] = [
      [[251, 3], [253, 3]],
      [[251, 3], []],
      [[252, 3], [254, 3]],
      [[252, 3], []],
      [[254, 1], []],
      [[251, 31], [254, 31]],
      [[253, 31], [252, 31]],
    ];
    const framer = telnet.createTelnet("");
    for (const [said, answered] of cases) {
      framer.frame(Uint8Array.from([255, ...said]), 3);
      const answer = framer.encode!(new Uint8Array(0), "text");
      assertEquals(
        [...answer],
        answered.length === 0 ? [] : [255, ...answered],
        `${said}`,
      );
    }
    for (let count = 0; count < 10_000; count++) {
      framer.frame(Uint8Array.of(255, 253, 31), 3);
    }
    assert(framer.encode!(new Uint8Array(0), "text").length < 2000);
  },
);

Deno.test("telnet escapes what the client sends", { permissions }, () => {
  const { encode: escape } = telnet.createTelnet("");
  assertEquals(
    [...escape!(Uint8Array.of(65, 255, 13, 66, 13, 10, 13), "binary")],
    [65, 255, 255, 13, 0, 66, 13, 10, 13, 0],
  );
  assertEquals(decode(escape!(encode("Grüße\r\n"), "text")), "Grüße\r\n");
});

Deno.test("mysql sends each packet, however it is cut", { permissions }, () => {
  const packets = [
    "\x05\0\0\x01hello",
    "\0\0\0\x02",
    "\x01\x01\0\x03" + "x".repeat(257),
  ];
  for (const chunks of cutEverywhere(encode(packets.join("")))) {
    const { messages, types, rest } = runFramerAsText(
      mysql.createMysql(""),
      chunks,
    );
    assertEquals(messages, packets);
    assertEquals(new Set(types), new Set(["binary"]));
    assertEquals(rest, "");
  }
});
