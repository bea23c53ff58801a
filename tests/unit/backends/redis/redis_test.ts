import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { createRedis } from "../../../../backends/redis/redis.ts";
import type { PeerInfo, Refusal } from "../../../../core/api.ts";
import {
  type BackendOptions,
  hostileValues,
  startBackend,
  tokenQuery,
} from "../../../support/backends.ts";
import { needing } from "../../../support/needing.ts";
import { freePort, TestPeer, writeAll } from "../../../support/peer.ts";
import { redisCli, startRedisServer } from "../../../support/redis.ts";
import {
  createCertificate,
  TemporaryDirectory,
} from "../../../support/service.ts";

/** Runs commands on a server. */
async function run(
  place: readonly string[],
  ...commands: readonly string[][]
): Promise<void> {
  for (const command of commands) await redisCli(place, ...command);
}

async function ask(
  options: BackendOptions,
  query = "token=desk",
): Promise<PeerInfo | Refusal | undefined> {
  await using backend = await startBackend(createRedis(), options);
  return await backend.ask({ query });
}

function whyOf(answer: PeerInfo | Refusal | undefined, status: number): string {
  assert(answer !== undefined && "refuse" in answer, JSON.stringify(answer));
  assertEquals(answer.refuse, status);
  return answer.why!;
}

Deno.test(needing(["redis-server"], {
  name: "redis looks values of each kind up, and hostile keys nowhere else",
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const port = freePort();
    await using _server = await startRedisServer(
      directory.path,
      "--port",
      `${port}`,
    );
    const place = ["-p", `${port}`];
    await run(
      place,
      ["SET", "desk", "10.0.0.1:5901"],
      ["SET", "json", ' {"host": "10.0.0.2:5902"} '],
      ["SET", "object", '{"host":"::1","port":5903,"framing":"json"}'],
      ["HSET", "hash", "host", "10.0.0.4", "port", "5904", "protocol", "mqtt"],
      ["HSET", "other", "name", "x"],
      ["SET", "empty", ""],
      ["SET", "nonsense", "not a peer"],
      ["RPUSH", "list", "10.0.0.1:5901"],
      ["SETRANGE", "huge", "70000", "x"],
      ["SET", "room:desk", "10.0.0.6:5906"],
      ["SET", "secret", "127.0.0.1:1"],
      ["-n", "3", "SET", "desk", "10.0.0.3:5903"],
    );
    const url = `redis://127.0.0.1:${port}`;
    await using backend = await startBackend(createRedis(), [
      ["url", url],
      ["framing", "binary"],
      ["protocol", "*"],
    ]);
    const rest = { framing: "binary", protocol: "*" };
    const cases: [token: string, peer: PeerInfo | undefined][] = [
      ["desk", { address: "tcp://10.0.0.1:5901", ...rest }],
      ["json", { address: "tcp://10.0.0.2:5902", ...rest }],
      ["object", { address: "tcp://[::1]:5903", ...rest, framing: "json" }],
      ["hash", { address: "tcp://10.0.0.4:5904", ...rest, protocol: "mqtt" }],
      ["empty", undefined],
      ["none", undefined],
    ];
    // All at once, over one connection.
    const answers = await Promise.all(
      cases.map(([token]) => backend.ask({ query: tokenQuery(token) })),
    );
    for (const [index, [token, peer]] of cases.entries()) {
      assertEquals(answers[index], peer, token);
    }
    for (
      const [token, why] of [
        ["nonsense", /is not HOST:PORT/],
        ["list", /WRONGTYPE/],
        ["huge", /larger than 65536 bytes/],
        ["other", /has neither an address nor a host/],
      ] as const
    ) {
      const answer = await backend.ask({ query: tokenQuery(token) });
      assertMatch(whyOf(answer, 502), why);
    }
    assertEquals(await ask([["url", `${url}/3`]]), {
      address: "tcp://10.0.0.3:5903",
    });
    await using rooms = await startBackend(createRedis(), [
      ["url", url],
      ["key", "room:%query:token%"],
    ]);
    assertEquals(await rooms.ask({ query: "token=desk" }), {
      address: "tcp://10.0.0.6:5906",
    });
    for (const value of hostileValues) {
      for (const each of [backend, rooms]) {
        const answer = await each.ask({ query: tokenQuery(value) });
        assertEquals(answer, undefined, JSON.stringify(value.slice(0, 40)));
      }
    }
    await run(place, ["GET", "secret"]);
  },
}));

Deno.test(needing(["redis-server", "openssl"], {
  name:
    "redis shows who asks, over TLS and on a Unix socket, and tells no secret",
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const { certFile } = await createCertificate(directory.path);
    const [port, tlsPort] = [freePort(), freePort()];
    const socket = join(directory.path, "redis.sock");
    await using _server = await startRedisServer(
      directory.path,
      ...["--port", `${port}`, "--tls-port", `${tlsPort}`],
      ...["--tls-cert-file", certFile, "--tls-auth-clients", "no"],
      ...["--tls-key-file", join(directory.path, "key.pem")],
      ...["--unixsocket", socket, "--requirepass", "pass word"],
    );
    await run(
      ["-p", `${port}`, "-a", "pass word", "--no-auth-warning"],
      [
        "SET",
        "desk",
        "10.0.0.1:5901",
      ],
      ["SET", "other", "10.0.0.1:1"],
      [
        ...["ACL", "SETUSER", "bridge", "on", ">s3cret", "~desk*"],
        ...["+getrange", "+hmget"],
      ],
    );
    const peer = { address: "tcp://10.0.0.1:5901" };
    const tls = `rediss://localhost:${tlsPort}`;
    const password = ["password", "pass word"] as const;
    const authority = ["directory-ca", certFile] as const;
    const good: BackendOptions[] = [
      [["url", `redis://:pass%20word@127.0.0.1:${port}`]],
      [["url", `redis://bridge:s3cret@127.0.0.1:${port}`]],
      [["url", `unix:${socket}`], password],
      [["url", `unix:${socket}`], ["user", "bridge"], ["password", "s3cret"]],
      [["url", tls], password, authority],
    ];
    for (const options of good) {
      assertEquals(await ask(options), peer, JSON.stringify(options));
    }
    const bad: [options: BackendOptions, why: RegExp, status?: number][] = [
      [[["url", `redis://127.0.0.1:${port}`]], /NOAUTH/],
      [[["url", `redis://:s3cret@127.0.0.1:${port}`]], /WRONGPASS/],
      [[["url", tls], password], /with directory-ca = FILE\): .*UnknownIssuer/],
      // Without TLS, and with TLS where there is none.
      [[["url", `redis://127.0.0.1:${tlsPort}`]], /redis:/],
      [
        [["url", `rediss://127.0.0.1:${port}`], authority, ["timeout", "0.3"]],
        /rediss:/,
        504,
      ],
      [[["url", `unix:${socket}-none`]], /os error 2/],
    ];
    for (const [options, reason, status = 502] of bad) {
      const why = whyOf(await ask(options), status);
      assertMatch(why, reason);
      for (const secret of ["s3cret", "pass word", "pass%20word"]) {
        assert(!why.includes(secret), why);
      }
    }
    const limited = await ask(
      [["url", `redis://bridge:s3cret@127.0.0.1:${port}`]],
      "token=other",
    );
    assertMatch(whyOf(limited, 502), /NOPERM/);
  },
}));

Deno.test(needing(["redis-server"], {
  name:
    "redis finds a server again that was killed, and does not wait meanwhile",
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const port = freePort();
    await using backend = await startBackend(createRedis(), [
      ["url", `redis://127.0.0.1:${port}`],
      ["timeout", "20"],
    ]);
    const query = "token=desk";
    for (const round of [1, 2]) {
      await using _server = await startRedisServer(
        directory.path,
        ...["--port", `${port}`],
      );
      await run(["-p", `${port}`], ["SET", "desk", `10.0.0.${round}:1`]);
      // Clients come all the time; those while it was away were refused quickly.
      let answer: PeerInfo | Refusal | undefined;
      do answer = await backend.ask({ query }); while (
        answer !== undefined && "refuse" in answer
      );
      assertEquals(answer, { address: `tcp://10.0.0.${round}:1` });
      const asked = Array.from(
        { length: 50 },
        () => backend.ask({ query }),
      );
      _server.kill("SIGKILL");
      for (const each of await Promise.all(asked)) {
        assert(each !== undefined);
        if ("refuse" in each) assertEquals(each.refuse, 502);
        else assertEquals(each.address, `tcp://10.0.0.${round}:1`);
      }
      const start = performance.now();
      const refused = await Promise.all(
        Array.from({ length: 200 }, () => backend.ask({ query })),
      );
      for (const each of refused) whyOf(each, 502);
      assert(performance.now() - start < 10_000);
    }
  },
}));

Deno.test("redis sends a question again whose connection was lost", async () => {
  await using server = TestPeer.tcp();
  await using backend = await startBackend(createRedis(), [
    ["url", `redis://${server.host.slice("tcp://".length)}`],
  ]);
  const answer = backend.ask({ query: "token=desk" });
  const buffer = new Uint8Array(1000);
  const first = await server.next();
  await first.read(buffer);
  first.close();
  const second = await server.next();
  await second.read(buffer);
  await writeAll(second, "$10\r\n10.0.0.1:1\r\n");
  assertEquals(await answer, { address: "tcp://10.0.0.1:1" });
});

Deno.test("redis gives up a server that is silent, endless or no Redis", async () => {
  const text = "x".repeat(60_000);
  const cases: [answer: string, status: number, why: RegExp][] = [
    ["", 504, /has not answered for 0.3 seconds/],
    ["$5\r\nab", 504, /has not answered/],
    ["HTTP/1.1 400 Bad Request\r\n\r\n", 502, /as Redis does/],
    ["$536870912\r\n", 502, /longer than/],
    [`*2\r\n$60000\r\n${text}\r\n$60000\r\n${text}`, 502, /longer than/],
    ["*1000000\r\n", 502, /longer than/],
    [":5\r\n", 502, /not text/],
    ["-LOADING it loads\r\n", 502, /LOADING/],
    ["+OK\r\n+more\r\n", 502, /not HOST:PORT/],
  ];
  for (const [bytes, status, why] of cases) {
    const over = Promise.withResolvers<void>();
    await using server = TestPeer.tcp(async (connection) => {
      const buffer = new Uint8Array(1000);
      await connection.read(buffer);
      await writeAll(connection, bytes);
      while (await connection.read(buffer) !== null);
      over.resolve();
    });
    await using backend = await startBackend(createRedis(), [
      ["url", `redis://${server.host.slice("tcp://".length)}`],
      ["timeout", status === 504 ? "0.3" : "60"],
    ]);
    const answer = await backend.ask({ query: "token=desk" });
    assertMatch(whyOf(answer, status), why);
  }
});

Deno.test("redis lets a client go while the server is silent, and keeps the order of replies", async () => {
  await using server = TestPeer.tcp();
  await using backend = await startBackend(createRedis(), [
    ["url", `redis://${server.host.slice("tcp://".length)}`],
  ]);
  const client = new AbortController();
  const first = backend.ask({ query: "token=a", signal: client.signal });
  const connection = await server.next();
  const buffer = new Uint8Array(1000);
  await connection.read(buffer);
  const second = backend.ask({ query: "token=b" });
  await connection.read(buffer);
  client.abort(new Error("left"));
  await assertRejects(() => first, Error, "left");
  await writeAll(connection, "$10\r\n10.0.0.1:1\r\n$10\r\n10.0.0.2:2\r\n");
  assertEquals(await second, { address: "tcp://10.0.0.2:2" });
});

Deno.test("redis says what is wrong with its options", async () => {
  async function start(...options: BackendOptions): Promise<string> {
    const { message } = await assertRejects(
      () => startBackend(createRedis(), options),
      Error,
    );
    return message;
  }
  assertStringIncludes(await start(), '"url"');
  const url = ["url", "redis://host.test"] as const;
  assertStringIncludes(await start(url, ["user", "x"]), '"password"');
  assertStringIncludes(await start(["url", "host.test"]), "Cannot use url");
  assertStringIncludes(await start(url, ["key", "%x%"]), "Cannot use key");
  assertStringIncludes(await start(url, ["cache", "x"]), "Cannot use cache");
  assertStringIncludes(await start(url, ["port", "1"]), '"port"');
});
