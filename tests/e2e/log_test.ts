/** The log when it is not read, and when its file is moved. */

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { join } from "node:path";
import { RawClient, request } from "../support/client.ts";
import {
  createCommand,
  engines,
  type LogEntry,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { linesOf } from "../support/feed.ts";
import { isConnectionLost } from "../support/lost.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { eventually } from "../support/process_resources.ts";

import { TemporaryDirectory } from "../support/service.ts";

/** More long lines than a pipe and the room for them take. */
const refusals = 700;
/** A target for a line that is almost as long as lines may be. */
const longTarget = `/${"x".repeat(3600)}`;

/** Connects as soon as somebody listens. */
async function connect(port: number): Promise<RawClient> {
  for (;;) {
    try {
      return await RawClient.connect(port);
    } catch (error) {
      const { ConnectionRefused } = Deno.errors;
      if (!(error instanceof ConnectionRefused || isConnectionLost(error))) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Asserts that a client is served. */
async function assertServes(client: RawClient): Promise<void> {
  await client.upgrade();
  await client.send("honest");
  assertEquals(await client.read(), "honest");
}

for (const threads of [1, 2]) {
  testEngines(
    `websocksy with ${threads} threads serves while its log is not read, and logs how many lines were dropped`,
    async (_, engine) => {
      await using peer = TestPeer.tcp(echo);
      const port = freePort();
      const command = await createCommand([
        ...["-p", `${port}`, "-l", "127.0.0.1", "--log-format", "json"],
        ...["--engine", engine, "--threads", `${threads}`],
        ...["-c", `host=${peer.host}`, "--drain-timeout", "1"],
      ], {});
      const child = command.spawn();
      try {
        const lines = linesOf(child.stderr)[Symbol.asyncIterator]();
        for (;;) {
          const { value } = await lines.next();
          if (JSON.parse(value).event === "listening") break;
        }
        // Nobody asks for more of them now.
        for (let count = 0; count < refusals * threads; count++) {
          const { status } = await request(port, {
            target: longTarget,
            headers: { "Sec-WebSocket-Version": "12" },
          });
          assertEquals(status, 426);
        }
        {
          using client = await connect(port);
          await assertServes(client);
        }
        const entries: LogEntry[] = [];
        let told = 0;
        for (;;) {
          const { value } = await lines.next();
          const entry = JSON.parse(value) as LogEntry;
          entries.push(entry);
          if (entry.event === "log") told += Number(entry.dropped);
          const refused = entries.filter(({ event }) => event === "refuse");
          if (told > 0 && refused.length + told >= refusals * threads) break;
        }
        child.kill("SIGTERM");
        while (!(await lines.next()).done);
        assertEquals((await child.status).code, 0);
        const kept = entries.filter(({ event }) => event === "refuse").length;
        assertGreater(kept, 5);
        assertLess(kept, refusals * threads);
      } finally {
        if (await isRunning(child)) child.kill("SIGKILL");
        await child.status;
        await child.stdout.cancel();
        if (!child.stderr.locked) await child.stderr.cancel();
      }
    },
    {
      needs: threads > 1 ? ["linux"] : ["unix"],
      // The log of several threads knows no engine.
      only: threads > 1 ? ["stream"] : engines,
      timeout: 180_000,
    },
  );
}

/** Whether a child has not ended. */
function isRunning(child: Deno.ChildProcess): Promise<boolean> {
  return Promise.race([
    child.status.then(() => false),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 0)),
  ]);
}

testEngines(
  "websocksy ends in time while its log is not read",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const port = freePort();
    const command = await createCommand([
      ...["-p", `${port}`, "-l", "127.0.0.1", "--engine", engine],
      ...["-c", `host=${peer.host}`, "--drain-timeout", "1"],
    ], {});
    const child = command.spawn();
    using _client = await connect(port);
    for (let count = 0; count < refusals; count++) {
      await request(port, {
        target: longTarget,
        headers: { "Sec-WebSocket-Version": "12" },
      });
    }
    child.kill("SIGTERM");
    // One that waited for its log to be read would not end.
    assertEquals((await child.status).code, 0);
    await child.stdout.cancel();
    await child.stderr.cancel();
  },
  { needs: ["unix"] },
);

for (const threads of [1, 2]) {
  testEngines(
    `websocksy with ${threads} threads opens its log file again for logrotate`,
    async (_, engine) => {
      await using directory = new TemporaryDirectory();
      const path = join(directory.path, "websocksy.log");
      await using peer = TestPeer.tcp(echo);
      const port = freePort();
      const command = await createCommand([
        ...["-p", `${port}`, "-l", "127.0.0.1", "--log-file", path],
        ...["--engine", engine, "--threads", `${threads}`],
        ...["-c", `host=${peer.host}`],
      ], {});
      const child = command.spawn();
      try {
        // Before, with two threads, a connection is reset that comes early.
        await eventually(
          "it listens",
          () => readIfThere(path),
          (text) => / listening /.test(text),
        );
        await visit(port, "first");
        await eventually(
          "the first client is logged",
          () => Deno.readTextFileSync(path),
          (text) => / endpoint=\/first/.test(text),
        );
        const rotation = await directory.write(
          "logrotate.conf",
          `${path} {
  rotate 3
  nocreate
  postrotate
    kill -HUP ${child.pid}
  endscript
}
`,
        );
        const state = join(directory.path, "state");
        const { success, stderr } = await new Deno.Command("logrotate", {
          args: ["--force", "--state", state, rotation],
          stdout: "null",
          stderr: "piped",
        }).output();
        assert(success, new TextDecoder().decode(stderr));
        await eventually(
          "the file is there again, and the configuration is read",
          () => readIfThere(path),
          (text) => / info reload/.test(text),
        );
        for (let count = 0; count < 8; count++) await visit(port, "second");
        await eventually(
          "the other clients are logged",
          () => Deno.readTextFileSync(path),
          (text) => text.match(/ open .*endpoint=\/second/g)?.length === 8,
        );
        const old = await Deno.readTextFile(`${path}.1`);
        assert(/endpoint=\/first/.test(old), old);
        assert(!/endpoint=\/second/.test(old), old);
      } finally {
        child.kill("SIGTERM");
        await child.status;
        await child.stdout.cancel();
        // With a file, nothing of it is on stderr.
        assertEquals(
          (await Array.fromAsync(linesOf(child.stderr))).join("\n"),
          "",
        );
      }
    },
    {
      needs: threads > 1 ? ["logrotate", "linux"] : ["logrotate"],
      only: ["stream"],
      timeout: 180_000,
    },
  );
}

/** Opens a WebSocket at an endpoint, and gets an echo. */
async function visit(port: number, endpoint: string): Promise<void> {
  using client = await connect(port);
  await client.upgrade({ target: `/${endpoint}` });
  await client.send("honest");
  assertEquals(await client.read(), "honest");
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

Deno.test("websocksy says that a log file cannot be written to", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "none", "log");
  const { code, stderr } = await runCommand(["--log-file", path]);
  assertEquals([code, stderr.includes("cannot use log-file")], [2, true]);
});
