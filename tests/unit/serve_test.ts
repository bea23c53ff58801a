import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConfigError, serve, type ServeOptions } from "../../core/mod.ts";
import { RawClient, request } from "../support/client.ts";
import { echo, TestPeer } from "../support/peer.ts";

const hostname = "127.0.0.1";

function portOf({ addr }: { readonly addr: Deno.Addr }): number {
  return addr.transport === "tcp" ? addr.port : 0;
}

for (const engine of ["stream", "native"]) {
  Deno.test(`serve() bridges to an address with ${engine}`, async () => {
    await using peer = TestPeer.tcp(echo);
    await using server = await serve({
      port: 0,
      hostname,
      backend: peer.host,
      framing: "newline",
      framingConfig: "lf",
      protocol: "*",
      core: { engine, "max-message": 100 },
    });
    assertEquals(server.addr, {
      transport: "tcp",
      hostname,
      port: portOf(server),
    });
    using client = await RawClient.open(portOf(server));
    await client.send("one\ntwo\n");
    assertEquals(await client.read(), "one\n");
    assertEquals(await client.read(), "two\n");
  });
}

Deno.test("serve() takes a backend and framing functions of the program", async () => {
  await using peer = TestPeer.tcp(echo);
  let cleaned = 0;
  const server = await serve({
    port: 0,
    hostname,
    backend: {
      query: ({ endpoint }) =>
        endpoint === "/two"
          ? { address: peer.host, framing: "two" }
          : undefined,
      cleanup: () => void cleaned++,
    },
    framings: {
      two: () => ({
        frame: (data) => data.length < 2 ? null : { length: 2, type: "text" },
      }),
    },
  });
  using client = await RawClient.open(portOf(server), { target: "/two" });
  await client.send("abcd");
  assertEquals([await client.read(), await client.read()], ["ab", "cd"]);
  assertEquals(
    (await request(portOf(server), { target: "/other" })).status,
    404,
  );
  const ends = [server.shutdown(), server.shutdown(), server.finished];
  assertEquals((await client.readToClose())?.code, 1001);
  await client.sendClose(1001);
  await client.closeWrite();
  await Promise.all(ends);
  assertEquals(cleaned, 1);
});

Deno.test("serve() takes a framing function for an address", async () => {
  await using peer = TestPeer.tcp(echo);
  await using server = await serve({
    port: 0,
    hostname,
    backend: peer.host,
    framing: (config) => ({
      frame: () => ({ length: Number(config), type: "text" }),
    }),
    framingConfig: "1",
  });
  using client = await RawClient.open(portOf(server));
  await client.send("ab");
  assertEquals([await client.read(), await client.read()], ["a", "b"]);
});

Deno.test("serve() ends with its signal, and writes its log", async () => {
  const controller = new AbortController();
  let log = "";
  const server = await serve({
    port: 0,
    hostname,
    signal: controller.signal,
    core: {
      "log-format": "json",
      "allow-peer": ["tcp://127.0.0.1", "udp://127.0.0.1"],
    },
    log: (lines) => log += lines,
  });
  assertEquals((await request(portOf(server))).status, 502);
  controller.abort();
  await server.finished;
  assertEquals(JSON.parse(log.split("\n")[0]!).event, "refuse");
  await assertRejects(
    () => serve({ signal: controller.signal }),
    DOMException,
    "aborted",
  );
});

const wrong: readonly (readonly [what: string, ServeOptions])[] = [
  ['unknown option "max-conections"', { core: { "max-conections": 1 } }],
  ["cannot use ping", { core: { ping: "often" } }],
  ["only the command starts threads", { core: { threads: 2 } }],
  ["{ port: … }", { core: { port: 1 } }],
  ['unknown backend "nothing"', { backend: "nothing" }],
  ['unknown framing "nothing"', { framing: "nothing" }],
  ["whose answers say it", {
    backend: { query: () => undefined },
    framing: "auto",
  }],
  ["is a built-in one", {
    framings: { auto: () => ({ frame: () => null }) },
  }],
];

for (const [what, options] of wrong) {
  Deno.test(`serve() refuses what it cannot do: ${what}`, async () => {
    const error = await assertRejects(
      () => serve({ port: 0, hostname, ...options }),
      ConfigError,
    );
    assertStringIncludes(error.message, what);
  });
}
