import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { join } from "node:path";
import {
  Command,
  type CommandOptions,
  type EngineName,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { formatRequest, RawClient } from "../support/client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

/** A directory with room for a socket. */
class SocketDirectory extends TemporaryDirectory {
  readonly socket = join(this.path, "socket");

  /** Whether there is anything at the socket's place. */
  async has(): Promise<boolean> {
    try {
      await Deno.lstat(this.socket);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  start(
    engine: EngineName,
    host: string,
    args: readonly string[] = [],
  ): Promise<SharedCommand> {
    return SharedCommand.start({
      engine,
      host,
      args: ["-l", `unix:${this.socket}`, ...args],
    });
  }

  /** Asserts that a WebSocket over the socket works. */
  async assertServes(): Promise<void> {
    using client = await RawClient.connectUnix(this.socket);
    await client.upgrade();
    await client.send("served");
    assertEquals(await client.read(), "served");
  }

  /** Asserts that the command does not listen here, and says why in one line. */
  async assertFails(
    engine: EngineName,
    line: RegExp,
    options?: CommandOptions,
  ): Promise<void> {
    const args = ["--engine", engine, "-l", `unix:${this.socket}`];
    const { code, stdout, stderr } = options === undefined
      ? await runShared(args)
      : await runCommand(args, options);
    assertMatch(stderr, /^websocksy: [^\n]*\n$/);
    assertMatch(stderr, line);
    assertEquals({ code, stdout }, { code: 1, stdout: "" });
  }
}

testEngines("websocksy replaces a Unix socket without a listener", async (
  _,
  engine,
) => {
  await using directory = new SocketDirectory();
  await using peer = TestPeer.tcp(echo);
  {
    await using killed = await Command.start({
      engine,
      host: peer.host,
      args: ["-l", `unix:${directory.socket}`],
    });
    await directory.assertServes();
    killed.kill("SIGKILL");
    await killed.status;
  }
  assert(await directory.has());
  await using command = await directory.start(engine, peer.host);
  await directory.assertServes();
  command.kill("SIGTERM");
  assertEquals((await command.status).code, 0);
  assertEquals(await directory.has(), false);
}, { needs: ["unix"] });

testEngines("websocksy leaves a Unix socket that is in use", async (
  _,
  engine,
) => {
  await using directory = new SocketDirectory();
  await using peer = TestPeer.tcp(echo);
  await using _command = await directory.start(engine, peer.host);
  await directory.assertFails(engine, /unix:.*socket: it is in use.* -l$/m);
  await directory.assertServes();
}, { needs: ["unix"] });

testEngines("websocksy leaves what is not a Unix socket", async (_, engine) => {
  await using directory = new SocketDirectory();
  await directory.write("socket", "precious");
  await directory.assertFails(engine, /unix:.*socket: what is there is no/);
  assertEquals(await Deno.readTextFile(directory.socket), "precious");
  await Deno.remove(directory.socket);
  await Deno.symlink(join(directory.path, "elsewhere"), directory.socket);
  await directory.assertFails(engine, /unix:.*socket: what is there is no/);
  assert((await Deno.lstat(directory.socket)).isSymlink);
}, { needs: ["unix"] });

testEngines(
  "websocksy removes its Unix socket when the drain time-out is over",
  async (_, engine) => {
    await using directory = new SocketDirectory();
    await using peer = TestPeer.tcp();
    await using command = await directory.start(engine, peer.host, [
      ...["--drain-timeout", "0.1"],
    ]);
    using client = await RawClient.connectUnix(directory.socket);
    await client.upgrade();
    command.kill("SIGTERM");
    assertEquals((await command.status).code, 0);
    await command.event("drain-timeout");
    assertEquals(await directory.has(), false);
  },
  { needs: ["unix"] },
);

testEngines(
  "websocksy gives its Unix socket the mode that is asked for",
  async (
    t,
    engine,
  ) => {
    await using peer = TestPeer.tcp(echo);
    for (const [mode, bits] of [["600", 0o600], ["0666", 0o666]] as const) {
      await t.step(mode, async () => {
        await using directory = new SocketDirectory();
        await using _command = await directory.start(engine, peer.host, [
          ...["--listen-mode", mode],
        ]);
        const { mode: found } = await Deno.lstat(directory.socket);
        assertEquals(found! & 0o777, bits);
        await directory.assertServes();
      });
    }
    await t.step("umask", async () => {
      await using directory = new SocketDirectory();
      await using _command = await Command.start({
        engine,
        host: peer.host,
        args: ["-l", `unix:${directory.socket}`],
        wrapper: ["sh", "-c", 'umask 027; exec "$@"', "sh"],
      });
      const { mode: found } = await Deno.lstat(directory.socket);
      assertEquals(found! & 0o777, 0o750);
    });
  },
  { needs: ["unix"] },
);

testEngines("websocksy names the flags that a Unix socket needs", async (
  _,
  engine,
) => {
  await using directory = new SocketDirectory();
  await directory.assertFails(engine, /--allow-read/, {
    permissions: ["--allow-net", "--allow-write"],
  });
  await directory.assertFails(engine, /--allow-write/, {
    permissions: ["--allow-net", "--allow-read"],
  });
}, { needs: ["unix", "deno run"] });

testEngines(
  "websocksy listens on an abstract socket, which needs no room in a directory",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const name = `websocksy-${crypto.randomUUID()}`;
    const args = ["-l", `unix:@${name}`, "-c", "proxy-protocol=v1"];
    async function serves(): Promise<Record<string, unknown>> {
      await using command = await Command.start({
        engine,
        host: peer.host,
        args,
      });
      using client = await RawClient.connectUnix(`\0${name}`);
      await client.upgrade();
      // The client has no address that the peer could be told.
      assertEquals(await client.read(), "PROXY UNKNOWN\r\n");
      await client.send("served");
      assertEquals(await client.read(), "served");
      const second = await runShared(["--engine", engine, ...args]);
      assertMatch(second.stderr, /unix:@\S+: it is in use.* -l\n$/);
      assertEquals(second.code, 1);
      const open = await command.event("open");
      command.kill("SIGKILL");
      await command.status;
      return open;
    }
    // Nothing is left of one that was killed.
    for (let time = 0; time < 2; time++) {
      assertMatch(String((await serves()).remote), /^[@\w-]+$/);
    }
    const mode = await runShared([...args, "--listen-mode", "600"]);
    assertMatch(mode.stderr, /--listen-mode: .*an abstract socket has no perm/);
    assertEquals(mode.code, 2);
  },
  { needs: ["linux"] },
);

/** What a client is answered, and after how many milliseconds its connection ended. */
interface Ending {
  readonly text: string;
  readonly after: number;
}

/** Writes what it can, and reads to the end. */
async function talk(port: number, words: string): Promise<Ending> {
  const start = performance.now();
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const writing = write(connection, new TextEncoder().encode(words));
  const text = await new Response(connection.readable).text().catch(String);
  await writing;
  return { text, after: performance.now() - start };
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  try {
    while (bytes.length > 0) {
      bytes = bytes.subarray(await connection.write(bytes));
    }
  } catch {
    // The server has ended the connection, which is what is looked at.
  }
}

function header(length: number): string {
  return `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(length)}\r\n\r\n`;
}

testEngines("websocksy refuses a request that takes too long", async (
  t,
  engine,
) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({
    engine,
    host: peer.host,
    args: ["--head-timeout", "0.4"],
  });
  // It is a limit on requests, and not on what comes after.
  using open = await RawClient.open(command.port);
  for (const words of ["", "GET / HT", formatRequest().slice(0, -2)]) {
    await t.step(JSON.stringify(words.slice(-10)), async () => {
      const { text, after } = await talk(command.port, words);
      assertMatch(
        text,
        /^HTTP\/1\.1 408 Request Timeout\r\n[^]*\r\n\r\nrequest took too long\n$/,
      );
      assert(after >= 390, `${after} ms`);
    });
  }
  await t.step("a byte now and then", async () => {
    using client = await Deno.connect({
      hostname: "127.0.0.1",
      port: command.port,
    });
    const text = new Response(client.readable).text();
    let isOver = false;
    text.finally(() => isOver = true);
    // All of it would take much longer, and be no request of a WebSocket.
    for (const byte of new TextEncoder().encode(header(2000))) {
      if (isOver) break;
      await write(client, Uint8Array.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertMatch(await text, /^HTTP\/1\.1 408 /);
  });
  await open.send("still");
  assertEquals(await open.read(), "still");
}, { only: ["stream"] });

testEngines(
  "websocksy waits for no body of a request that it refuses",
  async (t, engine) => {
    await using command = await SharedCommand.start({ engine });
    const bodies = { "Content-Length": "9999", "Transfer-Encoding": "chunked" };
    for (const [name, value] of Object.entries(bodies)) {
      await t.step(name, async () => {
        using client = await Deno.connect({
          hostname: "127.0.0.1",
          port: command.port,
        });
        const text = new Response(client.readable).text();
        let isOver = false;
        text.finally(() => isOver = true);
        await write(
          client,
          new TextEncoder().encode(
            `POST / HTTP/1.1\r\nHost: a\r\n${name}: ${value}\r\n\r\n`,
          ),
        );
        // A chunk is `1 CR LF`, a byte and `CR LF`.
        while (!isOver) {
          await write(client, new TextEncoder().encode("1\r\nx\r\n"));
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        assertMatch(await text, /^HTTP\/1\.1 405 [^]*connection: close/);
      });
    }
  },
  { only: ["stream"] },
);

testEngines(
  "websocksy refuses a head that is no request",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const malformed = [
      "NONSENSE\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
      "\x16\x03\x01\x02\0\x01\0\x01",
    ];
    for (const words of malformed) {
      await t.step(JSON.stringify(words), async () => {
        const { text, after } = await talk(command.port, words);
        assertMatch(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
        if (engine === "stream") {
          assertMatch(text, /\r\n\r\nmalformed request\n$/);
        }
        assertLess(after, 5000);
      });
    }
  },
);

testEngines("websocksy takes a head of 60 KiB and none of more than 64", async (
  t,
  engine,
) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await Command.start({ engine, host: peer.host });
  await t.step("60 KiB", async () => {
    using client = await RawClient.connect(command.port);
    await client.upgrade({ headers: { X: "x".repeat(60 * 1024) } });
    await client.send("served");
    assertEquals(await client.read(), "served");
  });
  for (const length of [64 * 1024 + 1, 16 * 1024 * 1024]) {
    await t.step(`${length} bytes`, async () => {
      const before = command.residentMemory();
      const { text, after } = await talk(command.port, header(length));
      assertMatch(
        text,
        engine === "stream"
          ? /^HTTP\/1\.1 431 [^]*\r\n\r\nrequest head is larger than 65536 bytes\n$/
          : /^HTTP\/1\.1 400 |ConnectionReset|reset/,
      );
      // One that is waited for hangs: it takes two minutes on no machine.
      assertLess(after, 120_000);
      assertLess(command.residentMemory() - before, 64 * 1024 * 1024);
    });
  }
});
