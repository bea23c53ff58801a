/** Clients that vanish, stall or never stop, from outside: what they leave behind. */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setImmediate } from "node:timers";
import {
  formatRequest,
  opcodes,
  openResettable,
  RawClient,
  request,
} from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { isConnectionLost } from "../support/lost.ts";
import { readAll, TestPeer, writeAll } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { residentMemory } from "../support/process_resources.ts";
import { SharedCommand } from "../support/shared_command.ts";
import {
  binary,
  join as joinBytes,
  text,
} from "../support/websocket_client_frames.ts";

const MiB = 1024 * 1024;
/** More than the buffers of all sockets on the way take. */
const flooded = 48 * MiB;
const block = new Uint8Array(65_536).fill(120);
const frame = binary(block);

/** Sends until everything is sent, or the server has hung up. */
async function flood(client: RawClient, total: number): Promise<void> {
  try {
    for (let sent = 0; sent < total; sent += block.length) {
      await client.sendBytes(frame);
    }
  } catch (error) {
    if (!isConnectionLost(error)) throw error;
  }
}

/** Waits until so many bytes have come. */
async function readBytes(socket: Socket, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on("data", ({ length }) => {
    count -= length;
    if (count <= 0) resolve();
  });
  await promise;
}

/** Peers that tell how many of their connections are open. */
class CountingPeer implements AsyncDisposable {
  readonly #peer: TestPeer;
  #open = 0;
  #changed = Promise.withResolvers<void>();

  constructor() {
    this.#peer = TestPeer.tcp(async (connection) => {
      this.#count(1);
      try {
        await readAll(connection, () => {});
      } finally {
        this.#count(-1);
      }
    });
  }

  get host(): string {
    return this.#peer.host;
  }

  /** Resolves when so many connections are open. */
  async open(count: number): Promise<void> {
    while (this.#open !== count) await this.#changed.promise;
  }

  #count(change: number): void {
    this.#open += change;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
  }
}

/** Asks for a WebSocket, and resets the connection so many milliseconds later. */
async function askAndReset(port: number, delay: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  socket.write(formatRequest());
  // Timers are too coarse for the moment between request and answer.
  const start = performance.now();
  while (performance.now() - start < delay) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  socket.resetAndDestroy();
  await closed;
}

testEngines(
  "bridge keeps nothing of clients that reset around the answer",
  async (_, engine) => {
    const limit = 40;
    await using peer = new CountingPeer();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["-k", "0", "--max-connections", `${limit}`],
    });
    for (let index = 0; index < 400; index++) {
      await askAndReset(command.port, index % 50 / 20);
    }
    // Each that was heard has a number; this one's is the last of them.
    assertEquals(
      (await request(command.port, { headers: { Upgrade: null } })).status,
      426,
    );
    const { id: last } = await command.event(
      "refuse",
      ({ status }) => status === 426,
    );
    for (let id = 1; id < Number(last); id++) {
      await command.log.take((entry) =>
        entry.id === id && /^(refuse|abandon|close)$/.test(entry.event)
      );
    }
    // Every line is ours: Deno's own warnings and errors are none.
    assertEquals(command.logged("").map(({ text }) => text), []);
    await peer.open(0);
    // Were a single one still counted, one of these would be refused.
    using clients = new DisposableStack();
    for (let index = 0; index < limit; index++) {
      clients.use(await RawClient.open(command.port));
    }
    await peer.open(limit);
  },
);

const departures: Readonly<Record<string, (socket: Socket) => void>> = {
  "resets": (socket) => socket.resetAndDestroy(),
  "closes its connection": (socket) => socket.destroy(),
};
for (const [name, leave] of Object.entries(departures)) {
  testEngines(
    `bridge notices that a client ${name} while its peer takes nothing`,
    async (_, engine) => {
      await using peer = TestPeer.tcp();
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: ["-k", "1"],
      });
      const socket = await openResettable(command.port);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      for (let sent = 0; sent < flooded; sent += block.length) {
        socket.write(frame);
      }
      // A second ping, with the first not answered: it has stopped reading.
      await readBytes(socket, 4);
      leave(socket);
      await closed;
      const { code, by, text } = await command.event("close");
      assertEquals({ code, by }, { code: 1006, by: "client" }, `${text}`);
    },
    { only: ["stream"] },
  );
}

testEngines(
  "bridge keeps little of a flood of one-byte messages for a client that takes nothing",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "socket");
    await using peer = peerThatFloods(new Uint8Array(65_536).fill(0x0a));
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: [
        // The system takes little for the client over a Unix socket.
        ...["-l", `unix:${path}`, "--idle-timeout", "1"],
        ...["-c", "framing=newline", "-c", "framing-config=lf"],
      ],
    });
    const before = residentMemory(command.pid);
    using client = await RawClient.connectUnix(path);
    await client.upgrade();
    assertEquals((await command.event("close")).code, 1001);
    const grown = (residentMemory(command.pid) - before) / MiB;
    assertLess(grown, 200, `${grown} MiB more are resident`);
  },
  { needs: ["linux"] },
);

testEngines(
  "shutDown() delivers all small messages that were read for a slow client",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "socket");
    await using peer = peerThatFloods(new Uint8Array(65_536).fill(0x0a));
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: [
        ...["-l", `unix:${path}`, "--drain-timeout", "20"],
        ...["-c", "framing=newline", "-c", "framing-config=lf"],
      ],
    });
    using client = await RawClient.connectUnix(path);
    await client.upgrade();
    // Reads become larger while they are full.
    let received = 0;
    while (received < 100_000) {
      await client.readFrame();
      received++;
    }
    command.kill("SIGTERM");
    await command.event("shutdown");
    for (;;) {
      const frame = await client.readFrame();
      if (frame?.opcode !== opcodes.binary && frame?.opcode !== opcodes.text) {
        assertEquals(frame?.opcode, opcodes.close);
        break;
      }
      received++;
    }
    await client.sendClose(1001);
    const closed = await command.event("close");
    assertEquals(received, closed["to-client-messages"]);
  },
);

testEngines(
  "shutDown() delivers what clients had sent to a slow peer",
  async (_, engine) => {
    const total = 6 * MiB;
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--drain-timeout", "20"],
    });
    using client = await RawClient.open(command.port);
    const connection = await peer.next();
    await flood(client, total);
    if (engine === "native") {
      // Deno drops a connection on which a message comes after it has said 1001.
      await client.sendFrame({ opcode: opcodes.ping, payload: "" });
      assertEquals((await client.readFrame())?.opcode, opcodes.pong);
    }
    command.kill("SIGTERM");
    await command.event("shutdown");
    async function leave(): Promise<void> {
      assertEquals((await client.readToClose())?.code, 1001);
      await client.sendClose(1001);
    }
    const leaving = leave();
    let received = 0;
    await readAll(connection, async (data) => {
      received += data.length;
      await new Promise((resolve) => setTimeout(resolve, 2));
    });
    connection.close();
    await leaving;
    assertEquals(received, total);
    const closed = await command.event("close");
    assertEquals([closed.code, closed["to-peer-bytes"]], [1001, total]);
    assertEquals((await command.status).code, 0);
  },
);

testEngines(
  "bridge gives a slow client that goes on talking all that its peer said",
  async (_, engine) => {
    const total = 4 * MiB;
    await using peer = peerThatSays(total);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["-k", "0", "-c", "framing=binary"],
    });
    using client = await RawClient.open(command.port);
    await readSlowly(
      client,
      { total, seconds: 13 },
      () => client.sendBytes(text("hello")),
    );
    await client.sendClose(1000);
    await client.readEnd();
  },
  { only: ["stream"], timeout: 180_000 },
);

testEngines(
  "bridge takes a client for alive that says nothing, but takes what it is sent",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "socket");
    const total = 2 * MiB;
    await using peer = peerThatSays(total);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["-l", `unix:${path}`, "-k", "1", "-c", "framing=binary"],
    });
    using client = await RawClient.connectUnix(path);
    await client.upgrade();
    await readSlowly(client, { total, seconds: 5 }, () => {});
    await client.sendClose(1000);
    const closed = await command.event("close");
    assertEquals([closed.code, closed["to-client-bytes"]], [1000, total]);
  },
  { timeout: 180_000 },
);

/** Starts a peer that says the same again and again, until the client has gone. */
function peerThatFloods(bytes: Uint8Array): TestPeer {
  return TestPeer.tcp(async (connection) => {
    let isOver = false;
    const over = readAll(connection, () => {}).then(() => isOver = true);
    while (!isOver) await writeAll(connection, bytes);
    await over;
  });
}

/** Starts a peer that says some bytes, ends its stream and waits for the other end. */
function peerThatSays(total: number): TestPeer {
  return TestPeer.tcp(async (connection) => {
    await writeAll(connection, new Uint8Array(total));
    await connection.closeWrite();
    await readAll(connection, () => {});
  });
}

/** Takes all that a peer has to say in so many seconds, until a close frame comes. */
async function readSlowly(
  client: RawClient,
  { total, seconds }: { readonly total: number; readonly seconds: number },
  onMessage: () => void | Promise<void>,
): Promise<void> {
  let received = 0;
  const start = performance.now();
  for (;;) {
    const frame = await client.readFrame();
    assert(frame !== null, `the end came after ${received} bytes`);
    if (frame.opcode === opcodes.ping) continue;
    if (frame.opcode === opcodes.close) {
      assertEquals([...frame.payload], [1000 >> 8, 1000 & 0xff]);
      break;
    }
    received += frame.payload.length;
    const due = start + received / total * seconds * 1000;
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, due - performance.now()))
    );
    await onMessage();
  }
  assertEquals(received, total);
}

const excesses: Readonly<Record<number, Uint8Array>> = {
  1009: binary(new Uint8Array(200_000)),
  1013: joinBytes(...new Array(256).fill(frame)),
};
for (const [code, excess] of Object.entries(excesses)) {
  testEngines(
    `bridge tells ${code} to a client that goes on sending`,
    async (_, engine) => {
      await using peer = TestPeer.tcp();
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: ["--max-message", "100000", "--max-buffer", "1000000"],
      });
      using client = await RawClient.open(command.port);
      async function talk(): Promise<void> {
        const more = new Array(1000).fill(text("more"));
        try {
          await client.sendBytes(joinBytes(excess, ...more));
          for (;;) await client.sendBytes(text("more"));
        } catch (error) {
          if (!isConnectionLost(error)) throw error;
        }
      }
      const talking = talk();
      const end = await client.readToClose();
      await talking;
      assertEquals(end?.code, Number(code));
      assertMatch(end!.reason, /10{5,6} bytes/);
    },
    { only: ["native"] },
  );
}
