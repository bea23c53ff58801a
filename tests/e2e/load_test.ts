/** Many connections: at once, and one after another. */

import { assertEquals } from "@std/assert";
import { RawClient } from "../support/client.ts";
import { Command, type EngineName, testEngines } from "../support/command.ts";
import { TestPeer, writeAll } from "../support/peer.ts";
import {
  countDescriptors,
  descriptorsReturn,
  eventually,
  memoryReturns,
  residentMemory,
} from "../support/process_resources.ts";

const isLong = Deno.env.get("WEBSOCKSY_LONG") === "1";
/**
 * Connections that are open at once: more than the descriptors that a process
 * has at first; with the engine that few choose, fewer.
 */
const held = {
  stream: isLong ? 2000 : 1200,
  native: isLong ? 2000 : 500,
} as const;
/** Messages that each of them sends, and gets back. */
const rounds = 3;
/** Handshakes at a time: the system's queue of connections is not endless. */
const openings = 50;
/**
 * Connections that are opened and closed in a row; `WEBSOCKSY_LONG=1`: more. The
 * memory has reached its size after 6,000; that of the engine that few choose is
 * measured only then.
 */
const inRow = {
  stream: isLong ? 20_000 : 10_000,
  native: isLong ? 20_000 : 500,
} as const;
/** Rows at a time. */
const rows = 4;
/** The part of them after which the memory has reached its size. */
const warmUp = 0.6;
/** Bytes by which the memory may differ: what the garbage collector puts off. */
const memorySlack = 16 * 1024 * 1024;

/** Sends back what comes, with a buffer that 2,000 of can be had. */
async function echoSmall(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1024);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    await writeAll(connection, buffer.subarray(0, count));
  }
}

async function start(engine: EngineName, peer: TestPeer): Promise<Command> {
  return await Command.start({ engine, host: peer.host });
}

/** Sends a message and gets it back. */
async function roundTrip(client: RawClient, message: string): Promise<void> {
  await client.send(message);
  assertEquals(await client.read(), message);
}

async function closeInOrder(client: RawClient): Promise<void> {
  await client.sendClose(1000);
  assertEquals((await client.readClose()).code, 1000);
  await client.readEnd();
  client[Symbol.dispose]();
}

testEngines(
  "websocksy holds connections that are active at once",
  async (_, engine) => {
    const count = held[engine];
    await using peer = TestPeer.tcp(echoSmall);
    await using command = await start(engine, peer);
    using stack = new DisposableStack();
    const descriptors = countDescriptors(command.pid);
    const clients: RawClient[] = [];
    while (clients.length < count) {
      const opened = await Promise.all(
        Array.from({ length: openings }, () => RawClient.open(command.port)),
      );
      for (const client of opened) clients.push(stack.use(client));
    }
    await peer.accepted(count);
    for (let round = 0; round < rounds; round++) {
      await Promise.all(
        clients.map((client, index) => roundTrip(client, `${index}/${round}`)),
      );
    }
    for (let opened = 0; opened < count; opened++) await command.event("open");
    assertEquals(command.logged("close"), []);
    await Promise.all(clients.map(closeInOrder));
    for (let closed = 0; closed < count; closed++) {
      const { code, by } = await command.event("close");
      assertEquals([code, by], [1000, "client"]);
    }
    await descriptorsReturn(command.pid, descriptors);
  },
  { needs: ["linux"], timeout: 300_000 },
);

testEngines(
  `websocksy opens and closes connections in a row, memory flat`,
  async (_, engine) => {
    const all = inRow[engine];
    await using peer = TestPeer.tcp(echoSmall);
    await using command = await start(engine, peer);
    const { pid, port } = command;
    async function run(count: number): Promise<void> {
      async function row(): Promise<void> {
        for (let number = 0; number < count / rows; number++) {
          using client = await RawClient.open(port);
          await roundTrip(client, `${number}`);
          await closeInOrder(client);
        }
      }
      await Promise.all(Array.from({ length: rows }, row));
    }
    const descriptors = countDescriptors(pid);
    await run(all * warmUp);
    await descriptorsReturn(pid, descriptors);
    const memory = residentMemory(pid);
    await run(all * (1 - warmUp));
    await descriptorsReturn(pid, descriptors);
    if (all >= 10_000) await memoryReturns(pid, memory + memorySlack);
    await eventually(
      `${all} are logged as closed`,
      () => command.logged("close").length,
      (count) => count === all,
    );
    const others = command.logged("close").filter(({ code }) => code !== 1000);
    assertEquals(others, []);
  },
  { needs: ["linux"], timeout: 300_000 },
);
