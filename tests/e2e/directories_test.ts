/** Backends that ask real directories, all of them in one process. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { RawClient, request } from "../support/client.ts";
import { Command, runCommand, Service } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { freePort, TestPeer, writeAll } from "../support/peer.ts";
import { redisCli, startRedisServer } from "../support/redis.ts";
import {
  createCertificate,
  startNginx,
  TemporaryDirectory,
} from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

/** A peer that says its name to each connection, and waits for its end. */
function named(name: string): TestPeer {
  return TestPeer.tcp(async (connection) => {
    await writeAll(connection, name);
    await connection.read(new Uint8Array(16));
  });
}

/** The status of a request, or the name of the peer that it led to. */
async function ask(port: number, target: string): Promise<string | number> {
  using client = await RawClient.connect(port);
  const { status } = await client.request({ target });
  if (status !== 101) return status;
  const name = await client.read();
  assert(typeof name === "string");
  return name;
}

Deno.test(needing(["redis-server", "dnsmasq", "nginx", "openssl"], {
  name: "routes ask their directories, of which none delays or fails another",
  async fn(t: Deno.TestContext): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(new TemporaryDirectory());
    const names = ["tokens", "service", "redis", "dns", "database"] as const;
    const peers = new Map(
      names.map((name) => [name as string, stack.use(named(name))]),
    );
    function addressOf(name: typeof names[number]): string {
      return peers.get(name)!.host.replace("tcp://", "");
    }
    const forbidden = stack.use(named("forbidden"));
    const never = forbidden.host.replace("tcp://", "");

    // The directories.
    const tokens = await directory.write(
      "tokens",
      `desk: ${addressOf("tokens")}\nevil: ${never}\n`,
    );
    const hanging: ((response: Response) => void)[] = [];
    const end = new AbortController();
    const service = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen: () => {},
        signal: end.signal,
      },
      ({ url }) => {
        const { pathname } = new URL(url);
        if (pathname === "/desk") {
          return Response.json({ address: `tcp://${addressOf("service")}` });
        }
        if (pathname === "/slow") {
          return new Promise((resolve) => hanging.push(resolve));
        }
        return new Response(pathname === "/evil" ? never : null);
      },
    );
    stack.defer(async () => {
      end.abort();
      await service.finished;
    });
    const certificate = await createCertificate(directory.path);
    const nginx = stack.use(await startNginx(service.addr.port, certificate));
    const redisPort = freePort();
    const redisArgs = ["--port", `${redisPort}`];
    let redis = await startRedisServer(directory.path, ...redisArgs);
    stack.defer(() => redis[Symbol.asyncDispose]());
    await redisCli(redisPort, "SET", "desk", addressOf("redis"));
    await redisCli(redisPort, "HSET", "evil", "address", `tcp://${never}`);
    const dnsPort = freePort();
    const dns = stack.use(
      await Service.start([
        "dnsmasq",
        ...["--no-daemon", "--conf-file=/dev/null", "--no-resolv"],
        ...["--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces"],
        ...[`--port=${dnsPort}`, "--local=/test/"],
        `--srv-host=_vnc._tcp.desk.test,host.test,${
          addressOf("dns").split(":")[1]
        }`,
        `--srv-host=_vnc._tcp.evil.test,host.test,${never.split(":")[1]}`,
        "--address=/host.test/127.0.0.1",
      ], /started/),
    );
    const path = join(directory.path, "desks.sqlite");
    {
      using database = new DatabaseSync(path);
      database.exec(`CREATE TABLE desks (token TEXT PRIMARY KEY, peer TEXT);
        INSERT INTO desks VALUES ('desk', '${addressOf("database")}'),
          ('evil', '${never}')`);
    }

    const file = await directory.write(
      "directories.ini",
      `
      [core]
      connect-timeout = 60
      ${
        names.map((name) => `allow-peer = tcp://${addressOf(name)}`).join(
          "\n      ",
        )
      }
      [route /tokens/*]
      backend = tokenfile
      path = ${tokens}
      token = %rest%
      [route /service/*]
      backend = http
      url = https://localhost:${nginx.port}/%rest%
      directory-ca = ${certificate.certFile}
      timeout = 50
      [route /distrusted/*]
      backend = http
      url = https://localhost:${nginx.port}/%rest%
      [route /redis/*]
      backend = redis
      url = redis://127.0.0.1:${redisPort}
      key = %rest%
      timeout = 50
      [route /dns/*]
      backend = dns
      name = _vnc._tcp.%rest%.test
      resolver = 127.0.0.1:${dnsPort}
      timeout = 50
      [route /jwt]
      backend = jwt
      key = ${await directory.write("secret", "s".repeat(43))}
      [route /database/*]
      backend = sqlite
      database = ${path}
      query = SELECT peer FROM desks WHERE token = :rest
      `.replace(/^ +/gm, ""),
    );
    const command = stack.use(await SharedCommand.start({ file }));
    const { port } = command;

    await t.step("each has its own, and allow-peer decides", async () => {
      for (const name of names) {
        assertEquals(await ask(port, `/${name}/desk`), name);
        assertEquals(await ask(port, `/${name}/none`), 404, name);
        assertEquals(await ask(port, `/${name}/`), 404, name);
        assertEquals(await ask(port, `/${name}/evil`), 502, name);
        const { why } = await command.event(
          "refuse",
          ({ status, target }) => status === 502 && target === `/${name}/evil`,
        );
        assertMatch(String(why), /allow-peer does not allow it/);
      }
      assertEquals(forbidden.count, 0);
      assertEquals(await ask(port, "/distrusted/desk"), 502);
      const { why } = await command.event(
        "refuse",
        ({ target }) => target === "/distrusted/desk",
      );
      assertMatch(String(why), /directory-ca = FILE\): .*UnknownIssuer/);
    });

    await t.step("peers come and go while clients connect", async () => {
      assertEquals(await ask(port, "/redis/seven"), 404);
      for (const name of ["tokens", "dns"] as const) {
        await redisCli(redisPort, "SET", "seven", addressOf(name));
        assertEquals(await ask(port, "/redis/seven"), name);
      }
      await redisCli(redisPort, "DEL", "seven");
      assertEquals(await ask(port, "/redis/seven"), 404);
    });

    await t.step("a token ends its WebSocket when it expires", async () => {
      const { SignJWT } = await import("jose");
      const expires = Math.floor(Date.now() / 1000) + 5;
      const token = await new SignJWT({
        peer: addressOf("tokens"),
        sub: "ada",
      }).setExpirationTime(expires).setProtectedHeader({ alg: "HS256" })
        .sign(Buffer.from("s".repeat(43), "base64url"));
      using client = await RawClient.open(port, {
        target: `/jwt?token=${token}`,
      });
      assertEquals(await client.read(), "tokens");
      const { user } = await command.event(
        "open",
        ({ route }) => route === "/jwt",
      );
      assertEquals(user, "ada");
      assertEquals((await client.readClose()).code, 1008);
      assert(Date.now() / 1000 >= expires);
      assertEquals(await ask(port, `/jwt?token=${token}`), 401);
      assertEquals(await ask(port, "/jwt"), 401);
    });

    await t.step("directories that hang delay no other", async () => {
      // Those of them that are other programs do nothing at all.
      redis.kill("SIGSTOP");
      dns.kill("SIGSTOP");
      const targets = ["/service/slow", "/redis/desk", "/dns/desk"];
      const hung = await Promise.all(
        Array.from({ length: 60 }, () => RawClient.connect(port)),
      );
      const answers = hung.map((client, index) =>
        client.request({ target: targets[index % targets.length]! })
      );
      while (hanging.length < hung.length / targets.length) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      let isAnswered = false;
      Promise.race(answers).then(() => isAnswered = true);
      for (const name of ["tokens", "service", "database"] as const) {
        assertEquals(await ask(port, `/${name}/desk`), name);
      }
      assertEquals(isAnswered, false);
      redis.kill("SIGCONT");
      dns.kill("SIGCONT");
      for (const resolve of hanging) {
        resolve(new Response(addressOf("service")));
      }
      for (const { status } of await Promise.all(answers)) {
        assertEquals(status, 101);
      }
      for (const client of hung) client[Symbol.dispose]();
    });

    await t.step("Redis is killed and started again under load", async () => {
      const statuses = new Set<string | number>();
      let isOver = false;
      const loads = Array.from({ length: 8 }, async () => {
        while (!isOver) statuses.add(await ask(port, "/redis/desk"));
      });
      while (!statuses.has("redis")) await ask(port, "/tokens/desk");
      await redis[Symbol.asyncDispose]();
      while (!statuses.has(502)) await ask(port, "/tokens/desk");
      redis = await startRedisServer(directory.path, ...redisArgs);
      await redisCli(redisPort, "SET", "desk", addressOf("redis"));
      isOver = true;
      await Promise.all(loads);
      // Empty at first; the value may have come a moment later.
      for (const status of statuses) {
        assert(["redis", 404, 502].includes(status), `${status}`);
      }
      while (await ask(port, "/redis/desk") !== "redis");
      for (const name of names) {
        assertEquals(await ask(port, `/${name}/desk`), name);
      }
    });
  },
}));

Deno.test("a directory without its permission is named, with the flag to add", async () => {
  await using directory = new TemporaryDirectory();
  const file = await directory.write("desks", "");
  for (
    const args of [
      ["-b", "tokenfile", "-c", `path=${file}`],
      ["-b", "sqlite", "-c", `database=${file}`, "-c", "query=SELECT 1"],
    ]
  ) {
    const { code, stderr } = await runCommand([...args, "-p", "0"], {
      permissions: ["--allow-net"],
    });
    assertEquals(code, 1, stderr);
    assertMatch(stderr, /--allow-read/);
  }
  await using command = await Command.start({
    permissions: ["--allow-net=127.0.0.1:0"],
    args: [
      ...["-b", "redis", "-c", "url=redis://127.0.0.1:6379"],
      ...["-c", "key=desk"],
    ],
  });
  assertEquals((await request(command.port)).status, 502);
  const { why } = await command.event("refuse");
  assertMatch(String(why), /--allow-net/);
});
