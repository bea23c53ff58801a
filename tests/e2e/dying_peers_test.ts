/**
 * Peers that fail in every way they can, while 100 other connections go on as if
 * nothing were; and processes that are killed in the middle of traffic.
 */

import { assert, assertEquals } from "@std/assert";
import {
  opcodes,
  RawClient,
  request,
  type ServerFrame,
} from "../support/client.ts";
import { Command, Service, testEngines } from "../support/command.ts";
import { isConnectionLost } from "../support/lost.ts";
import {
  echo,
  freePort,
  readAll,
  TestPeer,
  writeAll,
} from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { NetListener } from "../support/net_connection.ts";
import {
  countDescriptors,
  descriptorsReturn,
} from "../support/process_resources.ts";
import { binary, sameBytes } from "../support/websocket_client_frames.ts";
import { FullListener } from "../support/full_listener.ts";

/** Connections that must not notice. */
const bystanders = 100;
/** Connections to each kind of dying peer, at a time. */
const victims = 5;
/** Round trips that each bystander makes at the least. */
const leastRounds = 20;
/** Milliseconds between its further ones, which leave the processors to peers. */
const betweenRounds = 150;
/** Milliseconds that a round trip may take on a busy machine. */
const patience = 15_000;
const MiB = 1024 * 1024;

/** A peer that dies, what its clients see of it. */
interface DyingPeer {
  /** The line of its peer file. */
  readonly address: string;
  /** Uses one connection, until it is over. */
  play(port: number, target: string): Promise<void>;
}

/**
 * Reads a frame that is no ping: on a machine that is busy, what comes may take
 * as long as to one.
 */
async function readFrame(client: RawClient): Promise<ServerFrame | null> {
  for (;;) {
    const frame = await client.readFrame();
    if (frame?.opcode !== opcodes.ping) return frame;
    const { payload } = frame;
    await client.sendFrame({ opcode: opcodes.pong, payload });
  }
}

/** Sends and gets back numbers until it is told to stop; each must come in order. */
async function pingPong(
  port: number,
  number: number,
  isOver: () => boolean,
): Promise<number> {
  using client = await RawClient.open(port, { target: "/echo" });
  let rounds = 0;
  for (; rounds < leastRounds || !isOver(); rounds++) {
    if (rounds >= leastRounds) await pause(betweenRounds);
    const message = `${number}/${rounds}`;
    const start = performance.now();
    await client.send(message);
    const frame = await readFrame(client);
    assertEquals(new TextDecoder().decode(frame?.payload), message);
    const took = performance.now() - start;
    assert(took < patience, `round trip ${message} took ${took} ms`);
  }
  await client.sendClose(1000);
  assertEquals((await client.readToClose())?.code, 1000);
  return rounds;
}

/** The bytes of a flood. */
function floodBlock(index: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(65_536);
  new DataView(block.buffer).setUint32(0, index);
  return block.fill(index & 0xff, 4);
}

const floodBlocks = 256;

async function startDyingPeers(
  stack: AsyncDisposableStack,
): Promise<Readonly<Record<string, DyingPeer>>> {
  const resetting = stack.use(await NetListener.start());
  const stuck = stack.use(TestPeer.tcp());
  const dribbling = stack.use(TestPeer.tcp());
  const flooding = stack.use(TestPeer.tcp(async (connection) => {
    for (let index = 0; index < floodBlocks; index++) {
      await writeAll(connection, floodBlock(index));
    }
    await connection.closeWrite();
    await readAll(connection, () => {});
  }));
  return {
    refuse: {
      address: `tcp://127.0.0.1:${freePort()}`,
      async play(port, target): Promise<void> {
        assertEquals((await request(port, { target })).status, 502);
      },
    },
    queue: {
      address: stack.use(await FullListener.start()).host,
      async play(port, target): Promise<void> {
        assertEquals((await request(port, { target })).status, 504);
      },
    },
    reset: {
      address: resetting.host,
      async play(port, target): Promise<void> {
        using client = await RawClient.open(port, { target });
        const connection = await resetting.next();
        await connection.write(new Uint8Array(1000));
        assertEquals((await readFrame(client))?.payload.length, 1000);
        // In the middle of what it sends and of what it is sent.
        await client.send(new Uint8Array(100_000));
        await connection.read(new Uint8Array(10));
        connection.reset();
        assertEquals((await client.readToClose())?.code, 1011);
      },
    },
    stuck: {
      address: stuck.host,
      async play(port, target): Promise<void> {
        using client = await RawClient.open(port, { target });
        await stuck.next();
        const message = binary(new Uint8Array(65_536));
        // Engine `stream` takes what fits into the system's buffers and a
        // little more; `native` takes `max-buffer`, and ends it then.
        const sending = sendUntilLost(client, message, 16 * MiB);
        const end = await Promise.race([
          client.readToClose(),
          pause(2 * leastRounds * 10),
        ]);
        if (typeof end === "object") assertEquals(end?.code ?? 1013, 1013);
        client[Symbol.dispose]();
        await sending;
      },
    },
    dribble: {
      address: dribbling.host,
      async play(port, target): Promise<void> {
        using client = await RawClient.open(port, { target });
        const connection = await dribbling.next();
        for (let index = 0; index < 200; index++) {
          const byte = Uint8Array.of(0xf0 + index % 8);
          await writeAll(connection, byte);
          assertEquals((await readFrame(client))?.payload, byte);
        }
        connection.close();
        assertEquals((await client.readToClose())?.code, 1000);
      },
    },
    flood: {
      address: flooding.host,
      async play(port, target): Promise<void> {
        using client = await RawClient.open(port, { target });
        // The flood stands still in all buffers on the way before it is read.
        await pause(1000);
        await assertFlood(client);
        await client.sendClose(1000);
        await client.readEnd();
      },
    },
  };
}

/** Lets time pass, for what is about time: a side that does nothing for a while. */
function pause(milliseconds: number): Promise<number> {
  return new Promise((resolve) =>
    setTimeout(() => resolve(milliseconds), milliseconds)
  );
}

/** Asserts that a client gets all of a flood, in order. */
async function assertFlood(client: RawClient): Promise<void> {
  let at = 0;
  for (;;) {
    const frame = await readFrame(client);
    if (frame?.opcode === opcodes.close) break;
    let { payload } = frame!;
    while (payload.length > 0) {
      const block = floodBlock(Math.floor(at / 65_536)).subarray(at % 65_536);
      const part = payload.subarray(0, block.length);
      assert(sameBytes(part, block.subarray(0, part.length)), `byte ${at}`);
      at += part.length;
      payload = payload.subarray(part.length);
    }
  }
  assertEquals(at, floodBlocks * 65_536);
}

async function sendUntilLost(
  client: RawClient,
  message: Uint8Array,
  total: number,
): Promise<void> {
  try {
    for (let sent = 0; sent < total; sent += message.length) {
      await client.sendBytes(message);
    }
  } catch (error) {
    const isLost = isConnectionLost(error) ||
      error instanceof Deno.errors.BadResource ||
      error instanceof Deno.errors.Interrupted;
    if (!isLost) throw error;
  }
}

testEngines(
  "bridge keeps 100 connections going while other peers die",
  async (t, engine) => {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(new TemporaryDirectory());
    const peers = await startDyingPeers(stack);
    const echoing = stack.use(TestPeer.tcp(echo));
    await directory.write("echo", `${echoing.host} * auto\n`);
    for (const [name, { address }] of Object.entries(peers)) {
      await directory.write(name, `${address} * binary\n`);
    }
    const { port, pid } = stack.use(
      await Command.start({
        engine,
        args: [
          ...["-k", "3", "--connect-timeout", "2", "--max-buffer", "4194304"],
          ...["-b", "file", "-c", `path=${directory.path}`],
          ...["-c", "expression=%endpoint%"],
        ],
      }),
    );
    const descriptors = countDescriptors(pid);
    for (const [name, { play }] of Object.entries(peers)) {
      await t.step(name, async () => {
        let isOver = false;
        const going = Array.from(
          { length: bystanders },
          (_, number) => pingPong(port, number, () => isOver),
        );
        async function playAll(): Promise<void> {
          try {
            await Promise.all(
              Array.from({ length: victims }, () => play(port, `/${name}`)),
            );
          } finally {
            isOver = true;
          }
        }
        const [rounds] = await Promise.all([Promise.all(going), playAll()]);
        assert(Math.min(...rounds) >= leastRounds);
        // Also of the connections that died nothing is left.
        await descriptorsReturn(pid, descriptors);
      });
    }
  },
  { needs: ["linux"], timeout: 240_000 },
);

testEngines(
  "bridge closes with 1011 when its peer is killed in the middle of traffic",
  async (_, engine) => {
    const port = freePort();
    await using service = await Service.start([
      "socat",
      ...["-d", "-d", `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr`, "PIPE"],
    ], /listening on/);
    await using command = await Command.start({
      engine,
      host: `tcp://127.0.0.1:${port}`,
    });
    const { pid } = command;
    const descriptors = countDescriptors(pid);
    using client = await RawClient.open(command.port);
    await client.send("alive");
    assertEquals(await client.read(), "alive");
    service.kill("SIGSTOP");
    // It does not come to read this, and so the system resets the connection.
    const message = new Uint8Array(1000);
    await client.send(message);
    // By the second answer it has been written.
    for (let round = 0; round < 2; round++) {
      await client.sendFrame({ opcode: opcodes.ping, payload: "" });
      assertEquals((await client.readFrame())?.opcode, opcodes.pong);
    }
    service.kill("SIGKILL");
    const end = { code: 1011, reason: "peer connection failed" };
    assertEquals(await client.readClose(), end);
    await client.sendClose(1011);
    const closed = await command.event("close");
    assertEquals([closed.code, closed.by], [1011, "server"]);
    assertEquals(closed["to-peer-bytes"], "alive".length + message.length);
    await descriptorsReturn(pid, descriptors);
  },
  { needs: ["linux", "socat"] },
);

testEngines(
  "bridge ends its peer's connection when its client is killed in the middle of traffic",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({ engine, host: peer.host });
    const { port, pid } = command;
    const descriptors = countDescriptors(pid);
    const script = `
      const socket = new WebSocket("ws://127.0.0.1:${port}/");
      const block = new Uint8Array(65_536);
      socket.onopen = () => socket.send(block);
      let count = 0;
      socket.onmessage = () => {
        if (++count === 100) console.log("in the middle");
        socket.send(block);
      };
    `;
    await using client = await Service.start(
      [Deno.execPath(), "eval", "--no-config", script],
      /^in the middle$/,
    );
    client.kill("SIGKILL");
    const { code, by } = await command.event("close");
    assertEquals({ code, by }, { code: 1006, by: "client" });
    await descriptorsReturn(pid, descriptors);
  },
  { needs: ["linux"] },
);
