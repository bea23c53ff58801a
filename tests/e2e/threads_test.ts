/** Several threads that share a port: one server to all who look at it. */

import { assertEquals, assertMatch } from "@std/assert";
import { RawClient } from "../support/client.ts";
import {
  Command,
  createCommand,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { linesOf } from "../support/feed.ts";
import { isConnectionLost } from "../support/lost.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { TemporaryDirectory } from "../support/service.ts";

/** Threads share a port on Linux alone. */
const options = { needs: ["linux"] } as const;

/** Opens so many WebSockets, of which every thread gets some. */
async function openMany(
  command: Command,
  count: number,
): Promise<{ clients: RawClient[]; close: DisposableStack }> {
  using stack = new DisposableStack();
  const clients: RawClient[] = [];
  for (let index = 0; index < count; index++) {
    clients.push(stack.use(await RawClient.open(command.port)));
  }
  return { clients, close: stack.move() };
}

/** The threads that logged so many connections, by the numbers of these. */
async function threadsOf(
  command: Command,
  count: number,
  threads: number,
): Promise<Set<number>> {
  const found = new Set<number>();
  const ids = new Set<unknown>();
  for (let index = 0; index < count; index++) {
    const { id } = await command.event("open");
    found.add(Number(id) % threads);
    ids.add(id);
  }
  assertEquals(ids.size, count, "two connections have the same number");
  return found;
}

testEngines("websocksy serves in several threads", async (_, engine) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await Command.start({
    engine,
    host: peer.host,
    args: ["--threads", "3"],
  });
  // That one of three gets none of 60 is as likely as 1 in 10^10.
  const { clients, close } = await openMany(command, 60);
  using _close = close;
  assertEquals((await threadsOf(command, 60, 3)).size, 3);
  for (const [index, client] of clients.entries()) {
    await client.send(`to ${index}`);
  }
  for (const [index, client] of clients.entries()) {
    assertEquals(await client.read(), `to ${index}`);
  }
  command.kill("SIGTERM");
  for (const client of clients) {
    assertEquals((await client.readToClose())?.code, 1001);
    await client.sendClose(1001);
  }
  assertEquals((await command.status).code, 0);
}, options);

testEngines(
  "websocksy counts the connections of all threads together",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: [
        ...["--threads", "2", "--max-connections", "30"],
        ...["--max-connections-per-address", "20"],
        ...["--trusted-proxy", "127.0.0.1"],
      ],
    });
    async function ask(address: string): Promise<number> {
      using client = await RawClient.connect(command.port);
      const headers = { "X-Forwarded-For": address };
      return (await client.request({ headers })).status;
    }
    using stack = new DisposableStack();
    async function open(address: string): Promise<RawClient> {
      const client = stack.use(await RawClient.connect(command.port));
      await client.upgrade({ headers: { "X-Forwarded-For": address } });
      return client;
    }
    const clients: RawClient[] = [];
    for (let index = 0; index < 20; index++) {
      clients.push(await open("192.0.2.1"));
    }
    assertEquals((await threadsOf(command, 20, 2)).size, 2);
    for (let index = 0; index < 10; index++) {
      assertEquals(await ask("192.0.2.1"), 503);
    }
    for (let index = 0; index < 10; index++) await open("192.0.2.2");
    for (let index = 0; index < 10; index++) {
      assertEquals(await ask("192.0.2.3"), 503);
    }
    await clients[0]!.sendClose(1000);
    await command.event("close");
    await open("192.0.2.3");
  },
  options,
);

testEngines(
  "websocksy configures all threads anew on SIGHUP",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using first = TestPeer.tcp(echo);
    await using second = TestPeer.tcp(echo);
    const text = (host: string): string =>
      `[core]\nthreads = 2\n[backend]\nhost = ${host}\n`;
    const file = await directory.write("a.ini", text(first.host));
    await using command = await Command.start({ file, engine });
    const before = await openMany(command, 30);
    using _before = before.close;
    await first.accepted(30);
    await directory.write("a.ini", text(second.host));
    command.kill("SIGHUP");
    await command.event("reload", ({ level }) => level === "info");
    const after = await openMany(command, 30);
    using _after = after.close;
    await first.accepted(30);
    await second.accepted(30);
    for (const client of [...before.clients, ...after.clients]) {
      await client.send("on");
      assertEquals(await client.read(), "on");
    }
  },
  options,
);

testEngines(
  "websocksy gives each thread the plugins for itself",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    const plugin = await directory.write(
      "plugin.js",
      `export const apiVersion = 1;
       const address = ${JSON.stringify(peer.host)};
       export const createBackend = () => ({ query: () => ({ address }) });`,
    );
    await using command = await Command.start({
      engine,
      args: ["--threads", "2", "-b", plugin],
    });
    const { clients, close } = await openMany(command, 30);
    using _close = close;
    assertEquals((await threadsOf(command, 30, 2)).size, 2);
    for (const client of clients) {
      await client.send("there");
      assertEquals(await client.read(), "there");
    }
  },
  // Plugins, reloads and threads know no engine.
  { ...options, only: ["stream"] },
);

Deno.test(needing(options.needs, {
  name: "websocksy does not share a port with another process",
  fn: async () => {
    await using first = await Command.start({ args: ["--threads", "2"] });
    for (const threads of ["1", "2"]) {
      const { code, stderr } = await runCommand([
        ...["-l", "127.0.0.1", "-p", `${first.port}`, "--threads", threads],
      ]);
      assertEquals(code, 1);
      assertMatch(stderr, /: it is in use; stop the program/);
      assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
    }
  },
}));

Deno.test("websocksy says where threads share nothing, and runs one", async () => {
  await using directory = new TemporaryDirectory();
  await using peer = TestPeer.tcp(echo);
  const socket = `${directory.path}/listen.sock`;
  await using command = await Command.start({
    host: peer.host,
    args: ["--threads", "2", "-l", `unix:${socket}`],
  });
  const { level, count, why } = await command.event("threads");
  assertEquals({ level, count }, { level: "warn", count: 1 });
  assertMatch(String(why), /Unix socket/);
  using client = await RawClient.connectUnix(socket);
  await client.upgrade();
  await client.send("served");
  assertEquals(await client.read(), "served");
});

testEngines(
  "websocksy takes SIGHUP while its threads start",
  async (_, engine) => {
    // The port is known before the command says it.
    const port = freePort();
    const command = await createCommand([
      ...["-l", "127.0.0.1", "-p", `${port}`],
      ...["--threads", "2", "--engine", engine],
    ], {});
    const child = command.spawn();
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    try {
      const stdout = child.stdout.cancel();
      // The first thread listens before the other one is started.
      while (!await accepts(port));
      child.kill("SIGHUP");
      for await (const line of linesOf(child.stderr)) {
        if (line.includes("reload")) break;
      }
      await stdout;
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0);
    } finally {
      if (!hasEnded) child.kill("SIGKILL");
      await child.status;
    }
  },
  // Plugins, reloads and threads know no engine.
  { ...options, only: ["stream"] },
);

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    const { ConnectionRefused } = Deno.errors;
    if (!(error instanceof ConnectionRefused || isConnectionLost(error))) {
      throw error;
    }
    return false;
  }
}
