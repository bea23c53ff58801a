import process from "node:process";
import { PassThrough } from "node:stream";
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

Deno.test("serve() has access sections, for all requests or for those of a route", async () => {
  await using server = await serve({
    port: 0,
    hostname,
    backend: "tcp://127.0.0.1:1",
    core: { console: "/console", health: "/health" },
    access: {
      here: { address: ["192.0.2.1", "127.0.0.1"] },
      nobody: { address: "192.0.2.1" },
    },
    routes: {
      "/console": { backend: "tcp://127.0.0.1:1", core: { access: "nobody" } },
      "/health": { backend: "tcp://127.0.0.1:1", core: { access: "nobody" } },
    },
  });
  const statuses: number[] = [];
  for (const path of ["console", "health"]) {
    const url = `http://127.0.0.1:${portOf(server)}/${path}`;
    const response = await fetch(url);
    await response.body?.cancel();
    statuses.push(response.status);
  }
  assertEquals(statuses, [403, 200]);
});

Deno.test("serve() has routes, and several peers for one", async () => {
  await using peer = TestPeer.tcp(echo);
  const gone = TestPeer.tcp(echo);
  await gone[Symbol.asyncDispose]();
  const framing = {
    frame: (data: Uint8Array) =>
      data.length < 2 ? null : { length: 2, type: "text" as const },
  };
  await using server = await serve({
    port: 0,
    hostname,
    routes: {
      "/two": { backend: [gone.host, peer.host], framing: () => framing },
      "/own/*": {
        backend: {
          query: ({ rest }) =>
            rest === "a"
              ? { address: [gone.host, peer.host], framing: "newline" }
              : undefined,
        },
        core: { origin: "https://a.example" },
      },
    },
  });
  const port = portOf(server);
  using client = await RawClient.open(port, { target: "/two" });
  await client.send("abcd");
  assertEquals([await client.read(), await client.read()], ["ab", "cd"]);
  const headers = { Origin: "https://a.example" };
  using own = await RawClient.open(port, { target: "/own/a", headers });
  await own.send("x\r\n");
  assertEquals(await own.read(), "x\r\n");
  for (
    const [options, status] of [
      [{ target: "/own/b", headers }, 404],
      [{ target: "/own/a" }, 403],
      [{ target: "/" }, 404],
      [{ target: "/two/../own/a", headers }, 400],
    ] as const
  ) assertEquals((await request(port, options)).status, status);
  const refused: [routes: ServeOptions["routes"], message: string][] = [
    [{ "two": { backend: "file" } }, 'cannot use route "two"'],
    [{ "/two": {} }, 'cannot use route "/two": it has no option'],
    [
      { "/two": { backend: peer.host, core: { port: 1 } } },
      'cannot use port of route "/two"',
    ],
    [
      { "/two": { backend: { query: () => undefined }, protocol: "x" } },
      "cannot use protocol: the backend is an object",
    ],
  ];
  for (const [routes, message] of refused) {
    const error = await assertRejects(
      () => serve({ port: 0, hostname, routes: routes! }),
      ConfigError,
    );
    assertStringIncludes(error.message, message);
  }
});

Deno.test("serve() refuses to compress with a runtime whose zlib works differently", async () => {
  const load = process.getBuiltinModule;
  const zlib = load("node:zlib");
  // Its streams have no handle.
  const other = { ...zlib, createDeflateRaw: () => new PassThrough() };
  process.getBuiltinModule =
    ((name: string) =>
      name === "node:zlib" ? other : load(name)) as typeof load;
  try {
    const backend = "tcp://127.0.0.1:1";
    const cases: ServeOptions[] = [
      { backend, core: { compression: "on" } },
      { backend, routes: { "/a": { backend, core: { compression: 1 } } } },
    ];
    for (const options of cases) {
      await assertRejects(
        () => serve({ port: 0, hostname, ...options }),
        TypeError,
        "Cannot compress: node:zlib of this Deno does not work as expected",
      );
    }
    // Without compression, it is not looked at.
    const server = await serve({ port: 0, hostname, backend });
    await server.shutdown();
  } finally {
    process.getBuiltinModule = load;
  }
});

Deno.test("serve() names the flag without which a port cannot be shared", async () => {
  const { listenDatagram } = Deno;
  // As it is without the flag.
  Object.assign(Deno, { listenDatagram: undefined });
  try {
    const options = { port: 0, hostname, core: { "reuse-port": true } };
    const { message } = await assertRejects(() => serve(options), ConfigError);
    assertEquals(
      message,
      'cannot use reuse-port: it needs Deno\'s unstable flag "net": run with --unstable-net',
    );
  } finally {
    Object.assign(Deno, { listenDatagram });
  }
});
