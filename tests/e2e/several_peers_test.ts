/** Several peers for one request, of which some fail. */

import { assert, assertEquals } from "@std/assert";
import { RawClient } from "../support/client.ts";
import { Command } from "../support/command.ts";
import { freePort, TestPeer, writeAll } from "../support/peer.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { FullListener } from "../support/full_listener.ts";

const encoder = new TextEncoder();

/** Says its name to each connection, and waits for its end. */
function saying(name: string): (connection: Deno.Conn) => Promise<void> {
  return async (connection) => {
    await writeAll(connection, encoder.encode(`${name}\n`));
    await connection.read(new Uint8Array(16));
  };
}

/** A peer that can be killed, with its connections, and started again. */
class MortalPeer implements AsyncDisposable {
  readonly port = freePort();
  #name: string;
  #peer: TestPeer | undefined;

  constructor(name: string) {
    this.#name = name;
    this.start();
  }

  get host(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  start(): void {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#peer = TestPeer.on(listener, this.host, saying(this.#name));
  }

  async kill(): Promise<void> {
    await this.#peer?.[Symbol.asyncDispose]();
    this.#peer = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

Deno.test("no client sees that one of three peers is killed", async () => {
  await using one = new MortalPeer("one");
  await using two = new MortalPeer("two");
  await using three = new MortalPeer("three");
  await using command = await Command.start({
    args: [
      ...[one, two, three].flatMap(({ host }) => ["-c", `host=${host}`]),
      ...["-c", "framing=newline", "-c", "framing-config=lf"],
      ...["--balance", "least", "--peer-retry", "0.2", "--threads", "2"],
      ...["--metrics", "/metrics"],
    ],
  });
  const names = new Map<string, number>();
  let isOver = false;
  let refused = 0;

  /** Opens a connection again and again, each as soon as the last has ended. */
  async function reconnect(): Promise<void> {
    while (!isOver) {
      let client: RawClient;
      try {
        client = await RawClient.open(command.port);
      } catch {
        refused++;
        continue;
      }
      try {
        const name = String(await client.read()).trim();
        names.set(name, (names.get(name) ?? 0) + 1);
        onOpen();
        // Until the peer dies, or it is its turn.
        await Promise.race([client.readClose(), turn.promise]);
      } catch {
        // The peer was killed before it said its name.
      } finally {
        client[Symbol.dispose]();
      }
    }
  }

  let turn = Promise.withResolvers<void>();
  let onOpen = (): void => {};
  /** Waits until so many were opened, from now on. */
  function opened(count: number, name?: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = name === undefined ? 0 : names.get(name) ?? 0;
    onOpen = () => {
      if (--count <= 0 && (names.get(name!) ?? 1) > before) resolve();
    };
    return promise;
  }
  function allReconnect(): void {
    turn.resolve();
    turn = Promise.withResolvers<void>();
  }

  const first = opened(100);
  const clients = Array.from({ length: 100 }, reconnect);
  await first;
  assertEquals([...names.keys()].toSorted(), ["one", "three", "two"]);
  // They are spread: 33 or 34 each, but for those that two threads count at once.
  for (const count of names.values()) assert(count >= 25, `${count}`);

  await one.kill();
  const { why, peer } = await command.event(
    "peer",
    ({ state }) => state === "down",
  );
  assertEquals(peer, one.host);
  assert(String(why).includes("Cannot open peer"), String(why));
  for (let round = 0; round < 3; round++) {
    const all = opened(100);
    allReconnect();
    await all;
  }
  one.start();
  // Until it is tried again: then it has the fewest.
  const timer = setInterval(allReconnect, 300);
  await command.event("peer", ({ state }) => state === "up");
  clearInterval(timer);
  const again = opened(1, "one");
  allReconnect();
  await again;

  const metrics = await fetch(`http://127.0.0.1:${command.port}/metrics`);
  const text = await metrics.text();
  assert(/^websocksy_peers_down 0$/m.test(text), text);
  isOver = true;
  allReconnect();
  await Promise.all(clients);
  assertEquals(refused, 0);
  assertEquals(
    command.logged("peer").map(({ peer, state, why }) => [peer, state, why]),
    [[one.host, "down", why], [one.host, "up", undefined]],
  );
});

Deno.test({
  name: "a peer that hangs takes no time from the next",
  // Others answer where the queue of a listener is full.
  ignore: Deno.build.os !== "linux",
}, async () => {
  using full = await FullListener.start();
  const { port } = full;
  // It takes connections, and answers no TLS.
  await using silent = TestPeer.tcp();
  await using next = TestPeer.tcp(async (connection) => {
    const head = new Uint8Array(16);
    const count = await connection.read(head) ?? 0;
    await writeAll(connection, head.subarray(0, count));
  });
  await using command = await SharedCommand.start({
    args: [
      ...["-c", `host=tcp://127.0.0.1:${port}`, "-c", `host=${next.host}`],
      ...["-c", "proxy-protocol=v2", "-c", "framing=binary"],
      ...["--route", "/tls", "-c", `host=${silent.host.replace("tcp", "tls")}`],
      ...["-c", `host=${next.host.replace("tcp", "tls")}`],
      ...["--connect-timeout", "6"],
    ],
  });
  using client = await RawClient.open(command.port);
  // The header has gone to the one that answered.
  const signature = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
  const head = await client.read() as Uint8Array;
  assertEquals([...head.subarray(0, 12)], signature);
  const { peer, why } = await command.event("peer");
  assertEquals(peer, `tcp://127.0.0.1:${port}`);
  assertEquals(
    why,
    `tcp://127.0.0.1:${port} had not answered when another peer did`,
  );
  using second = await RawClient.connect(command.port);
  const { status } = await second.request({ target: "/tls" });
  // Neither speaks TLS: the second has its time though the first says nothing,
  // or this would be a 504.
  assertEquals(status, 502);
  assertEquals(next.count, 2);
});
