/** The bridge from outside: order, ends, close codes, limits, isolation. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  opcodes,
  openResettable,
  RawClient,
  type ServerFrame,
} from "../support/client.ts";
import { Command, Service, testEngines } from "../support/command.ts";
import { isConnectionLost } from "../support/lost.ts";
import {
  echo,
  freePort,
  listenDatagram,
  readAll,
  ResettingPeer,
  TestPeer,
  writeAll,
} from "../support/peer.ts";
import { SharedCommand } from "../support/shared_command.ts";
import {
  binary,
  type ClientFrame,
  close,
  fragments,
  frame,
  join,
  ping,
  text,
} from "../support/websocket_client_frames.ts";

const lines = ["-c", "framing=newline", "-c", "framing-config=lf"];
const count = Deno.env.get("WEBSOCKSY_LONG") === "1" ? 100_000 : 30_000;

/** The message of a number: a line of text, or one that is not UTF-8. */
function numbered(index: number): Uint8Array<ArrayBuffer> {
  const line = utf8.encode(`${index} ${"\u20ac".repeat(index % 7)}x\n`);
  if (index % 3 === 0) line[line.length - 2] = 0xff;
  return line;
}

testEngines(
  "bridge keeps the order of mixed messages",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: lines,
    });
    using client = await RawClient.open(command.port);
    async function sendAll(): Promise<void> {
      const size = 1000;
      for (let first = 0; first < count; first += size) {
        const frames: Uint8Array[] = [];
        for (let index = first; index < first + size; index++) {
          const line = numbered(index);
          frames.push(index % 3 === 0 ? binary(line) : text(line));
          if (index % 10 === 0) frames.push(binary(""), text(""));
        }
        await client.sendBytes(join(...frames));
      }
    }
    const sending = sendAll();
    for (let index = 0; index < count; index++) {
      const received = await client.readFrame();
      const line = numbered(index);
      const opcode = index % 3 === 0 ? opcodes.binary : opcodes.text;
      // A comparison of bytes for each would take most of the test's time.
      if (
        received?.opcode !== opcode ||
        received.payload.length !== line.length ||
        received.payload.some((byte, at) => byte !== line[at])
      ) {
        assertEquals(
          received,
          { opcode, final: true, payload: line },
          `${index}`,
        );
      }
    }
    await sending;
    await client.sendClose(1000);
    await client.readClose();
    const closed = await command.event("close");
    assertEquals(closed["to-peer-messages"], count * 1.2);
    assertEquals(closed["to-client-messages"], count);
  },
);

const departures: Readonly<Record<string, Uint8Array>> = {
  "with a close frame": close(1000),
  "without a close frame": new Uint8Array(),
};
for (const [name, farewell] of Object.entries(departures)) {
  testEngines(
    `bridge delivers all messages of a client that leaves at once ${name}`,
    async (_, engine) => {
      const received: Uint8Array[] = [];
      await using peer = TestPeer.tcp((connection) =>
        readAll(connection, (data) => void received.push(data.slice()))
      );
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
      });
      const messages = Array.from(
        { length: count },
        (_, index) => numbered(index),
      );
      const sent = join(...messages);
      {
        using client = await RawClient.open(command.port);
        await client.sendBytes(join(...messages.map(binary), farewell));
        await client.closeWrite();
        await client.readToClose();
      }
      const closed = await command.event("close");
      assertEquals(closed["to-peer-messages"], count);
      assertEquals(closed["to-peer-bytes"], sent.length);
      assertEquals(closed.by, "client");
      assert(equalBytes(join(...received), sent), "the peer got other bytes");
    },
  );
}

testEngines(
  "bridge sends an unterminated last line before it closes with 1000",
  async (t, engine) => {
    const cases: readonly (readonly [string, string[], readonly string[]])[] = [
      ["one\ntwo", lines, ["one\n", "two"]],
      ["one\r\ntwo\r", ["-c", "framing=newline"], ["one\r\n", "two\r"]],
      ["", lines, []],
      ["one\n", lines, ["one\n"]],
    ];
    for (const [sent, args, received] of cases) {
      await t.step(JSON.stringify(sent), async () => {
        await using peer = TestPeer.tcp((connection) =>
          writeAll(connection, sent)
        );
        await using command = await SharedCommand.start({
          engine,
          host: peer.host,
          args,
        });
        using client = await RawClient.open(command.port);
        for (const message of received) {
          assertEquals(await client.read(), message);
        }
        assertEquals(await client.readClose(), { code: 1000, reason: "" });
        await client.sendClose(1000);
        await client.readEnd();
        const { code, by, error } = await command.event("close");
        assertEquals({ code, by, error }, {
          code: 1000,
          by: "server",
          error: undefined,
        });
      });
    }
  },
);

testEngines(
  "bridge sends text as text and the rest as binary",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    using client = await RawClient.open(command.port);
    const connection = await peer.next();
    const messages: readonly (string | Uint8Array<ArrayBuffer>)[] = [
      "plain",
      "\ufeffwith a byte order mark \u{1f600}\0",
      Uint8Array.of(0xc0, 0x80),
      Uint8Array.of(0xed, 0xa0, 0x80),
      Uint8Array.of(0xe2, 0x82),
      "x".repeat(200),
    ];
    for (const message of messages) {
      await writeAll(connection, message);
      assertEquals(await client.read(), message);
    }
  },
);

testEngines(
  "bridge echoes the client's close code and reason",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const cases: readonly (readonly [number, string])[] = [
      [3001, "bye"],
      [1000, ""],
      [1001, "\u{1f44b}".repeat(30)],
      [4999, ""],
    ];
    for (const [code, reason] of cases) {
      await t.step(`${code} ${reason}`, async () => {
        using client = await RawClient.open(command.port);
        await client.sendClose(code, reason);
        // The RFC asks for the code only, section 5.5.1.
        assertEquals((await client.readClose()).code, code);
        await client.readEnd();
        const closed = await command.event("close");
        assertEquals([closed.code, closed.reason ?? "", closed.by], [
          code,
          reason,
          "client",
        ]);
      });
    }
    await t.step("none", async () => {
      using client = await RawClient.open(command.port);
      await client.sendClose();
      assert([1000, 1005].includes((await client.readClose()).code));
      await client.readEnd();
      assertEquals((await command.event("close")).code, 1005);
    });
  },
);

testEngines(
  "bridge echoes close code and reason to a browser's WebSocket",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const socket = new WebSocket(`ws://127.0.0.1:${command.port}/`);
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const { promise, resolve } = Promise.withResolvers<CloseEvent>();
    socket.addEventListener("close", resolve);
    socket.close(3001, "bye");
    const { code, reason, wasClean } = await promise;
    assertEquals([code, reason, wasClean], [3001, "bye", true]);
  },
);

testEngines(
  "bridge closes with 1009 on a message over max-message",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--max-message", "1000"],
    });
    using bystander = await RawClient.open(command.port);
    const good: Readonly<Record<string, Uint8Array>> = {
      binary: binary(new Uint8Array(1000).fill(120)),
      text: text("\u20ac".repeat(333)),
      fragments: fragments(1, "x".repeat(500), "y".repeat(500)),
    };
    for (const [name, message] of Object.entries(good)) {
      await t.step(`${name} of 1000 bytes passes`, async () => {
        using client = await RawClient.open(command.port);
        await client.sendBytes(message);
        let received = 0;
        while (received < 999) received += (await readBytes(client)).length;
      });
    }
    const large: Readonly<Record<string, Uint8Array>> = {
      binary: binary(new Uint8Array(1001)),
      text: text("\u20ac".repeat(334)),
      fragments: fragments(1, "x".repeat(500), "y".repeat(501)),
      "64 KiB": binary(new Uint8Array(65_536)),
    };
    for (const [name, message] of Object.entries(large)) {
      await t.step(`${name} over 1000 bytes: 1009`, async () => {
        using client = await RawClient.open(command.port);
        await client.sendBytes(message);
        const { code, reason } = await client.readClose();
        assertEquals(code, 1009);
        assertMatch(reason, /1000/);
        await client.sendClose(1009);
        await client.readEnd();
        await command.event(
          "close",
          ({ code, by }) => code === 1009 && by === "server",
        );
      });
    }
    await bystander.send("still here");
    assertEquals(await bystander.read(), "still here");
  },
);

testEngines(
  "bridge closes with 1009 when a framing function holds back too much",
  async (_, engine) => {
    await using peer = TestPeer.tcp(async (connection) => {
      await writeAll(connection, `short\n${"x".repeat(2000)}`);
      await readAll(connection, () => {});
    });
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: [...lines, "--max-message", "1000"],
    });
    using client = await RawClient.open(command.port);
    assertEquals(await client.read(), "short\n");
    assertEquals((await client.readClose()).code, 1009);
  },
);

testEngines(
  "bridge closes with 1011 when a framing function fails",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["-c", "framing=dynamic32", "-c", "framing-config=static=-8"],
    });
    using bystander = await RawClient.open(command.port);
    const other = await peer.next();
    using client = await RawClient.open(command.port);
    const connection = await peer.next();
    // A message of 4 - 8 + 5 = 1 byte, then one of less than one.
    await writeAll(connection, Uint8Array.of(5, 0, 0, 0));
    assertEquals(await client.read(), Uint8Array.of(5));
    await writeAll(connection, Uint8Array.of(0, 0, 0, 0, 0, 0, 0));
    const { code, reason } = await client.readClose();
    assertEquals(code, 1011);
    assertMatch(reason, /framing/);
    await client.sendClose(1011);
    const closed = await command.event("close");
    assertEquals([closed.code, closed.level], [1011, "warn"]);
    assert(closed.error !== undefined);
    await writeAll(other, Uint8Array.of(5, 0, 0, 0));
    assertEquals(await bystander.read(), Uint8Array.of(5));
  },
);

testEngines(
  "bridge closes with 1011 when the peer's connection is reset",
  async (_, engine) => {
    await using peer = await ResettingPeer.start();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const [first, second] = [peer.next(), peer.next()];
    using client = await RawClient.open(command.port);
    const socket = await first;
    using bystander = await RawClient.open(command.port);
    socket.write("before");
    assertEquals(await client.read(), "before");
    socket.resetAndDestroy();
    const { code, reason } = await client.readClose();
    assertEquals(code, 1011);
    assertMatch(reason, /peer/);
    assertEquals(/\d/.test(reason), false, "an address in the reason");
    await client.sendClose(1011);
    await client.readEnd();
    const closed = await command.event("close");
    assertEquals([closed.code, closed.by], [1011, "server"]);
    assertMatch(String(closed.error), /reset/i);
    (await second).write("other");
    assertEquals(await bystander.read(), "other");
  },
);

testEngines("bridge ends with a peer that is killed", async (_, engine) => {
  const port = freePort();
  await using service = await Service.start([
    "socat",
    ...["-d", "-d", `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr`, "PIPE"],
  ], /listening on/);
  await using command = await SharedCommand.start({
    engine,
    host: `tcp://127.0.0.1:${port}`,
  });
  using client = await RawClient.open(command.port);
  await client.send("alive");
  assertEquals(await client.read(), "alive");
  service.kill("SIGKILL");
  // The system ends its connections as if it had closed them.
  assertEquals((await client.readClose()).code, 1000);
  await client.sendClose(1000);
  await command.event("close");
}, { needs: ["socat"] });

testEngines(
  "bridge ends the peer's connection when the client's is reset",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const socket = await openResettable(command.port);
    const connection = await peer.next();
    const destroyed = new Promise((resolve) => socket.once("close", resolve));
    socket.resetAndDestroy();
    assertEquals(await connection.read(new Uint8Array(1)), null);
    connection.close();
    await destroyed;
    const { code, by } = await command.event("close");
    assertEquals({ code, by }, { code: 1006, by: "client" });
  },
);

testEngines(
  "bridge makes one datagram of a fragmented message",
  async (_, engine) => {
    using service = listenDatagram({ hostname: "127.0.0.1" });
    const { port } = service.addr as Deno.NetAddr;
    await using command = await SharedCommand.start({
      engine,
      host: `udp://127.0.0.1:${port}`,
    });
    using client = await RawClient.open(command.port);
    await client.sendBytes(join(
      frame({ opcode: 1, final: false, payload: "fra" }),
      ping("between"),
      frame({ opcode: 0, final: false, payload: "" }),
      frame({ opcode: 0, payload: "gments" }),
    ));
    const [datagram] = await service.receive();
    assertEquals(new TextDecoder().decode(datagram), "fragments");
    const pong = await client.readFrame();
    assertEquals(pong?.opcode, opcodes.pong);
    assertEquals(pong?.payload, utf8.encode("between"));
  },
);

/** Sends until the server has closed, or everything is sent. */
async function flood(client: RawClient, total: number): Promise<void> {
  const message = binary(new Uint8Array(65_536));
  try {
    for (let sent = 0; sent < total; sent += 65_536) {
      await client.sendBytes(message);
    }
  } catch (error) {
    // The server has hung up on us.
    if (!isConnectionLost(error)) throw error;
  }
}

const flooded = 32 * 1024 * 1024;

testEngines(
  "bridge closes with 1013 when more than max-buffer waits for a peer",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["--max-buffer", "1048576"],
    });
    using bystander = await RawClient.open(command.port);
    const other = await peer.next();
    using client = await RawClient.open(command.port);
    await peer.next();
    const before = command.residentMemory();
    const flooding = flood(client, 8 * flooded);
    const end = await client.readToClose();
    // What is on its way may reset the connection before the frame is read.
    if (end !== null) {
      assertEquals(end.code, 1013);
      assertMatch(end.reason, /1048576/);
    }
    await flooding;
    const closed = await command.event("close");
    assertEquals([closed.code, closed.by], [1013, "server"]);
    assertEquals(closed.reason, "more than 1048576 bytes wait for the peer");
    const grown = command.residentMemory() - before;
    assert(grown < 3 * flooded, `${grown} bytes more are resident`);
    await writeAll(other, "unharmed");
    assertEquals(await bystander.read(), "unharmed");
    await bystander.send("unharmed");
    assertEquals(await other.read(new Uint8Array(100)), 8);
  },
  { only: ["native"] },
);

testEngines(
  "bridge slows a client down that is faster than its peer",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--max-buffer", "1048576"],
    });
    using client = await RawClient.open(command.port);
    const connection = await peer.next();
    const flooding = flood(client, flooded);
    // Other connections go on while this one stands still.
    using bystander = await RawClient.open(command.port);
    const other = await peer.next();
    await bystander.send("meanwhile");
    assertEquals(await other.read(new Uint8Array(100)), 9);
    let received = 0;
    const reading = readAll(
      connection,
      (data) => void (received += data.length),
    );
    await flooding;
    await client.sendClose(1000);
    assertEquals((await client.readClose()).code, 1000);
    await reading;
    assertEquals(received, flooded);
  },
  { only: ["stream"] },
);

/** Bytes that break the protocol, and the close code of engine `stream`. */
type Violation = readonly [name: string, bytes: Uint8Array, code: number];

function violation(
  name: string,
  init: ClientFrame,
  code = 1002,
): Violation {
  return [name, frame(init), code];
}

const violations: readonly Violation[] = [
  violation("reserved bit 1", { opcode: 1, reserved: 4, payload: "x" }),
  violation("reserved bit 2", { opcode: 2, reserved: 2, payload: "x" }),
  violation("reserved bit 3", { opcode: 1, reserved: 1 }),
  violation("reserved opcode 3", { opcode: 3, payload: "x" }),
  violation("reserved opcode 11", { opcode: 11 }),
  violation("ping in fragments", { opcode: 9, final: false }),
  violation("ping of 126 bytes", { opcode: 9, payload: "x".repeat(126) }),
  violation("continuation of nothing", { opcode: 0, payload: "x" }),
  violation("close with half a code", { opcode: 8, payload: "\x03" }),
  violation("invalid UTF-8", {
    opcode: 1,
    payload: Uint8Array.of(0x61, 0xc0, 0x80),
  }, 1007),
  violation("cut-off UTF-8", {
    opcode: 1,
    payload: Uint8Array.of(0xe2, 0x82),
  }, 1007),
  [
    "text in the middle of a text",
    join(frame({ opcode: 1, final: false, payload: "a" }), text("b")),
    1002,
  ],
  ["close with code 1005", close(1005), 1002],
  ["close with code 999", close(999), 1002],
  ["close with an invalid reason", close(1000, Uint8Array.of(0xff)), 1007],
  [
    "length of 2^63",
    frame({ opcode: 2, length: 1n << 63n, lengthBytes: 8 }),
    1002,
  ],
];

testEngines(
  "bridge ends a connection that breaks the protocol",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    using bystander = await RawClient.open(command.port);
    for (const [name, bytes, code] of violations) {
      await t.step(name, async () => {
        using client = await RawClient.open(command.port);
        await client.send("before");
        assertEquals(await client.read(), "before");
        await client.sendBytes(bytes);
        const end = await client.readToClose();
        if (engine === "stream") assertEquals(end?.code, code);
        // It has said all that it will; the server waits no longer.
        if (end !== null) await client.sendClose(end.code);
        await client.readEnd();
        const closed = await command.event("close");
        if (engine === "stream") {
          assertEquals([closed.code, closed.by], [code, "server"]);
        }
      });
    }
    await bystander.send("still here");
    assertEquals(await bystander.read(), "still here");
  },
);

testEngines("bridge takes no frame that is not masked", async (_, engine) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({ engine, host: peer.host });
  using client = await RawClient.open(command.port);
  await client.sendFrame({ opcode: 1, payload: "bare", mask: null });
  assertEquals((await client.readToClose())?.code, 1002);
}, { only: ["stream"] });

testEngines("bridge answers pings with the same payload", async (_, engine) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({ engine, host: peer.host });
  using client = await RawClient.open(command.port);
  for (const payload of ["", "x", "y".repeat(125)]) {
    await client.sendBytes(ping(payload));
    const pong = await client.readFrame();
    assertEquals(pong, {
      opcode: opcodes.pong,
      final: true,
      payload: utf8.encode(payload),
    });
  }
  // A pong that nobody asked for is no harm.
  await client.sendFrame({ opcode: opcodes.pong, payload: "unasked" });
  await client.send("on");
  assertEquals(await client.read(), "on");
});

testEngines(
  "bridge keeps clients that answer its pings, and drops others",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      // A busy machine may answer seconds late.
      args: ["-k", "4"],
    });
    // No ping comes sooner after this than it may after the opening.
    const start = performance.now();
    using answering = await RawClient.open(command.port);
    const { id: answeringId } = await command.event("open");
    using silent = await RawClient.open(command.port);
    const { id: silentId } = await command.event("open");
    const { promise: lived, resolve: live } = Promise.withResolvers<number>();
    /** Answers pings until something else comes. */
    async function answer(): Promise<ServerFrame | null> {
      for (let pings = 1;; pings++) {
        const frame = await answering.readFrame();
        if (frame?.opcode !== opcodes.ping) return frame;
        if (pings === 3) live(performance.now() - start);
        const { payload } = frame;
        await answering.sendFrame({ opcode: opcodes.pong, payload });
      }
    }
    async function beSilent(): Promise<number> {
      assertEquals((await silent.readFrame())?.opcode, opcodes.ping);
      const pinged = performance.now() - start;
      assert(pinged > 3200, `pinged after ${pinged} ms`);
      await silent.readToClose();
      return performance.now() - start;
    }
    const answered = answer();
    const dropped = await beSilent();
    assert(dropped > 6400, `dropped after ${dropped} ms`);
    const { id, by } = await command.event("close");
    assertEquals({ id, by }, { id: silentId!, by: "server" });
    assert(id !== answeringId);
    const time = await Promise.race([lived, answered]);
    assert(typeof time === "number", "the client that answers was dropped");
    assert(time > 9600, "three pings came too soon");
    await answering.send("alive");
    assertEquals(utf8.encode("alive"), (await answered)?.payload);
  },
);

/** Reads a message of either type as bytes. */
async function readBytes(client: RawClient): Promise<Uint8Array> {
  const message = await client.read();
  return typeof message === "string" ? utf8.encode(message) : message;
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length &&
    left.every((byte, index) => byte === right[index]);
}

const utf8 = new TextEncoder();
