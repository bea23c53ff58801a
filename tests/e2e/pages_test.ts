/** What the server answers over HTTP beside WebSockets: the console, the health check, and who gets them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import manifest from "../../deno.json" with { type: "json" };
import { RawClient, request } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { formatPlain, get } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

testEngines(
  "pages: the console may run its own script, and nothing else",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const { host } = peer;
    const args = ["--console", "/debug", "--max-connections", "1"];
    await using command = await SharedCommand.start({ engine, host, args });
    const { port } = command;
    using open = await RawClient.open(port);
    const { status, headers, body } = await get(port, "/debug");
    assertEquals(status, 200);
    assertEquals(headers.get("content-type"), "text/html; charset=utf-8");
    assertEquals(headers.get("cache-control"), "no-cache");
    assertEquals(headers.get("x-content-type-options"), "nosniff");
    const policy = new Map(
      headers.get("content-security-policy")!.split("; ").map((directive) => {
        const [name, ...sources] = directive.split(" ");
        return [name, sources.join(" ")];
      }),
    );
    const hash = (text: string): string =>
      `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    const within = (element: string): string =>
      body.split(new RegExp(`<${element}\\b[^>]*>|</${element}>`))[1]!;
    assertEquals(Object.fromEntries(policy), {
      "default-src": "'none'",
      "script-src": hash(within("script")),
      "style-src": hash(within("style")),
      "connect-src": "ws: wss: 'self'",
      "img-src": "data: blob:",
      "base-uri": "'none'",
      "form-action": "'none'",
      "frame-ancestors": "'none'",
    });
    // What the policy forbids is not in it.
    assertEquals(/\s(style|on\w+)="|(src|href)="(?!data:)/.exec(body), null);
    assertEquals((await get(port, "/debug?x=/y")).status, 200);

    const head = await get(port, "/debug", { method: "HEAD" });
    const text = (fields: Headers): string[] =>
      [...fields].filter(([name]) => name !== "date").map(String).toSorted();
    assertEquals(head.status, 200);
    assertEquals(text(head.headers), text(headers));
    assertEquals(
      headers.get("content-length"),
      String(new TextEncoder().encode(body).length),
    );
    await open.send("still there");
    assertEquals(await open.read(), "still there");
  },
);

testEngines(
  "pages: what asks for no page is answered as ever",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const { host } = peer;
    const args = ["--console", "/page", "--health", "/health"];
    await using command = await SharedCommand.start({ engine, host, args });
    const { port } = command;
    for (const target of ["/", "/page/", "/Page", "/%70age", "//page"]) {
      const { status, headers } = await get(port, target);
      assertEquals([status, headers.get("upgrade")], [426, "websocket"]);
      assertEquals((await command.event("refuse")).target, target);
    }
    assertEquals((await get(port, "/", { method: "POST" })).status, 405);
    // A WebSocket is a WebSocket, at any path, and a bad one no page.
    using client = await RawClient.open(port, { target: "/page" });
    await client.send("x");
    assertEquals(await client.read(), "x");
    const bad = { "Sec-WebSocket-Key": null };
    const refused = await request(port, { target: "/page", headers: bad });
    assertEquals(refused.status, 400);
    const half = { Connection: "keep-alive" };
    const { status } = await request(port, { target: "/page", headers: half });
    assertEquals(status, 426);
  },
);

testEngines("pages: only GET and HEAD ask for one", async (_, engine) => {
  await using files = new TemporaryDirectory();
  const args = ["--console", "/c", "--health", "/h", "--web", files.path];
  await using command = await SharedCommand.start({ engine, args });
  for (const target of ["/c", "/h", "/", "/none"]) {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      const headers = { "Content-Length": "0" };
      const { status, headers: got, body } = await get(command.port, target, {
        method,
        headers,
      });
      assertEquals([status, got.get("allow")], [405, "GET, HEAD"]);
      assertStringIncludes(body, "use GET or HEAD");
    }
  }
  // A body that is there, and one that never comes.
  using client = await RawClient.connect(command.port);
  const length = (bytes: number): { headers: Record<string, string> } => ({
    headers: { "Content-Length": `${bytes}` },
  });
  await client.sendBytes(
    formatPlain("/h", { method: "POST", ...length(4) }) + "body",
  );
  assertEquals((await client.readResponse()).status, 405);
  using other = await RawClient.connect(command.port);
  await other.sendBytes(formatPlain("/h", { method: "POST", ...length(9) }));
  assertEquals((await other.readResponse()).status, 405);
});

testEngines(
  "pages: health counts connections, whatever their limit",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const { host } = peer;
    const args = ["--health", "/health", "--max-connections", "2"];
    await using command = await SharedCommand.start({ engine, host, args });
    async function health(): Promise<unknown> {
      const { status, headers, body } = await get(command.port, "/health");
      assertEquals(status, 200);
      assertEquals(headers.get("content-type"), "application/json");
      assertEquals(headers.get("cache-control"), "no-store");
      const { uptime, ...rest } = JSON.parse(body);
      assert(Number.isInteger(uptime) && uptime >= 0 && uptime < 60, body);
      return rest;
    }
    const { version } = manifest;
    assertEquals(await health(), { status: "ok", version, connections: 0 });
    using _first = await RawClient.open(command.port);
    using second = await RawClient.open(command.port);
    assertEquals((await request(command.port)).status, 503);
    await command.event("refuse");
    assertEquals(await health(), { status: "ok", version, connections: 2 });
    await second.sendClose(1000);
    await command.event("close");
    assertEquals(await health(), { status: "ok", version, connections: 1 });
    // Nobody has to look at probes in the log.
    assertEquals(command.logged("page"), []);
    assertEquals(command.logged("refuse").length, 1);
  },
);

testEngines(
  "pages: health counts the connections of all threads",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const { host } = peer;
    const args = ["--health", "/health", "--threads", "2"];
    await using command = await Command.start({ engine, host, args });
    using stack = new DisposableStack();
    for (let count = 1; count <= 4; count++) {
      stack.use(await RawClient.open(command.port));
      // The system chooses the thread that answers.
      for (let index = 0; index < 4; index++) {
        const { body } = await get(command.port, "/health");
        assertEquals(JSON.parse(body).connections, count);
      }
    }
  },
  { needs: ["linux"] },
);

testEngines(
  "pages: health says 503 until the last connection is closed",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const { host } = peer;
    const args = ["--health", "/health", "--drain-timeout", "60"];
    await using command = await SharedCommand.start({ engine, host, args });
    const { port } = command;
    using open = await RawClient.open(port);
    using kept = await RawClient.connect(port);
    assertEquals((await get(kept, "/health")).status, 200);
    command.kill("SIGTERM");
    await command.event("shutdown");
    assertEquals((await open.readClose()).code, 1001);
    // The client has not answered yet: on a new connection, and on an old one.
    for (const to of [port, kept]) {
      const { status, body } = await get(to, "/health");
      const { status: word, connections } = JSON.parse(body);
      assertEquals([status, word, connections], [503, "draining", 1]);
    }
    assertEquals((await request(port)).status, 503);
    await open.sendClose(1001);
    assertEquals((await command.status).code, 0);
  },
);

testEngines(
  "pages: several requests at once on a connection are answered in order",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const { host } = peer;
    await using files = new TemporaryDirectory();
    await files.write("a.txt", "a");
    await files.write("b.txt", "b".repeat(300_000));
    const args = ["--health", "/health", "--web", files.path];
    await using command = await SharedCommand.start({ engine, host, args });
    using client = await RawClient.connect(command.port);
    const asked = [
      ["GET", "/b.txt", 200],
      ["HEAD", "/b.txt", 200],
      ["GET", "/a.txt", 200],
      ["GET", "/none", 404],
      ["HEAD", "/none", 404],
      ["GET", "/b.txt", 200],
      ["POST", "/a.txt", 405],
      ["GET", "/health", 200],
    ] as const;
    await client.sendBytes(
      asked.map(([method, target]) =>
        formatPlain(target, {
          method,
          headers: { "Content-Length": method === "POST" ? "0" : null },
        })
      ).join(""),
    );
    for (const [method, target, status] of asked) {
      const response = await client.readResponse(method);
      assertEquals(response.status, status, target);
      const length = Number(response.headers.get("content-length"));
      assertEquals(response.body.length, method === "HEAD" ? 0 : length);
      if (target === "/b.txt") assertEquals(length, 300_000);
    }
    // The same connection becomes a WebSocket.
    await client.upgrade();
    await client.send("x");
    assertEquals(await client.read(), "x");
  },
);

testEngines(
  "pages: an upgrade to another protocol is not taken up",
  async (_, engine) => {
    await using files = new TemporaryDirectory();
    const text = "0123456789".repeat(50_000);
    await files.write("a.txt", text);
    const args = ["--health", "/health", "--web", files.path];
    await using command = await SharedCommand.start({ engine, args });
    const headers = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c" };
    const { status, body } = await get(command.port, "/a.txt", { headers });
    assertEquals(status, 200);
    assert(body === text);
    for (const method of ["GET", "HEAD"]) {
      const options = { method, headers };
      assertEquals((await get(command.port, "/health", options)).status, 200);
      assertEquals((await get(command.port, "/none", options)).status, 404);
    }
  },
);

testEngines(
  "pages: SIGHUP changes them, unless they cannot be",
  async (_, engine) => {
    await using files = new TemporaryDirectory();
    await Deno.mkdir(`${files.path}/one`);
    await Deno.mkdir(`${files.path}/two`);
    await files.write("one/a.txt", "one");
    await files.write("two/a.txt", "two");
    const config = (lines: string): Promise<string> =>
      files.write("config.ini", `[core]\n${lines}\n`);
    const file = await config(`health = /old\nweb = ${files.path}/one`);
    await using command = await SharedCommand.start({ engine, file });
    const statuses = async (...targets: string[]): Promise<number[]> => {
      const responses = await Promise.all(
        targets.map((target) => get(command.port, target)),
      );
      return responses.map(({ status }) => status);
    };
    assertEquals(await statuses("/old", "/new", "/a.txt"), [200, 404, 200]);
    await config(`health = /new\nconsole = /c\nweb = ${files.path}/two`);
    command.kill("SIGHUP");
    await command.event("reload", ({ level }) => level === "info");
    assertEquals(await statuses("/old", "/new", "/c"), [404, 200, 200]);
    assertEquals((await get(command.port, "/a.txt")).body, "two");
    await config(`web = ${files.path}/three`);
    command.kill("SIGHUP");
    const { error } = await command.event("reload");
    assertStringIncludes(String(error), "no such directory");
    assertEquals(await statuses("/new", "/c", "/a.txt"), [200, 200, 200]);
    await config("");
    command.kill("SIGHUP");
    await command.event("reload", ({ level }) => level === "info");
    assertEquals(await statuses("/new", "/c", "/a.txt"), [426, 426, 426]);
  },
);

testEngines("pages: TLS is theirs, too", async (_, engine) => {
  await using files = new TemporaryDirectory();
  const { cert } = await createCertificate(files.path);
  await Deno.mkdir(`${files.path}/www`);
  const text = "0123456789".repeat(100_000);
  await files.write("www/a.txt", text);
  const tls = ["cert", "key"].flatMap((name) => [
    `--tls-${name}`,
    `${files.path}/${name}.pem`,
  ]);
  const pages = ["--console", "/", "--health", "/health"];
  const args = [...tls, ...pages, "--web", `${files.path}/www`];
  await using command = await SharedCommand.start({ engine, args });
  using client = Deno.createHttpClient({ caCerts: [cert] });
  const url = `https://localhost:${command.port}`;
  for (const target of ["/", "/health", "/a.txt"]) {
    const response = await fetch(`${url}${target}`, { client });
    const body = await response.text();
    assertEquals(response.status, 200);
    if (target === "/a.txt") assert(body === text);
  }
}, { needs: ["openssl"] });

testEngines(
  "pages: the demo has the console where it says",
  async (_, engine) => {
    await using files = new TemporaryDirectory();
    const file = await files.write("config.ini", "[core]\nconsole = /mine\n");
    for (
      const [options, path] of [
        [{}, "/"],
        [{ file }, "/mine"],
        [{ args: ["--console", "/arg"] }, "/arg"],
      ] as const
    ) {
      const args = ["--demo", ..."args" in options ? options.args : []];
      await using command = await SharedCommand.start({
        engine,
        ...options,
        args,
      });
      const line = await command.stdout.take((line) => line.startsWith("Open"));
      const url = /http:\S+/.exec(line)![0];
      assertEquals(url, `http://127.0.0.1:${command.port}${path}`);
      const response = await fetch(url);
      assertStringIncludes(await response.text(), "<!DOCTYPE html>");
    }
  },
);

Deno.test("pages: options that do not go together are told", async () => {
  const cases = [
    [["--console", "/x", "--health", "/x"], /^websocksy: --health: .*"\/x"/],
    [["--web-listing", "true"], /^websocksy: --web-listing: .*web, too/],
    [["--health", "health"], /^websocksy: --health: .*"health"/],
  ] as const;
  for (const [args, line] of cases) {
    const { code, stderr } = await runShared([...args, "--check"]);
    assertEquals([code, line.test(stderr)], [2, true], stderr);
    assertEquals(stderr.trimEnd().split("\n").length, 1);
  }
});
