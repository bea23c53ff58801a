/** The admin listener of the real command, and the client for it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { adminPort, ask } from "../support/admin.ts";
import { RawClient, request } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { Metrics } from "../support/metrics.ts";
import { needing } from "../support/needing.ts";
import { get } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

/** A connection, as the listener describes it. */
interface Row {
  readonly id: number;
  readonly endpoint: string;
  readonly [name: string]: unknown;
}

async function list(port: number, query = ""): Promise<Row[]> {
  const response = await fetch(`http://127.0.0.1:${port}/connections${query}`);
  assertEquals(response.status, 200);
  return (await response.json()).connections;
}

Deno.test(needing(["linux", "curl"], {
  name: "Operators see and steer the connections of all threads",
  timeout: 240_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using one = TestPeer.tcp(echo);
    await using two = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const text = `[core]
backend = file
threads = 2
admin = 127.0.0.1:0
health = /health
trusted-proxy = 127.0.0.1
[backend]
path = ${directory.path}
expression = %endpoint%
`;
    const file = await directory.write("websocksy.ini", text);
    await directory.write("one", `${one.host} *\n`);
    await directory.write("two", `${two.host} * binary\n`);
    await using command = await Command.start({ file });
    const { port } = command;
    const admin = await adminPort(command);
    await using stack = new AsyncDisposableStack();

    async function open(endpoint: string, from: string): Promise<RawClient> {
      return stack.use(
        await RawClient.open(port, {
          target: `/${endpoint}?token=secret`,
          headers: { "X-Forwarded-For": from },
        }),
      );
    }
    const clients: RawClient[] = [];
    for (let index = 0; index < 40; index++) {
      clients.push(
        await open(index % 2 ? "one" : "two", `192.0.2.${index % 4}`),
      );
      await command.event("open");
    }

    await t.step("lists every connection once", async () => {
      await clients[0]!.send("12345");
      await clients[0]!.read();
      const rows = await list(admin);
      const ids = command.logged("open").map(({ id }) => Number(id));
      assertEquals(
        rows.map(({ id }) => id).sort((a, b) => a - b),
        ids.toSorted((a, b) => a - b),
      );
      assertEquals(new Set(ids.map((id) => id % 2)).size, 2);
      const first = rows.find(({ id }) => id === ids[0])!;
      const { since, seconds, toPeer, toClient, ...known } = first;
      assertEquals(known, {
        id: ids[0]!,
        remote: "192.0.2.0",
        endpoint: "/two",
        peer: two.host,
        framing: "binary",
        waiting: { toPeer: 0, toClient: 0 },
      });
      assert(Math.abs(Date.parse(String(since)) - Date.now()) < 120_000);
      assert(Number(seconds) > 0);
      for (const way of [toPeer, toClient] as Record<string, number>[]) {
        assertEquals([way.messages, way.bytes], [1, 5]);
        assert(way.bytesPerSecond! >= 0 && way.bytesPerSecond! <= 5);
      }
      const shown = await ask(admin, `GET /connections/${ids[0]}`);
      assertEquals(JSON.parse(shown.body).endpoint, "/two");
      assertEquals((await ask(admin, "GET /connections/9999")).status, 404);
      assertEquals((await list(admin, "?remote=192.0.2.3")).length, 10);
      assertEquals(
        (await list(admin, `?remote=192.0.2.3&peer=${one.host}`)).length,
        10,
      );
      assertEquals((await list(admin, "?user=ada")).length, 0);
    });

    await t.step("refuses every request of another site", async () => {
      const everything = [
        ...["GET /", "GET /health", "GET /metrics", "GET /connections"],
        ...["GET /connections/1", "DELETE /connections/1"],
        ...[`DELETE /connections?peer=${one.host}`, "POST /drain"],
        ...["POST /resume", "POST /reload", "POST /log?level=error"],
        "POST /connections/1/capture",
      ];
      const refused: [headers: Record<string, string>, status: number][] = [
        [{ Origin: "https://evil.example" }, 403],
        [{ Origin: "null" }, 403],
        [{ "Sec-Fetch-Site": "cross-site" }, 403],
        [{ Host: `evil.example:${admin}` }, 403],
      ];
      for (const request of everything) {
        for (const [headers, status] of refused) {
          const answer = await ask(admin, request, headers);
          assertEquals(answer.status, status, request);
          assertEquals(answer.headers.get("access-control-allow-origin"), null);
        }
        if (request.startsWith("GET")) continue;
        const form = { "Content-Type": "text/plain" };
        assertEquals((await ask(admin, request, form)).status, 415, request);
      }
      const preflight = await ask(admin, "OPTIONS /drain");
      assertEquals(preflight.status, 405);
      assertEquals((await list(admin)).length, 40);
      assertEquals((await get(port, "/health")).status, 200);
      const count = everything.length * refused.length;
      for (let each = 0; each < count; each++) {
        await command.event("admin", ({ status }) => status === 403);
      }
      const refusals = command.logged("admin")
        .filter(({ status }) => status === 403);
      assertEquals(refusals.length, count);
    });

    await t.step("refuses what it does not know", async () => {
      const table: [request: string, status: number][] = [
        ["GET /none", 404],
        ["GET /connections/", 404],
        ["GET /connections/0", 404],
        ["GET /connections/ID", 404],
        ["POST /connections/ID/capture", 404],
        ["GET /toString", 404],
        ["PUT /drain", 405],
        ["GET /drain", 405],
        ["POST /connections", 405],
        ["DELETE /connections", 400],
        ["DELETE /connections?usr=x", 400],
        ["DELETE /connections?id=1", 400],
        ["DELETE /connections/9999", 404],
        ["POST /log", 400],
        ["POST /log?level=loud", 400],
      ];
      for (const [request, status] of table) {
        assertEquals((await ask(admin, request)).status, status, request);
      }
      assertEquals((await list(admin)).length, 40);
    });

    await t.step("closes by id, peer and address, and no others", async () => {
      async function left(): Promise<Record<string, number>> {
        const counts: Record<string, number> = {};
        for (const { remote, endpoint } of await list(admin)) {
          const key = `${remote} ${endpoint}`;
          counts[key] = (counts[key] ?? 0) + 1;
        }
        return counts;
      }
      async function close(
        request: string,
        ...indices: number[]
      ): Promise<void> {
        const { status, body } = await ask(admin, request);
        assertEquals([status, body], [200, `{"closed":${indices.length}}\n`]);
        for (const index of indices) {
          assertEquals(await clients[index]!.readClose(), {
            code: 1008,
            reason: "closed by an operator",
          });
          await clients[index]!.sendClose(1008);
          await command.event("close");
        }
      }
      const ids = command.logged("open").map(({ id }) => Number(id));
      await close(`DELETE /connections/${ids[0]}`, 0);
      await close(`DELETE /connections/${ids[1]}`, 1);
      const from = (index: number): number[] =>
        clients.flatMap((_, each) =>
          each > 1 && each % 4 === index ? [each] : []
        );
      await close("DELETE /connections?remote=192.0.2.2", ...from(2));
      assertEquals(await left(), {
        "192.0.2.0 /two": 9,
        "192.0.2.1 /one": 9,
        "192.0.2.3 /one": 10,
      });
      await close(
        `DELETE /connections?peer=${encodeURIComponent(one.host)}`,
        ...from(1),
        ...from(3),
      );
      assertEquals(await left(), { "192.0.2.0 /two": 9 });
      for (const expected of [undefined, undefined, 10, 19]) {
        const { closed } = await command.event(
          "admin",
          ({ action }) => action === "close",
        );
        assertEquals(closed, expected);
      }
      // The others go on.
      await clients[4]!.send("on");
      await clients[4]!.read();
    });

    await t.step("drains and resumes all threads at once", async () => {
      const drained = await ask(admin, "POST /drain");
      assertMatch(drained.body, /^\{"draining":true,"open":9,/);
      for (let count = 0; count < 20; count++) {
        assertEquals((await request(port, { target: "/one" })).status, 503);
        assertEquals((await get(port, "/health")).status, 503);
      }
      assertEquals((await ask(admin, "GET /health")).status, 503);
      await clients[4]!.send("on");
      await clients[4]!.read();
      assertMatch(
        (await ask(admin, "POST /resume")).body,
        /^\{"draining":false/,
      );
      assertEquals((await ask(admin, "GET /health")).status, 200);
      for (let count = 0; count < 20; count++) {
        assertEquals((await get(port, "/health")).status, 200);
        using _ = await RawClient.open(port, { target: "/one" });
        await command.event("open");
      }
    });

    await t.step("counts all threads in the metrics", async () => {
      const { body, headers } = await ask(admin, "GET /metrics");
      const metrics = new Metrics(body);
      assertEquals(
        metrics.sum("websocksy_handshakes_total", {
          http_response_status_code: "101",
        }),
        60,
      );
      assertMatch(
        headers.get("content-type")!,
        /^text\/plain; version=0\.0\.4/,
      );
      // No page of the public port shows them.
      assertEquals((await get(port, "/metrics")).status, 426);
    });

    await t.step("reads the configuration again", async () => {
      await directory.write("websocksy.ini", text.replace("/health", "/other"));
      assertEquals((await ask(admin, "POST /reload")).status, 200);
      for (let count = 0; count < 10; count++) {
        assertEquals((await get(port, "/other")).status, 200);
      }
      await directory.write("websocksy.ini", `${text}\nnone = 1\n`);
      const { status, body } = await ask(admin, "POST /reload");
      assertEquals(status, 422);
      assertMatch(body, /^the configuration stays as it was: .*none/);
      assertEquals((await get(port, "/other")).status, 200);
    });

    await t.step("sets the level of the log in all threads", async () => {
      assertEquals((await ask(admin, "POST /log?level=error")).status, 200);
      const before = command.logged("open").length;
      for (let count = 0; count < 10; count++) {
        using _ = await RawClient.open(port, { target: "/one" });
      }
      await ask(admin, "POST /log?level=debug");
      for (let count = 0; count < 10; count++) await get(port, "/other");
      for (let count = 0; count < 10; count++) await command.event("page");
      assertEquals(command.logged("open").length, before);
      await ask(admin, "POST /log?level=info");
    });

    await t.step("answers curl", async () => {
      const { stdout } = await new Deno.Command("curl", {
        args: [
          ...["--silent", "--show-error", "--request", "DELETE"],
          `http://localhost:${admin}/connections?remote=192.0.2.0`,
        ],
      }).output();
      assertEquals(new TextDecoder().decode(stdout), '{"closed":9}\n');
    });

    await t.step("tells who is left while the server ends", async () => {
      using last = await RawClient.open(port, { target: "/two" });
      command.kill("SIGTERM");
      assertEquals((await last.readClose()).code, 1001);
      assertEquals((await list(admin)).length >= 1, true);
      assertEquals((await ask(admin, "GET /health")).status, 503);
      await last.sendClose(1001);
      assertEquals((await command.status).code, 0);
    });
  },
}));

Deno.test(needing(["unix"], {
  name: "websocksy --admin is a client for it, over a Unix socket too",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "admin.sock");
    await using command = await SharedCommand.start({
      host: peer.host,
      args: ["--admin", `unix:${path}`],
    });
    assertEquals((await command.event("admin")).address, `unix:${path}`);
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
    using client = await RawClient.open(command.port, { target: "/a" });
    using other = await RawClient.open(command.port, { target: "/b" });

    async function run(...words: string[]): Promise<[number, string]> {
      const { code, stdout, stderr } = await runShared([
        ...["--admin", `unix:${path}`, ...words],
      ]);
      return [code, stdout + stderr];
    }
    const [code, table] = await run("list");
    assertEquals(code, 0);
    const lines = table.trimEnd().split("\n");
    assertMatch(lines[0]!, /^ ?ID +USER +REMOTE +ENDPOINT +PEER +OPEN /);
    assertMatch(lines[1]!, /^ *1 +- +127\.0\.0\.1:\d+ +\/a +tcp:/);
    assertEquals(lines.length, 3);
    const [, json] = await run("list", "--json");
    assertEquals(
      JSON.parse(json).connections.map(({ endpoint }: Row) => endpoint),
      ["/a", "/b"],
    );
    assertEquals(await run("close", "1"), [0, "closed 1 connection\n"]);
    assertEquals((await client.readClose()).code, 1008);
    // It has not answered yet.
    assertEquals(await run("close", "1"), [0, "closed 0 connections\n"]);
    assertEquals(await run("show", "9"), [
      1,
      "websocksy: no connection has the number 9\n",
    ]);
    assertEquals(await run("shutdown"), [
      2,
      'websocksy: "shutdown": unknown command; known are list, show, close, capture, drain, resume, reload, log\n',
    ]);
    command.kill("SIGTERM");
    await other.readClose();
    await other.sendClose(1001);
    assertEquals((await command.status).code, 0);
    // It removes its socket; then there is nobody to ask.
    const [status, why] = await run("drain");
    assertEquals(status, 1);
    assertMatch(
      why,
      /^websocksy: cannot reach unix:.*: no server .*--admin.*\n$/,
    );
    assertEquals(why.trimEnd().includes("\n"), false);
  },
}));

testEngines(
  "The admin listener reads each request as it checks it, however it is sent",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--admin", "127.0.0.1:0", "--ping", "0"],
    });
    const admin = await adminPort(command);
    using open = await RawClient.open(command.port);
    const host = `Host: 127.0.0.1:${admin}`;
    const evil = "Host: evil.example";
    const own = `http://127.0.0.1:${admin}`;
    const upgrade = [
      ...["Connection: Upgrade", "Upgrade: websocket"],
      ...["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + "A".repeat(22)],
    ].join("\r\n") + "==";
    const table: readonly (readonly [status: number, ...lines: string[]])[] = [
      // Which name it is asked by.
      [403, "GET /health HTTP/1.0"],
      [403, "POST /drain HTTP/1.0", "Content-Length: 0"],
      [403, "GET /health HTTP/1.1"],
      [200, `GET ${own}/health HTTP/1.1`, host],
      [400, "GET http://evil.example/health HTTP/1.1", host],
      [400, `GET ${own}/health HTTP/1.1`, evil],
      [400, "GET /health HTTP/1.1", host, evil],
      [400, "GET /health HTTP/1.1", "Host: 127.0.0.1, evil.example"],
      [400, "GET /health HTTP/1.1", "Host: evil.example@127.0.0.1"],
      [403, "GET /health HTTP/1.1", "Host: 127.0.0.1.evil.example"],
      [403, "GET /health HTTP/1.1", "Host: localhost.evil.example"],
      // Who has made a browser ask.
      [403, "POST /drain HTTP/1.1", host, `Origin: ${own}`, `Origin: http://x`],
      [403, "POST /drain HTTP/1.1", host, "Origin: http://127.0.0.1:1"],
      [403, "POST /drain HTTP/1.1", host, "Sec-Fetch-Site: same-site"],
      [
        ...[403, "POST /drain HTTP/1.1", host] as const,
        ...["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
      ],
      [415, "POST /drain HTTP/1.1", host, "Content-Type: TEXT/Plain ;a=b"],
      [415, "POST /drain HTTP/1.1", host, "Content-Type: text/plain;a, a/b"],
      [
        ...[415, "DELETE /connections?peer=x HTTP/1.1", host] as const,
        "Content-Type: multipart/form-data; boundary=a",
      ],
      // What it is asked.
      [405, "GET /drain HTTP/1.1", host, "X-HTTP-Method-Override: POST"],
      [405, "GET /drain?_method=POST HTTP/1.1", host],
      [405, "HEAD /drain HTTP/1.1", host],
      [200, "HEAD /connections HTTP/1.1", host],
      [405, "TRACE /health HTTP/1.1", host],
      [404, "GET /connections/1000000000 HTTP/1.1", host],
      [404, "GET /connections/9007199254740993 HTTP/1.1", host],
      [404, "GET /connections/99999999999999999 HTTP/1.1", host],
      ...["1e9", "-1", "01", "%31", "1/", "1/../1", "1;x", "0x1"].map(
        (id) => [404, `GET /connections/${id} HTTP/1.1`, host] as const,
      ),
      ...["/../health", "/%68ealth", "//health", "/./health", "/health/"].map(
        (path) => [404, `GET ${path} HTTP/1.1`, host] as const,
      ),
      [400, "GET * HTTP/1.1", host],
      [400, "GET /connections?__proto__=x HTTP/1.1", host],
      [400, "DELETE /connections?remote HTTP/1.1", host, "Host: x"],
      // No WebSocket is opened, and no body is waited for.
      [200, "GET /health HTTP/1.1", host, upgrade],
      [200, "POST /resume HTTP/1.1", host, "Content-Length: 99999999999"],
      [200, "POST /resume HTTP/1.1", host, "Transfer-Encoding: chunked"],
      [200, "POST /resume HTTP/1.1", host, "Content-Length: 9", "Expect: x"],
      [
        ...[400, "POST /drain HTTP/1.1", host] as const,
        ...["Content-Length: 3", "Transfer-Encoding: chunked"],
      ],
    ];
    for (const [status, ...lines] of table) {
      using client = await RawClient.connect(admin);
      await client.sendBytes(`${lines.join("\r\n")}\r\n\r\n`);
      const [method] = lines[0]!.split(" ");
      const answer = await client.readResponse(method);
      assertEquals(answer.status, status, lines.join("\n"));
    }
    // Several on one connection are answered in order, each checked.
    using client = await RawClient.connect(admin);
    const post = "Content-Length: 0\r\n\r\n";
    await client.sendBytes(
      [
        `GET /health HTTP/1.1\r\n${host}\r\n\r\n`,
        `POST /drain HTTP/1.1\r\n${evil}\r\n${post}`,
        `POST /drain HTTP/1.1\r\n${host}\r\nOrigin: null\r\n${post}`,
        `POST /resume HTTP/1.1\r\n${host}\r\n${post}`,
        `GET /connections/1/capture HTTP/1.1\r\n${host}\r\n\r\n`,
      ].join(""),
    );
    for (const status of [200, 403, 403, 200, 405]) {
      assertEquals((await client.readResponse()).status, status);
    }
    const done = command.logged("admin").map(({ action }) => action);
    assertEquals(new Set(done), new Set([undefined, "resume"]));
    await open.send("on");
    await open.read();
  },
);

Deno.test("websocksy listens for operators only where others cannot reach it", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const inUse = `127.0.0.1:${taken.addr.port}`;
  const table: [args: string[], code: number, message: string][] = [
    [["--admin", "0.0.0.0:9001"], 2, "others can reach that address"],
    [["--admin", "[::]:9001"], 2, "others can reach that address"],
    [["--admin", "example.com:9001"], 2, "others can reach that address"],
    [["--admin", "9001"], 2, 'it is HOST:PORT or unix:PATH, not "9001"'],
    [["--admin-mode", "660"], 2, "it needs admin = unix:PATH, too"],
    [
      ["-p", "0", "-l", "127.0.0.1", "--admin", inUse],
      1,
      `Cannot listen on ${inUse}: it is in use; stop the program that uses it, or choose another port with --admin`,
    ],
  ];
  for (const [args, code, message] of table) {
    const result = await runShared(args);
    assertEquals(
      [result.code, result.stderr.includes(message)],
      [code, true],
      result.stderr,
    );
  }
});
