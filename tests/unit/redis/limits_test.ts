import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { RequestError } from "../../../core/errors.ts";
import {
  type Claim,
  FleetLimits,
  type FleetLimitsOptions,
  type LimitsChange,
} from "../../../core/redis/limits.ts";
import { parseRedisUrl } from "../../../core/redis/location.ts";
import { ReplyReader } from "../../../core/redis/resp.ts";
import { hostileValues } from "../../support/backends.ts";
import { Service } from "../../support/command.ts";
import { needing } from "../../support/needing.ts";
import { freePort, TestPeer, writeAll } from "../../support/peer.ts";
import { Random } from "../../support/random.ts";
import { redisCli, startRedisServer } from "../../support/redis.ts";
import {
  createCertificate,
  TemporaryDirectory,
} from "../../support/service.ts";

function claim(key: string, most: number): Claim {
  return {
    key,
    most,
    refuse: () => new RequestError(429, `${key} has ${most}`),
  };
}

/** One of several instances. */
class Instance implements AsyncDisposable {
  readonly limits: FleetLimits;
  readonly changes: LimitsChange[] = [];
  #next = Promise.withResolvers<void>();

  constructor(url: string, options: Partial<FleetLimitsOptions> = {}) {
    const location = parseRedisUrl(url);
    this.limits = new FleetLimits({ location, ...options });
    this.limits.start((change) => {
      this.changes.push(change);
      this.#next.resolve();
      this.#next = Promise.withResolvers();
    });
  }

  /** Counts a connection; `false`: it is one too many. */
  async take(key: string, most: number): Promise<boolean> {
    try {
      await this.limits.take([claim(key, most)], false);
      return true;
    } catch (error) {
      assert(error instanceof RequestError);
      assertEquals(error.status, 429, `${error.cause}`);
      return false;
    }
  }

  release(key: string): void {
    this.limits.release([claim(key, 1)]);
  }

  /** Waits until Redis is away, or back. */
  async changed(state: LimitsChange["state"]): Promise<LimitsChange> {
    while (this.changes.at(-1)?.state !== state) await this.#next.promise;
    return this.changes.at(-1)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.limits.close();
  }
}

/** Waits until something is so; it takes an exchange with a server to find out. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition());
}

Deno.test(needing(["redis-server"], {
  name: "FleetLimits counts the connections of all instances together",
  timeout: 180_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    const port = freePort();
    await using server = await startRedisServer(
      directory.path,
      ...["--port", `${port}`],
    );
    const url = `redis://127.0.0.1:${port}`;

    await t.step(
      "all of a limit, whoever asks first, and no more",
      async () => {
        await using stack = new AsyncDisposableStack();
        const all = Array.from(
          { length: 3 },
          () => stack.use(new Instance(url)),
        );
        const taken = await Promise.all(
          Array.from({ length: 60 }, (_, at) => all[at % 3]!.take("a", 10)),
        );
        assertEquals(taken.filter((isTaken) => isTaken).length, 10);
        // Others have their own.
        assert(await all[0]!.take("b", 1));
        const holder = taken.indexOf(true) % 3;
        all[holder]!.release("a");
        await until(() => all[(holder + 1) % 3]!.take("a", 10));
        assertEquals(await all[holder]!.take("a", 10), false);
      },
    );

    await t.step("nothing is left of those that have ended", async () => {
      assertEquals(await redisCli(port, "KEYS", "*"), []);
    });

    await t.step("of several limits all are taken, or none", async () => {
      await using one = new Instance(url);
      await using other = new Instance(url);
      assert(await one.take("user", 1));
      await assertRejects(
        () => other.limits.take([claim("address", 1), claim("user", 1)], true),
        RequestError,
        "user has 1",
      );
      assert(await one.take("address", 1));
    });

    await t.step("no two names are one, and no name is a command", async () => {
      await using one = new Instance(url);
      await using other = new Instance(url);
      const keys = [
        ...hostileValues,
        ...[
          "user a b",
          "address ",
          "\ud800",
          "\ud801",
          "\n",
          "\r\n*1\r\n",
          "{a}",
        ],
        ...["' .. redis.call('FLUSHALL') .. '", "]] error('x') --[["],
      ].map((user) => `user x ${JSON.stringify(user)}`);
      const unique = [...new Set(keys)];
      assertEquals(
        await Promise.all(unique.map((key) => one.take(key, 1))),
        unique.map(() => true),
      );
      assertEquals(
        await Promise.all(unique.map((key) => other.take(key, 1))),
        unique.map(() => false),
      );
      for (const key of unique) one.release(key);
      await until(() => other.take(unique.at(-1)!, 1));
      assertEquals((await redisCli(port, "KEYS", "*")).length, 3);
    });

    await t.step(
      "what a dead instance had is free after its lease",
      async () => {
        await using one = new Instance(url);
        // It renews nothing: its timers come too late.
        const dead = new Instance(url, { lease: 1200 });
        assert(await dead.take("c", 1));
        const [hash] = await redisCli(port, "KEYS", "websocksy:limits:*-*");
        assert(hash !== undefined);
        const nothing = new Int32Array(new SharedArrayBuffer(4));
        Atomics.wait(nothing, 0, 0, 1800);
        await until(() => one.take("c", 1));
        // It lives after all, and says again what it has.
        await dead.take("other", 1);
        dead.release("other");
        one.release("c");
        await until(async () => !await one.take("c", 1));
        assertEquals(one.changes, []);
        assertEquals(dead.changes, []);
        await dead.limits.close();
        await until(() => one.take("c", 1));
      },
    );

    await t.step(
      "an instance renews its lease, and forgets the dead",
      async () => {
        // A busy machine may be late by more than a second.
        await using one = new Instance(url, { lease: 2400 });
        await using other = new Instance(url);
        assert(await one.take("d", 1));
        await redisCli(port, "SADD", "websocksy:limits:instances", "dead");
        await until(async () =>
          !(await redisCli(port, "SMEMBERS", "websocksy:limits:instances"))
            .includes("dead")
        );
        await new Promise((resolve) => setTimeout(resolve, 2800));
        assertEquals(await other.take("d", 1), false);
      },
    );

    await t.step("what Redis has forgotten is written again", async () => {
      await using one = new Instance(url);
      await using other = new Instance(url);
      const keys = Array.from({ length: 1200 }, (_, at) => `e${at}`);
      await Promise.all(keys.map((key) => one.take(key, 1)));
      for (const command of ["FLUSHALL", "CLIENT KILL TYPE normal"]) {
        await redisCli(port, ...command.split(" "));
        // Of both: the question of one has the other's answer before it.
        assertEquals(await one.take("e0", 1), false, command);
        const taken = await Promise.all(keys.map((key) => other.take(key, 1)));
        assertEquals(taken.filter((isTaken) => isTaken).length, 0, command);
      }
      assertEquals(one.changes, []);
    });

    await t.step("what came late is forgotten", async () => {
      // Seven attempts, which Redis carries out in an order of its own.
      await using late = new Instance(url, { lease: 9000, timeout: 0.4 });
      assert(await late.take("late", 1));
      server.kill("SIGSTOP");
      await late.changed("down");
      await new Promise((resolve) => setTimeout(resolve, 4500));
      server.kill("SIGCONT");
      await late.changed("up");
      late.release("late");
      await using one = new Instance(url);
      await until(() => one.take("late", 1));
      await until(async () =>
        (await redisCli(port, "KEYS", "websocksy:limits:*-*")).length === 2
      );
    });

    await t.step("an answer that is lost leaves nothing behind", async () => {
      await using one = new Instance(url);
      assert(await one.take("f", 5));
      const asked = Array.from({ length: 200 }, () => one.take("f", 100));
      await redisCli(port, "CLIENT", "KILL", "TYPE", "normal");
      const count = (await Promise.all(asked)).filter((each) => each).length;
      for (let at = 0; at <= count; at++) one.release("f");
      await until(async () => {
        const hashes = await redisCli(port, "KEYS", "websocksy:limits:*-*");
        const counts = await Promise.all(
          hashes.map((hash) => redisCli(port, "HKEYS", hash)),
        );
        return !counts.flat().includes("f");
      });
    });
  },
}));

Deno.test(needing(["redis-server"], {
  name:
    "FleetLimits never lets in too many, however often connections are lost",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const port = freePort();
    await using _server = await startRedisServer(
      directory.path,
      ...["--port", `${port}`],
    );
    await using stack = new AsyncDisposableStack();
    const all = Array.from(
      { length: 3 },
      () => stack.use(new Instance(`redis://127.0.0.1:${port}`)),
    );
    const keys = ["a", "b", "c"];
    const most = 7;
    /** What each instance has of each key, and all together. */
    const held = all.map(() => new Map(keys.map((key) => [key, 0])));
    const random = new Random(5);
    let isOver = false;
    let refused = 0;
    let taken = 0;

    async function visit(): Promise<void> {
      while (!isOver) {
        const at = random.below(all.length);
        const key = random.pick(keys);
        try {
          await all[at]!.limits.take([claim(key, most)], false);
        } catch (error) {
          // 503: the next connection was lost, too, before it was of use.
          assert(error instanceof RequestError);
          refused++;
          continue;
        }
        taken++;
        const own = held[at]!;
        own.set(key, own.get(key)! + 1);
        const sum = held.reduce((sum, each) => sum + each.get(key)!, 0);
        assert(sum <= most, `${key} has ${sum}`);
        // For some exchanges with Redis; it is busy with the others meanwhile.
        for (let times = random.below(4); times > 0; times--) {
          await all[at]!.limits.take([claim("other", 0)], true).catch(() => {});
        }
        own.set(key, own.get(key)! - 1);
        all[at]!.release(key);
      }
    }

    const visits = Promise.all(Array.from({ length: 40 }, visit));
    for (let times = 0; times < 3; times++) {
      const before = taken;
      await until(async () => {
        await redisCli(port, "PING");
        return taken > before + 30;
      });
      await redisCli(port, "CLIENT", "KILL", "TYPE", "normal");
    }
    isOver = true;
    await visits;
    assert(refused > 0);
    // Nothing is left, of those neither whose answer was lost.
    await until(async () => {
      const hashes = await redisCli(port, "KEYS", "websocksy:limits:*-*");
      const fields = await Promise.all(
        hashes.map((hash) => redisCli(port, "HKEYS", hash)),
      );
      return hashes.length === all.length && fields.flat().length === 0;
    });
  },
}));

Deno.test(needing(["redis-server"], {
  name: "FleetLimits goes on without Redis, and waits for it once",
  timeout: 180_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    const port = freePort();
    const start = (): Promise<Service> =>
      startRedisServer(directory.path, "--port", `${port}`);
    let server = await start();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => server[Symbol.asyncDispose]());
    const url = `redis://:secret@127.0.0.1:${port}`;
    const refused = new Instance(url);
    stack.use(refused);
    const one = stack.use(new Instance(url.replace(":secret@", "")));
    const other = stack.use(new Instance(url.replace(":secret@", "")));

    await t.step("a password that is wrong is one reason", async () => {
      const change = await refused.changed("down");
      assert(change.state === "down");
      assertMatch(change.why, /^Redis at redis:.*: ERR|WRONGPASS/);
      assert(!change.why.includes("secret"));
    });

    for (const way of ["killed", "stopped"] as const) {
      await t.step(`it is ${way}`, async () => {
        assert(await one.take(way, 3));
        if (way === "killed") await server[Symbol.asyncDispose]();
        else server.kill("SIGSTOP");
        const begin = performance.now();
        const outcomes = await Promise.allSettled(
          Array.from(
            { length: 100 },
            () => one.limits.take([claim(way, 3)], false),
          ),
        );
        for (const outcome of outcomes) {
          assert(outcome.status === "rejected");
          assertEquals(outcome.reason.status, 503);
        }
        await one.changed("down");
        // From then on nobody waits: a hundred in a row would take minutes.
        for (let at = 0; at < 100; at++) {
          await assertRejects(
            () => one.limits.take([claim(way, 3)], false),
            RequestError,
            "cannot be counted now",
          );
        }
        assert(performance.now() - begin < 20_000);
        // Open, it counts them for later.
        await one.limits.take([claim(way, 3)], true);
        await one.limits.take([claim(way, 3)], true);
        if (way === "killed") server = await start();
        else server.kill("SIGCONT");
        await one.changed("up");
        await other.changed("up");
        assertEquals(await other.take(way, 3), false);
        one.release(way);
        await until(() => other.take(way, 3));
        assertEquals(
          one.changes.map(({ state }) => state),
          way === "killed" ? ["down", "up"] : ["down", "up", "down", "up"],
        );
      });
    }
  },
}));

Deno.test(needing(["redis-server", "openssl"], {
  name: "FleetLimits needs few rights, over TLS and on a Unix socket",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using directory = new TemporaryDirectory();
    const { certFile, cert } = await createCertificate(directory.path);
    const tlsPort = freePort();
    const socket = join(directory.path, "redis.sock");
    await using _server = await startRedisServer(
      directory.path,
      ...["--port", "0", "--tls-port", `${tlsPort}`],
      ...["--tls-cert-file", certFile, "--tls-auth-clients", "no"],
      ...["--tls-key-file", join(directory.path, "key.pem")],
      ...["--unixsocket", socket],
    );
    const rights = "~websocksy:limits:* +eval +del +exists +hdel +hincrby" +
      " +hmget +hset +pexpire +sadd +smembers +srem";
    const page = await Deno.readTextFile(
      new URL("../../../docs/scaling.md", import.meta.url),
    );
    assert(page.replaceAll(/\s+/g, " ").includes(rights));
    await redisCli(
      ["-s", socket],
      ...["ACL", "SETUSER", "bridge", "on", ">pass word", ...rights.split(" ")],
    );
    await using one = new Instance(
      `rediss://bridge:pass%20word@localhost:${tlsPort}`,
      { authorities: cert, lease: 2400 },
    );
    await using other = new Instance(
      `unix:${socket}?user=bridge&password=pass%20word`,
    );
    assert(await one.take("a", 1));
    assertEquals(await other.take("a", 1), false);
    await new Promise((resolve) => setTimeout(resolve, 2800));
    assertEquals(await other.take("a", 1), false);
    one.release("a");
    await until(() => other.take("a", 1));
    assertEquals([...one.changes, ...other.changes], []);
  },
}));

Deno.test("FleetLimits takes no other answer for Redis's", async () => {
  for (const answer of ["+OK\r\n", "HTTP/1.1 400 Bad Request\r\n", "$-1\r\n"]) {
    await using server = TestPeer.tcp(async (connection) => {
      await connection.read(new Uint8Array(4096));
      await connection.write(new TextEncoder().encode(answer));
      await connection.read(new Uint8Array(4096));
    });
    await using one = new Instance(
      `redis://${server.host.slice("tcp://".length)}`,
    );
    const { state } = await one.changed("down");
    assertEquals(state, "down");
    await one.limits.take([claim("a", 1)], true);
  }
});

Deno.test("FleetLimits lets those wait who come before it begins, and asks nobody after its end", async () => {
  const answers = [0, 0, 0, 9];
  await using server = TestPeer.tcp(async (connection) => {
    const reader = new ReplyReader();
    const buffer = new Uint8Array(65536);
    for (let count; (count = await connection.read(buffer)) !== null;) {
      for (const _command of reader.push(buffer.subarray(0, count))) {
        await writeAll(connection, `:${answers.shift() ?? 0}\r\n`);
      }
    }
  });
  const url = `redis://${server.host.slice("tcp://".length)}`;
  const limits = new FleetLimits({ location: parseRedisUrl(url) });
  const claims = [claim("a", 1)];
  const early = limits.take(claims, false);
  const changes: LimitsChange[] = [];
  limits.start((change) => changes.push(change));
  await early;
  // No claim of it has that number.
  const { message } = await assertRejects(
    () => limits.take(claims, false),
    RequestError,
  );
  assertEquals(message, "connections cannot be counted now");
  assertEquals(changes.map(({ state }) => state), ["down"]);
  await limits.close();
  await assertRejects(() => limits.take(claims, false), RequestError, "now");
  limits.release(claims);
  // One that never began.
  const idle = new FleetLimits({ location: parseRedisUrl(url) });
  const waiting = idle.take(claims, true);
  await idle.close();
  await waiting;
});
