/** The opening handshake over a raw socket: each refusal, and what is accepted. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import {
  formatRequest,
  RawClient,
  type RawResponse,
  request,
  type RequestOptions,
} from "../support/client.ts";
import { Command, type EngineName, testEngines } from "../support/command.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { SharedCommand } from "../support/shared_command.ts";

/** Asserts what holds for every refusal: one line that leaks nothing. */
function assertRefusal(response: RawResponse, status: number): void {
  const { body, headers } = response;
  assertEquals(response.status, status, body);
  assertMatch(body, /^[^\n]+\n$/);
  assertMatch(headers.get("content-type") ?? "", /^text\/plain/);
  // No address, port, path or trace of what is behind the bridge.
  assertEquals(
    /\d+\.\d+\.\d+\.\d+|::|:\d|\/|\bat\b.*\.ts/.test(body),
    false,
    body,
  );
}

/** A refusal that does not depend on the backend. */
interface Refusal extends RequestOptions {
  readonly name: string;
  readonly status: number;
  readonly expected?: Readonly<Record<string, string>>;
}

const version = { "sec-websocket-version": "13" };
const upgrade = { upgrade: "websocket" };

const refusals: readonly Refusal[] = [
  ...["HEAD", "PUT", "DELETE", "OPTIONS", "POST"].map((method) => ({
    name: method,
    method,
    status: 405,
    expected: { allow: "GET" },
  })),
  {
    name: "POST without Upgrade",
    method: "POST",
    status: 405,
    expected: { allow: "GET" },
    headers: { Upgrade: null, Connection: null, "Content-Length": "0" },
  },
  {
    name: "plain GET",
    status: 426,
    expected: upgrade,
    headers: {
      Upgrade: null,
      Connection: null,
      "Sec-WebSocket-Key": null,
      "Sec-WebSocket-Version": null,
    },
  },
  {
    name: "no Upgrade",
    status: 426,
    expected: upgrade,
    headers: { Upgrade: null, Connection: "keep-alive" },
  },
  {
    name: "another Upgrade",
    status: 426,
    expected: upgrade,
    headers: { Upgrade: "h2c" },
  },
  {
    name: "no version",
    status: 426,
    expected: version,
    headers: { "Sec-WebSocket-Version": null },
  },
  {
    name: "version 8",
    status: 426,
    expected: version,
    headers: { "Sec-WebSocket-Version": "8" },
  },
  {
    name: "version 0",
    status: 426,
    expected: version,
    headers: { "Sec-WebSocket-Version": "0" },
  },
  {
    name: "no key",
    status: 400,
    headers: { "Sec-WebSocket-Key": null },
  },
  ...[
    "",
    "c2hvcnQ=",
    "dGhlIHNhbXBsZSBub25jZQ",
    "dGhlIHNhbXBsZSBub25jZQAA",
    "dGhl IHNhbXBsZSBub25jZ==",
  ].map((key) => ({
    name: `key "${key}"`,
    status: 400,
    headers: { "Sec-WebSocket-Key": key },
  })),
  {
    name: "another origin",
    status: 403,
    headers: { Origin: "https://evil.test" },
  },
  { name: "no origin", status: 403, headers: { Origin: null } },
  {
    name: "opaque origin",
    status: 403,
    headers: { Origin: "null" },
  },
  {
    name: "subprotocol not spoken",
    status: 400,
    headers: { "Sec-WebSocket-Protocol": "mqtt, amqp" },
  },
  {
    name: "malformed subprotocol",
    status: 400,
    headers: { "Sec-WebSocket-Protocol": "irc, b c" },
  },
];

const origin = "https://app.test";

testEngines(
  "handshake refuses with a status and one line",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--origin", `${origin}, https://b.test`, "-c", "protocol=irc"],
    });
    for (const { name, status, expected = {}, ...options } of refusals) {
      await t.step(`${name}: ${status}`, async () => {
        const response = await request(command.port, {
          ...options,
          headers: { Origin: origin, ...options.headers },
        });
        if (options.method === "HEAD") assertEquals(response.status, status);
        else assertRefusal(response, status);
        for (const [name, value] of Object.entries(expected)) {
          assertEquals(
            response.headers.get(name)?.toLowerCase(),
            value.toLowerCase(),
          );
        }
        const entry = await command.event("refuse");
        assertEquals(entry.status, status);
      });
    }
    // Whatever was refused, was refused before the peer was asked.
    assertEquals(peer.count, 0);
    for (const allowed of [origin, "https://b.test", "HTTPS://B.TEST"]) {
      using client = await RawClient.open(command.port, {
        headers: { Origin: allowed, "Sec-WebSocket-Protocol": "irc" },
      });
      await client.send("x");
      await client.read();
    }
    assertEquals(peer.count, 3);
  },
);

testEngines("handshake has one host and no body", async (_, engine) => {
  await using peer = TestPeer.tcp();
  await using command = await SharedCommand.start({ engine, host: peer.host });
  const cases: Readonly<Record<string, string | readonly string[]>> = {
    Host: ["a.test", "b.test"],
    "Content-Length": "5",
    "Transfer-Encoding": "chunked",
  };
  for (const [name, value] of Object.entries(cases)) {
    const { status } = await request(command.port, {
      headers: { [name]: value },
    });
    assertEquals(status, 400, name);
  }
  assertEquals(peer.count, 0);
});

testEngines("handshake takes a whole URL for its path", async (_, engine) => {
  await using peer = TestPeer.tcp();
  await using command = await SharedCommand.start({ engine, host: peer.host });
  const cases = [
    ["http://bridge.test/a/../b%20c?d=http://e/f", "/a/../b%20c"],
    ["ws://bridge.test", "/"],
  ] as const;
  for (const [target, endpoint] of cases) {
    using _client = await RawClient.open(command.port, { target });
    assertEquals((await command.event("open")).endpoint, endpoint);
  }
});

testEngines(
  "handshake goes on with the connection after a refusal",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    using client = await RawClient.connect(command.port);
    const plain = { Upgrade: null, Connection: "keep-alive" };
    assertRefusal(await client.request({ headers: plain }), 426);
    await client.upgrade();
    await client.send("now");
    assertEquals(await client.read(), "now");
  },
);

/** A subprotocol list, what the backend is configured with, and the answer. */
type ProtocolCase = readonly [
  configured: string | undefined,
  offered: string | readonly string[] | null,
  answer: string | null | 400,
];

const protocolCases: readonly ProtocolCase[] = [
  [undefined, null, null],
  [undefined, "a", 400],
  ["*", null, null],
  ["*", "a", "a"],
  ["*", "a,b", "a"],
  ["*", "a, b", "a"],
  ["*", " a\t,\tb ", "a"],
  ["*", ["x", "b"], "x"],
  ["b", "a,b", "b"],
  ["b", "a, b", "b"],
  ["b", ["a", "b"], "b"],
  ["b", ["a,c", "d, b"], "b"],
  ["b", "a, B", "B"],
  ["MQTT", "soap, mqtt", "mqtt"],
  ["b", null, null],
  ["b", "a, c", 400],
];

testEngines("handshake chooses a subprotocol", async (t, engine) => {
  await using peer = TestPeer.tcp(echo);
  for (const configured of new Set(protocolCases.map(([name]) => name))) {
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: configured === undefined ? [] : ["-c", `protocol=${configured}`],
    });
    const cases = protocolCases.filter(([name]) => name === configured);
    for (const [, offered, answer] of cases) {
      const name = `${configured}: ${JSON.stringify(offered)}`;
      await t.step(name, async () => {
        using client = await RawClient.connect(command.port);
        const response = await client.request({
          headers: { "Sec-WebSocket-Protocol": offered },
        });
        if (answer === 400) return assertRefusal(response, 400);
        assertEquals(response.status, 101, response.body);
        assertEquals(response.headers.get("sec-websocket-protocol"), answer);
        const { protocol } = await command.event("open");
        assertEquals(protocol, answer ?? undefined);
        await client.send("x");
        assertEquals(await client.read(), "x");
      });
    }
  }
});

testEngines("handshake lets a browser's WebSocket in", async (_, engine) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({
    engine,
    host: peer.host,
    args: ["-c", "protocol=b"],
  });
  const socket = new WebSocket(`ws://127.0.0.1:${command.port}/x`, ["a", "b"]);
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  assertEquals(socket.protocol, "b");
  const closed = new Promise<CloseEvent>((resolve) =>
    socket.addEventListener("close", resolve)
  );
  socket.close(3001, "bye");
  const { code, reason, wasClean } = await closed;
  assertEquals({ code, reason, wasClean }, {
    code: 3001,
    reason: "bye",
    wasClean: true,
  });
});

testEngines(
  "handshake passes the endpoint on as it was sent",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    const targets: Readonly<Record<string, string>> = {
      "/": "/",
      "/chat/room": "/chat/room",
      "/a/../b%20c": "/a/../b%20c",
      "/%2e%2e/%00?x=1": "/%2e%2e/%00",
      "//double//slash/": "//double//slash/",
      "/a?b?c=/d": "/a",
      "/~x/;p=1,2/!'()*": "/~x/;p=1,2/!'()*",
      "/?": "/",
    };
    for (const [target, endpoint] of Object.entries(targets)) {
      await t.step(target, async () => {
        using _client = await RawClient.open(command.port, { target });
        assertEquals((await command.event("open")).endpoint, endpoint);
      });
    }
  },
);

testEngines("handshake opens the peer before it accepts", async (_, engine) => {
  await using peer = TestPeer.tcp((connection) => {
    // The peer speaks first, and is gone: neither is lost.
    return connection.write(new TextEncoder().encode("first")).then(() => {});
  });
  await using command = await SharedCommand.start({ engine, host: peer.host });
  using client = await RawClient.open(command.port);
  await peer.accepted(1);
  assertEquals(await client.read(), "first");
  assertEquals(await client.readClose(), { code: 1000, reason: "" });
});

/** A peer that cannot be talked to. */
interface PeerFailure {
  readonly name: string;
  /** Its line in a file of the file backend. */
  readonly line: string;
  readonly status: number;
  readonly why: RegExp;
  readonly permissions?: readonly string[];
}

const nobody = `tcp://127.0.0.1:${freePort()}`;

const peerFailures: readonly PeerFailure[] = [
  {
    name: "framing function unknown",
    line: `${nobody} * nonsense`,
    status: 500,
    why: /nonsense/,
  },
  {
    name: "framing function named like a method",
    line: `${nobody} * toString`,
    status: 500,
    why: /toString/,
  },
  {
    name: "framing configuration wrong",
    line: `${nobody} * newline nl`,
    status: 500,
    why: /"nl"/,
  },
  {
    name: "framing configuration missing",
    line: `${nobody} * separator`,
    status: 500,
    why: /separator/i,
  },
  {
    name: "address malformed",
    line: "tcp://[::1 *",
    status: 500,
    why: /\[::1/,
  },
  {
    name: "port missing",
    line: "tcp://127.0.0.1 *",
    status: 500,
    why: /port/,
  },
  {
    name: "peer refuses",
    line: `tcp://127.0.0.1:${freePort()} *`,
    status: 502,
    why: /tcp:\/\/127\.0\.0\.1:\d+.*refused/,
  },
  {
    name: "TLS peer refuses",
    line: `tls://127.0.0.1:${freePort()} *`,
    status: 502,
    why: /tls:\/\/.*refused/,
  },
  {
    name: "name unknown",
    line: "tcp://nobody.invalid:1 *",
    status: 502,
    why: /nobody\.invalid/,
  },
  {
    name: "UDP peer's name unknown",
    line: "udp://nobody.invalid:1 *",
    status: 502,
    why: /nobody\.invalid/,
  },
  {
    name: "Unix socket not there",
    line: "unix:///nonexistent/socket *",
    status: 502,
    why: /\/nonexistent\/socket/,
  },
  {
    name: "Unix datagram socket not there",
    line: "unix-dgram:///nonexistent/socket *",
    status: 502,
    why: /\/nonexistent\/socket/,
  },
  {
    name: "permission for the host missing",
    line: "tcp://127.0.0.2:1 *",
    permissions: ["--allow-net=127.0.0.1", "--allow-read"],
    status: 502,
    why: /--allow-net/,
  },
  {
    name: "permission for a Unix socket missing",
    line: "unix:///nonexistent/socket *",
    permissions: ["--allow-net", "--allow-read"],
    status: 502,
    why: /--allow-write/,
  },
];

testEngines(
  "handshake refuses where there is no peer to talk to",
  async (t, engine) => {
    const directory = await Deno.makeTempDir({ prefix: "websocksy-test-" });
    try {
      for (const { name, line, status, why, permissions } of peerFailures) {
        // What Deno lets the program do is nothing to the engine.
        if (permissions !== undefined && engine === "native") continue;
        await t.step(
          needing(permissions === undefined ? [] : ["deno run"], {
            name: `${name}: ${status}`,
            fn: async () => {
              await Deno.writeTextFile(join(directory, "peer"), `${line}\n`);
              const options = { engine, args: useFiles(directory) };
              await using command = permissions === undefined
                ? await SharedCommand.start(options)
                : await Command.start({ ...options, permissions });
              assertRefusal(
                await request(command.port, { target: "/peer" }),
                status,
              );
              const entry = await command.event("refuse");
              assertMatch(String(entry.why), why);
              assertEquals([entry.status, entry.level], [status, "warn"]);
            },
          }),
        );
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

/** Arguments: the file backend, with the endpoint as the name of the file. */
function useFiles(directory: string): string[] {
  return [
    "-b",
    "file",
    "-c",
    `path=${directory}`,
    "-c",
    "expression=%endpoint%",
  ];
}

testEngines("handshake asks the file backend", async (t, engine) => {
  await using peer = TestPeer.tcp(echo);
  const directory = await Deno.makeTempDir({ prefix: "websocksy-test-" });
  try {
    const files = {
      chat: `${peer.host} irc newline lf\n`,
      any: `${peer.host} *\n`,
      broken: "tcp://[::1 * newline\n",
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(directory, name), text);
    }
    await using command = await SharedCommand.start({
      engine,
      args: useFiles(directory),
    });
    const cases: readonly (readonly [string, string | null, number])[] = [
      ["/chat", null, 101],
      ["/chat", "irc", 101],
      ["/chat", "mqtt", 404],
      ["/any", "mqtt", 101],
      ["/any", null, 101],
      ["/nobody", null, 404],
      ["/", null, 404],
      ["/../etc/passwd", null, 404],
      ["/broken", null, 500],
    ];
    for (const [target, protocol, status] of cases) {
      await t.step(`${target} ${protocol}: ${status}`, async () => {
        const response = await request(command.port, {
          target,
          headers: { "Sec-WebSocket-Protocol": protocol },
        });
        if (status !== 101) return assertRefusal(response, status);
        assertEquals(response.status, status, response.body);
      });
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Opens connections to a listener with a queue of one until none is taken. */
async function fillQueue(listener: Deno.TcpListener): Promise<Deno.Conn[]> {
  const { hostname, port } = listener.addr;
  const filled: Deno.Conn[] = [];
  for (;;) {
    const controller = new AbortController();
    // A connection that loopback does not make within this time is not made,
    // however busy the machine is.
    const timer = setTimeout(() => controller.abort(), 1000);
    try {
      const { signal } = controller;
      filled.push(await Deno.connect({ hostname, port, signal }));
    } catch (error) {
      if (controller.signal.aborted) return filled;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Asserts that a peer that is never there costs 504 after the time-out.
 *
 * @param engine The engine.
 * @param host The peer.
 * @param check Called while the bridge still runs.
 */
async function assertTimesOut(
  engine: EngineName,
  host: string,
  check?: () => Promise<void>,
): Promise<void> {
  await using command = await SharedCommand.start({
    engine,
    host,
    args: ["--connect-timeout", "0.4", "--max-connections", "1"],
  });
  const start = performance.now();
  assertRefusal(await request(command.port), 504);
  const elapsed = performance.now() - start;
  // The time-out would be 10 seconds by itself.
  assertEquals(elapsed > 350 && elapsed < 9900, true, `${elapsed} ms`);
  assertEquals((await command.event("refuse")).status, 504);
  await check?.();
  // It no longer counts as a connection.
  assertRefusal(await request(command.port), 504);
}

testEngines(
  "handshake gives a peer up after connect-timeout",
  async (t, engine) => {
    // Other systems answer a full queue with a refusal.
    await t.step(needing(["linux"], {
      name: "TCP, with a full queue",
      fn: async () => {
        using listener = Deno.listen({
          hostname: "127.0.0.1",
          port: 0,
          tcpBacklog: 1,
        });
        const filled = await fillQueue(listener);
        try {
          await assertTimesOut(engine, `tcp://127.0.0.1:${listener.addr.port}`);
        } finally {
          for (const connection of filled) connection.close();
        }
      },
    }));
    await t.step("TLS, with a peer that says nothing", async () => {
      await using peer = TestPeer.tcp();
      const host = peer.host.replace("tcp:", "tls:");
      await assertTimesOut(engine, host, async () => {
        // It is told: what the bridge had said ends.
        const connection = await peer.next();
        while (await connection.read(new Uint8Array(1024)) !== null);
      });
    });
  },
);

testEngines("handshake forgets a client that has gone", async (_, engine) => {
  await using peer = TestPeer.tcp();
  await using command = await SharedCommand.start({
    engine,
    // It never answers the TLS handshake, so that the client waits.
    host: peer.host.replace("tcp:", "tls:"),
    args: ["--connect-timeout", "1000", "--max-connections", "1"],
  });
  {
    using client = await RawClient.connect(command.port);
    await client.sendBytes(
      formatRequest(),
    );
    await peer.next();
  }
  // What it had asked for is given up; the place is free.
  await command.event("refuse");
  using next = await RawClient.connect(command.port);
  await next.sendBytes(formatRequest());
  await peer.next();
});

testEngines(
  "handshake refuses more than max-connections",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--max-connections", "2"],
    });
    using _first = await RawClient.open(command.port);
    using second = await RawClient.open(command.port);
    const response = await request(command.port);
    assertRefusal(response, 503);
    assertMatch(response.headers.get("retry-after") ?? "", /^\d+$/);
    await peer.accepted(2);
    await second.sendClose(1000);
    await second.readClose();
    await command.event("close");
    using third = await RawClient.open(command.port);
    await third.send("third");
    assertEquals(await third.read(), "third");
  },
);

testEngines(
  "handshake refuses while the server shuts down",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["--drain-timeout", "1000"],
    });
    // It does not answer the close frame, and so holds the shutdown up.
    using open = await RawClient.open(command.port);
    using waiting = await RawClient.connect(command.port);
    // This connection is known to the server before it stops accepting any.
    const plain = { Upgrade: null, Connection: "keep-alive" };
    assertRefusal(await waiting.request({ headers: plain }), 426);
    command.kill("SIGTERM");
    assertEquals((await open.readToClose())?.code, 1001);
    const response = await waiting.request();
    assertRefusal(response, 503);
    assertMatch(response.headers.get("retry-after") ?? "", /^\d+$/);
    assertStringIncludes(response.body, "shutting down");
  },
);

testEngines(
  "handshake gives a waiting client up when the server shuts down",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host.replace("tcp:", "tls:"),
    });
    using client = await RawClient.connect(command.port);
    const answer = client.request();
    await peer.next();
    command.kill("SIGTERM");
    assertRefusal(await answer, 503);
    assertEquals((await command.status).code, 0);
  },
);
