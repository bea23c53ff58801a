/**
 * Hostile clients, many thousands of them, against the real command: it lives,
 * serves the next honest client, and holds no more than before.
 *
 * `WEBSOCKSY_SEED` gives a run again, `WEBSOCKSY_LONG=1` makes a longer one.
 */

import { assertEquals } from "@std/assert";
import { formatRequest, RawClient } from "../support/client.ts";
import { Command, type EngineName, testEngines } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { createInput, type HostileInput } from "../support/hostile_inputs.ts";
import { NetConnection } from "../support/net_connection.ts";
import {
  countDescriptors,
  descriptorsReturn,
  memoryReturns,
  residentMemory,
} from "../support/process_resources.ts";
import { chooseSeed, Random } from "../support/random.ts";

const isLong = Deno.env.get("WEBSOCKSY_LONG") === "1";
/** Inputs after which the server's memory has reached its size. */
const warmUp = { native: 700, stream: 1000 } as const;
const counts = {
  native: isLong ? 60_000 : 1500,
  stream: isLong ? 60_000 : 2500,
} as const;
/** Hostile clients at a time. */
const concurrency = 32;
/**
 * Bytes by which the memory may differ: what the garbage collector puts off.
 * With `native` it also has the sockets of clients that reset during their
 * handshake, which Deno keeps.
 */
const memorySlack = {
  native: 128 * 1024 * 1024,
  stream: 48 * 1024 * 1024,
} as const;
/** Milliseconds in which the server has to end what must not go on. */
const patience = 90_000;

/** Reads what comes, until the server ends the connection. */
async function drain(connection: NetConnection): Promise<void> {
  const buffer = new Uint8Array(16 * 1024);
  try {
    while (await connection.read(buffer) !== null);
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
}

/**
 * Whether Deno ends the connection of a client that stays: it takes pongs of
 * any length, and a client that ends its side during the handshake is waited for
 * as long as its socket is there.
 */
function denoEnds({ name, leaving, awaitsUpgrade }: HostileInput): boolean {
  return leaving === "half" ? awaitsUpgrade : name !== "bad frame: long pong";
}

/**
 * Plays a hostile client to its end.
 *
 * @param mustEnd Whether the server has to end the connection if the client
 * stays; if not, the client goes.
 */
async function attack(
  port: number,
  input: HostileInput,
  mustEnd: boolean,
): Promise<void> {
  using connection = await NetConnection.connect(port);
  try {
    const buffer = new Uint8Array(1024);
    for (const [index, piece] of input.pieces.entries()) {
      await connection.write(piece);
      if (index === 0 && input.awaitsUpgrade) await connection.read(buffer);
    }
    if (input.leaving === "reset") connection.reset();
    else if (input.leaving === "vanish") connection.close();
    else if (input.leaving === "half") await connection.closeWrite();
  } catch (error) {
    // The server may hang up at any time.
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  if (!mustEnd) connection.close();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error("The server does not end the connection")),
    patience,
  );
  try {
    await Promise.race([drain(connection), late]);
  } finally {
    clearTimeout(timer);
    connection.close();
    await connection.closed;
  }
}

/** Plays the inputs of a range, so many at a time. */
async function attackAll(
  { port, engine }: { readonly port: number; readonly engine: EngineName },
  seed: number,
  [first, end]: readonly [number, number],
): Promise<void> {
  let next = first;
  async function work(): Promise<void> {
    while (next < end) {
      const index = next++;
      const input = createInput(new Random(seed + index));
      try {
        await attack(port, input, engine === "stream" || denoEnds(input));
      } catch (cause) {
        next = end;
        const message =
          `Input ${index} of seed ${seed} (${input.name}, ${input.leaving})`;
        throw new Error(message, { cause });
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
}

/**
 * How many more descriptors are no leak of ours: Deno may keep the socket of a
 * client that is gone before its WebSocket is open, which is logged after some
 * seconds.
 */
function keptSockets({ log }: Command): number {
  return 4 + log.all.filter(({ event }) => event === "abandon").length;
}

/** Asserts that a client without malice is served. */
async function assertServes(port: number): Promise<void> {
  using client = await RawClient.open(port);
  await client.send("honest");
  assertEquals(await client.read(), "honest");
  await client.sendClose(1000);
  assertEquals((await client.readClose()).code, 1000);
  await client.readEnd();
}

testEngines(
  "websocksy outlives hostile clients, and holds no more than before",
  async (_, engine) => {
    const seed = chooseSeed();
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: ["--max-message", "65536", "--max-buffer", "1048576"],
    });
    const { port, pid } = command;
    await assertServes(port);
    const descriptors = countDescriptors(pid);
    await attackAll({ port, engine }, seed, [0, warmUp[engine]]);
    await assertServes(port);
    await descriptorsReturn(pid, descriptors, () => keptSockets(command));
    const memory = residentMemory(pid);
    const range = [warmUp[engine], counts[engine]] as const;
    await attackAll({ port, engine }, seed, range);
    await assertServes(port);
    await descriptorsReturn(pid, descriptors, () => keptSockets(command));
    await memoryReturns(pid, memory + memorySlack[engine]);
    const wrong = command.log.all.filter(({ event, why, error, text }) =>
      event === "" || event === "accept" ||
      /internal|TypeError|RangeError|SyntaxError/.test(`${why} ${error}`) ||
      /Uncaught/.test(String(text))
    );
    assertEquals(wrong.slice(0, 5), [], `seed ${seed}`);
  },
  { needs: ["linux"], timeout: isLong ? 600_000 : 240_000 },
);

testEngines(
  "handshake leaves no peer's connection behind when its client is gone",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({ engine, host: peer.host });
    const { port, pid } = command;
    const before = countDescriptors(pid);
    // All at once: the peers' connections are made while the clients leave.
    async function comeAndGo(): Promise<void> {
      using connection = await NetConnection.connect(port);
      await connection.write(new TextEncoder().encode(formatRequest()));
      connection.close();
      await connection.closed;
    }
    await Promise.all(Array.from({ length: 100 }, comeAndGo));
    await assertServes(port);
    await descriptorsReturn(pid, before, () => keptSockets(command));
  },
  { needs: ["linux"] },
);
