/** What runs short: file descriptors, memory, and peers that do not answer. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { formatRequest, opcodes, RawClient } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { isConnectionLost } from "../support/lost.ts";
import { echo, TestPeer, writeAll } from "../support/peer.ts";
import { SharedCommand } from "../support/shared_command.ts";
import {
  binary,
  join,
  ping,
  text,
} from "../support/websocket_client_frames.ts";
import { FullListener } from "../support/full_listener.ts";

const MiB = 1024 * 1024;
/** `ulimit` and `/proc` are needed. */
const needs = ["linux"] as const;

/** Sends the same bytes until so many are sent, or the server has hung up. */
async function flood(
  client: RawClient,
  bytes: Uint8Array,
  total: number,
): Promise<void> {
  try {
    for (let sent = 0; sent < total; sent += bytes.length) {
      await client.sendBytes(bytes);
    }
  } catch (error) {
    if (!isLoss(error)) throw error;
  }
}

function isLoss(error: unknown): boolean {
  return isConnectionLost(error) ||
    error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.Interrupted;
}

/** Connects until no more connections are taken, or there are so many. */
async function hold(
  port: number,
  count: number,
): Promise<DisposableStack> {
  using held = new DisposableStack();
  try {
    for (let index = 0; index < count; index++) {
      held.use(await Deno.connect({ hostname: "127.0.0.1", port }));
    }
  } catch (error) {
    if (!isLoss(error)) throw error;
  }
  return held.move();
}

/** Asks again and again, until the server answers. */
async function untilAnswered(port: number): Promise<void> {
  for (;;) {
    try {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await writeAll(connection, formatRequest({ headers: { Upgrade: null } }));
      if (await connection.read(new Uint8Array(1)) !== null) return;
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

testEngines(
  "bridge goes on when file descriptors had run out",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      wrapper: ["sh", "-c", 'ulimit -n 80; exec "$@"', "sh"],
    });
    using early = await RawClient.open(command.port);
    for (let round = 0; round < 2; round++) {
      {
        using _held = await hold(command.port, 120);
        if (round === 0) await command.event("accept");
        await early.send("meanwhile");
        assertEquals(await early.read(), "meanwhile");
      }
      await untilAnswered(command.port);
      for (let index = 0; index < 3; index++) {
        using late = await RawClient.open(command.port);
        await late.send("again");
        assertEquals(await late.read(), "again");
      }
    }
    const reports = command.log.all.filter(({ event }) => event === "accept");
    assertEquals(reports.length, 1);
    assertEquals(reports[0]?.level, "error");
  },
  { needs },
);

testEngines(
  "bridge delivers in order what comes right behind the handshake",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["-c", "framing=newline", "-c", "framing-config=lf"],
    });
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index}\n`);
    const frames = lines.map((line) => text(line));
    for (const size of [1, 2, lines.length]) {
      using client = await RawClient.connect(command.port);
      await client.sendBytes(join(
        new TextEncoder().encode(formatRequest()),
        ...frames.slice(0, size),
      ));
      assertEquals((await client.readResponse()).status, 101);
      await client.sendBytes(join(...frames.slice(size), text("end\n")));
      for (const line of lines) assertEquals(await client.read(), line);
      assertEquals(await client.read(), "end\n");
    }
  },
);

testEngines(
  "bridge reads little of a client whose peer does not answer",
  async (_, engine) => {
    using full = await FullListener.start();
    await using command = await Command.start({
      engine,
      host: full.host,
      args: ["--connect-timeout", "2"],
    });
    using client = await RawClient.connect(command.port);
    const before = command.residentMemory();
    await client.sendBytes(formatRequest());
    const flooding = flood(
      client,
      binary(new Uint8Array(65_536)),
      512 * MiB,
    );
    assertEquals((await command.event("refuse")).status, 504);
    const grown = command.residentMemory() - before;
    assert(grown < 64 * MiB, `${grown} bytes more`);
    assertEquals((await client.readResponse()).status, 504);
    await flooding;
  },
  { needs, only: ["stream"] },
);

testEngines(
  "bridge gives back the memory of connections that were busy and are quiet",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({ engine, host: peer.host });
    using clients = new DisposableStack();
    const message = binary(new Uint8Array(500_000));
    const before = command.residentMemory();
    for (let index = 0; index < 250; index++) {
      const client = clients.use(await RawClient.open(command.port));
      const sending = client.sendBytes(message);
      for (let received = 0; received < 500_000;) {
        received += (await client.readFrame())!.payload.length;
      }
      await sending;
    }
    // It is over 190 MiB where each read waits with as much as was read before.
    const grown = command.residentMemory() - before;
    assertLess(grown, 140 * MiB, `${grown / MiB} MiB more`);
  },
  { needs, only: ["stream"] },
);

testEngines(
  "bridge queues no pongs for a client that does not read",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["-k", "1"],
    });
    using client = await RawClient.open(command.port);
    const before = command.residentMemory();
    const pings = join(...new Array(1000).fill(ping("x".repeat(125))));
    const flooding = flood(client, pings, 256 * MiB);
    // One that is silent for two periods tells that the flood has had its time.
    using _silent = await RawClient.open(command.port);
    await command.event("close", ({ id }) => id === 2);
    const grown = command.residentMemory() - before;
    assert(grown < 64 * MiB, `${grown} bytes more`);
    using next = await RawClient.open(command.port);
    await next.send("next");
    let frame = await next.readFrame();
    // On a machine that is busy, this may take as long as to a ping.
    while (frame?.opcode === opcodes.ping) frame = await next.readFrame();
    assertEquals(new TextDecoder().decode(frame?.payload), "next");
    client[Symbol.dispose]();
    await flooding;
  },
  { needs },
);
