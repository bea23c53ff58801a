/** The access log: a line for each request, at the end of what came of it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { formatRequest, RawClient, request } from "../support/client.ts";
import {
  Command,
  createCommand,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { Feed, linesOf } from "../support/feed.ts";
import { needing } from "../support/needing.ts";
import { get } from "../support/pages_client.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { eventually } from "../support/process_resources.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";
import { makeToken, tokenKey, tokenProtocol } from "../support/tokens.ts";

testEngines(
  "The access log has a line for each request, with what came of it",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: [
        ...["--access-log", "-", "--health", "/health"],
        ...["--trusted-proxy", "127.0.0.1", "-c", "protocol=*"],
      ],
    });
    const { port, stdout } = command;
    async function line(): Promise<Record<string, unknown>> {
      const entry = JSON.parse(await stdout.take());
      assertMatch(entry.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert(entry.seconds >= 0 && entry.seconds < 60);
      const { time: _, seconds: __, ...rest } = entry;
      return rest;
    }

    const page = await get(port, "/health?secret=1", {
      headers: { "User-Agent": "probe" },
    });
    const known = { remote: "", host: "bridge.test" };
    const first = await line();
    assertMatch(String(first.remote), /^127\.0\.0\.1:\d+$/);
    assertEquals({ ...first, remote: "" }, {
      ...known,
      method: "GET",
      endpoint: "/health",
      "user-agent": "probe",
      status: 200,
      "to-client-bytes": page.body.length,
    });

    // Two clients are named: the line has the proxy.
    await get(port, "/health", {
      headers: {
        Forwarded: "for=192.0.2.7",
        "X-Forwarded-For": "192.0.2.8",
      },
    });
    const unclear = await line();
    assertMatch(String(unclear.remote), /^127\.0\.0\.1:\d+$/);
    assertEquals(unclear.status, 200);

    const bad = {
      "Sec-WebSocket-Version": "8",
      "User-Agent": 'x" \\',
    };
    const target = "/a%0ab?token=secret";
    await request(port, { target, headers: bad });
    const refused = await line();
    const { error, id, ...others } = refused;
    assertEquals({ ...others, remote: "" }, {
      ...known,
      method: "GET",
      endpoint: "/a%0ab",
      "user-agent": 'x" \\',
      status: 426,
    });
    assertEquals(id, (await command.event("refuse")).id);
    assertMatch(String(error), /version/i);
    assert(!stdout.all.join("").includes("secret"));

    {
      using client = await RawClient.open(port, {
        target: "/b?q",
        headers: {
          Origin: "https://example.com",
          "Sec-WebSocket-Protocol": "one, two",
          "X-Forwarded-For": "192.0.2.7",
        },
      });
      await client.send("1234567");
      await client.read();
      await client.send("8");
      await client.read();
      await client.sendClose(4001, "no more");
      await client.readClose();
    }
    assertEquals(await line(), {
      ...known,
      id: (await command.event("open")).id,
      remote: "192.0.2.7",
      method: "GET",
      endpoint: "/b",
      origin: "https://example.com",
      status: 101,
      protocol: "one",
      peer: peer.host,
      framing: "auto",
      "to-peer-messages": 2,
      "to-peer-bytes": 8,
      "to-client-messages": 2,
      "to-client-bytes": 8,
      code: 4001,
      by: "client",
      reason: "no more",
    });

    // One is open when the server ends.
    using open = await RawClient.open(port, { target: "/open" });
    command.kill("SIGTERM");
    assertEquals((await open.readClose()).code, 1001);
    await open.sendClose(1001);
    assertEquals((await line()).code, 1001);
    assertEquals((await command.status).code, 0);
    assertEquals(stdout.all.length, 5);
  },
);

Deno.test({
  name: "Clients that leave before there is an answer have a line, too",
  timeout: 180_000,
  async fn(): Promise<void> {
    // It accepts nothing, so that clients wait.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using directory = new TemporaryDirectory();
    const backend = await directory.write(
      "never.js",
      `export const apiVersion = 1;
       export const createBackend = () => ({ query: () => new Promise(() => {}) });`,
    );
    await using command = await Command.start({
      args: ["-b", backend, "--access-log", "-"],
      permissions: ["--allow-all"],
    });
    {
      using client = await RawClient.connect(command.port);
      await client.sendBytes(formatRequest({ target: "/never" }));
      await client.closeWrite();
    }
    const { status, endpoint } = JSON.parse(await command.stdout.take());
    assertEquals({ status, endpoint }, { status: 499, endpoint: "/never" });
    listener.close();
  },
});

Deno.test({
  name: "A format says what the lines of the access log look like",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    const format =
      '%remote% - %user% "%method% %endpoint%?%query%" %status% %to-peer-bytes% "%header:X-Tag%" 100%%';
    await using command = await Command.start({
      host: peer.host,
      args: ["--access-log", "-", "--access-log-format", format],
    });
    using client = await RawClient.open(command.port, {
      target: "/a?b=c",
      headers: { "X-Tag": 'say "hi"\\\x85' },
    });
    await client.send("12345");
    await client.read();
    await client.sendClose(1000);
    const line = (await command.stdout.take()).replace(/:\d+ /, ":1 ");
    assertEquals(
      line,
      '127.0.0.1:1 - - "GET /a?b=c" 101 5 "say \\"hi\\"\\\\Â\\u0085" 100%',
    );
  },
});

Deno.test(needing(["logrotate", "linux"], {
  name: "logrotate moves the access log away, and no line is lost",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    const path = join(directory.path, "access.log");
    await using command = await Command.start({
      host: peer.host,
      args: ["--access-log", path, "--threads", "2"],
    });
    async function visit(endpoint: string): Promise<void> {
      using client = await RawClient.open(command.port, { target: endpoint });
      await client.sendClose(1000);
      await client.readClose();
    }
    // The lines of both files, each of which has to be whole.
    const seen = (...files: string[]): string[] =>
      files.flatMap((file) =>
        Deno.readTextFileSync(file).split("\n").slice(0, -1)
          .map((line) => JSON.parse(line).endpoint)
      );
    await visit("/first");
    await eventually(
      "it is written",
      () => seen(path),
      (all) => all.length > 0,
    );
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o640);
    const rotation = await directory.write(
      "logrotate.conf",
      `${path} {\n  rotate 3\n  nocreate\n  postrotate\n    kill -HUP ${command.pid}\n  endscript\n}\n`,
    );
    // Clients come and go all the time.
    let count = 0;
    let isOver = false;
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) await visit(`/${count++}`);
    });
    for (let rotated = 0; rotated < 2; rotated++) {
      const { success, stderr } = await new Deno.Command("logrotate", {
        args: ["--force", "--state", join(directory.path, "state"), rotation],
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      // Until the signal has arrived, lines go to the file that was moved.
      await command.event("reload");
      const before = count;
      await eventually("more come", () => count, () => count > before + 10);
    }
    isOver = true;
    await Promise.all(load);
    await visit("/last");
    const files = [path, `${path}.1`, `${path}.2`];
    const all = await eventually(
      "all are written",
      () => seen(...files),
      (all) => all.length === count + 2,
    );
    assertEquals(new Set(all).size, all.length);
    assert(seen(path).includes("/last"));
    assert(seen(`${path}.2`).includes("/first"));
    assertEquals(command.logged("access-log"), []);
  },
}));

Deno.test({
  name:
    "An access log that is not read holds nobody up, and what is dropped is told",
  timeout: 180_000,
  async fn(): Promise<void> {
    const port = freePort();
    const command = await createCommand([
      ...["-p", `${port}`, "-l", "127.0.0.1", "--log-format", "json"],
      ...["--access-log", "-"],
    ], {});
    const child = command.spawn();
    const log = new Feed(linesOf(child.stderr), (line) => JSON.parse(line));
    try {
      const headers = { "Sec-WebSocket-Version": "12" };
      const target = `/${"x".repeat(3600)}`;
      await log.take(({ event }) => event === "listening");
      for (let count = 0; count < 700; count++) {
        assertEquals((await request(port, { target, headers })).status, 426);
      }
      const lines = linesOf(child.stdout)[Symbol.asyncIterator]();
      const dropped = log.take(({ event }) => event === "access-log");
      let isOver = false;
      let read = 0;
      dropped.then(() => isOver = true);
      while (!isOver) {
        await lines.next();
        read++;
        if (read > 5) await request(port, { target: "/more" });
      }
      assert((await dropped).dropped > 0);
      await lines.return?.();
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await log.ended;
    }
  },
});

Deno.test(needing(["linux"], {
  name: "A pipe whose reader hangs holds up neither a reload nor the end",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "pipe");
    await new Deno.Command("mkfifo", { args: [path] }).output();
    {
      using _reader = await Deno.open(path, { read: true, write: true });
      await using command = await Command.start({
        args: ["--access-log", path, "--threads", "2", "--drain-timeout", "60"],
      });
      const { port } = command;
      const target = `/${"x".repeat(3600)}`;
      for (let count = 0; count < 100; count++) {
        const headers = { "Sec-WebSocket-Version": "12" };
        assertEquals((await request(port, { target, headers })).status, 426);
      }
      command.kill("SIGHUP");
      await command.event("reload");
      command.kill("SIGTERM");
      // Not only once the time to drain is over.
      assertEquals((await command.status).code, 0);
      assertEquals(command.logged("drain-timeout"), []);
    }
    // Without a reader, it does not start; nor does it wait for ever.
    const { code, stderr } = await runCommand(["--access-log", path]);
    assertEquals(code, 2);
    assertMatch(stderr, /cannot use access-log: .*a pipe needs a reader\n$/);
  },
}));

Deno.test(needing(["namespaces", "linux"], {
  name: "A full disk is told, holds nobody up, and mixes no lines",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const mount = `mount -t tmpfs -o size=64k tmpfs ${directory.path}`;
    await using command = await Command.start({
      args: ["--access-log", join(directory.path, "log")],
      wrapper: [
        ...["unshare", "--map-root-user", "--mount", "sh", "-c"],
        ...[`${mount} && exec "$@"`, "sh"],
      ],
    });
    // As the command sees the disk.
    const disk = join(`/proc/${command.pid}/root`, directory.path);
    async function visit(target: string): Promise<void> {
      const headers = { "Sec-WebSocket-Version": "12" };
      const { status } = await request(command.port, { target, headers });
      assertEquals(status, 426);
    }
    await Deno.writeFile(join(disk, "other"), new Uint8Array(48 * 1024));
    for (let count = 0; count < 40; count++) {
      await visit(`/${count}/${"x".repeat(999)}`);
    }
    const { error } = await command.event("access-log");
    assertMatch(String(error), /^cannot write: No space left on device/);
    await Deno.remove(join(disk, "other"));
    for (let count = 0; count < 5; count++) await visit(`/more/${count}`);
    const { dropped } = await command.event("access-log");
    await visit("/last");
    const lines = await eventually(
      "the last line is written",
      () => Deno.readTextFileSync(join(disk, "log")).split("\n"),
      (lines) => lines.at(-2)?.includes('"/last"') ?? false,
    );
    const whole = lines.filter((line) => line.endsWith("}"));
    // Of a line that was cut, the beginning is left.
    assert(lines.length - 1 - whole.length <= 1);
    for (const line of whole) JSON.parse(line);
    assertEquals(whole.length + Number(dropped), 46);
  },
}));

Deno.test("websocksy says what is wrong with an access log", async () => {
  await using directory = new TemporaryDirectory();
  const path = join(directory.path, "none", "log");
  const table: [args: string[], message: string][] = [
    [
      ["--access-log", path],
      `cannot use access-log: cannot write to "${path}"`,
    ],
    [["--access-log-format", "%id%"], "it needs access-log, too"],
    [["--access-log-format", "%ip%"], 'it has an unknown field, "ip"'],
  ];
  for (const [args, message] of table) {
    const { code, stderr } = await runShared(args);
    assertEquals([code, stderr.includes(message)], [2, true], stderr);
  }
});

Deno.test("No log, and no answer to an operator, has a token that is for a backend", async () => {
  await using peer = TestPeer.tcp(echo);
  await using directory = new TemporaryDirectory();
  const keys = await directory.write("keys.json", tokenKey);
  const format =
    "%id% %status% %endpoint% %query% %header:referer% %protocol% %error%";
  const file = await directory.write(
    "websocksy.ini",
    `[core]
log = debug
admin = 127.0.0.1:0
health = /health
access-log = -
access-log-format = ${format}
[route /desk]
token = %query:ticket%
[route /by/*]
token = %rest%
`.replace(/\[route.*/g, `$&\nbackend = jwt\nkey = ${keys}\nprotocol = *`),
  );
  await using command = await Command.start({ file });
  const { port, log, stdout } = command;
  const { port: peerPort } = new URL(peer.host);
  const claims = { host: "127.0.0.1", port: Number(peerPort) };
  const token = makeToken({ claims });
  const refused = async (
    target: string,
    status: number,
    why: RegExp,
    headers = {},
  ): Promise<void> => {
    const response = await request(port, { target, headers });
    assertEquals(response.status, status);
    const line = await command.event("refuse");
    assertMatch(String(line.why), why);
  };
  await refused("/desk?ticket=opaque-secret", 401, /malformed/, {
    Referer: "https://bridge.test/?a=1&ticket=opaque-secret",
  });
  // A name that is none is not the fault of the server.
  for (const sub of ["", "x".repeat(257), "a\nb"]) {
    const signed = makeToken({ claims, sub });
    await refused(`/desk?ticket=${signed}`, 403, /claim sub is not a string/);
  }
  await get(port, "/health?ticket=opaque-secret");
  // Nor is one to talk in that carries a token.
  const carried = { "Sec-WebSocket-Protocol": tokenProtocol(token) };
  await refused(`/desk?ticket=${token}`, 400, /the client offers/, carried);
  using client = await RawClient.open(port, { target: `/by/${token}` });
  assertEquals((await command.event("open")).endpoint, "/by/…");
  const { address } = await command.event("admin");
  const admin = new URL(String(address));
  const { body } = await get(Number(admin.port), "/connections", {
    headers: { Host: admin.host },
  });
  assertEquals(JSON.parse(body).connections[0].endpoint, "/by/…");
  await client.sendClose(1000);
  await command.event("close");
  for (let line = 0; line < 7; line++) await stdout.take();
  const text = [...log.all.map(({ text }) => text), ...stdout.all].join("\n");
  assert(text.includes("?ticket=…"), text);
  assert(text.includes("?a=1&ticket=…"), text);
  for (
    const secret of [
      "opaque",
      token.slice(0, 20),
      carried["Sec-WebSocket-Protocol"].slice(40, 80),
    ]
  ) {
    assert(!text.includes(secret), `"${secret}" is in a log: ${text}`);
  }
});
