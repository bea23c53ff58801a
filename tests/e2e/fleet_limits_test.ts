/** Limits that hold for several instances together, as `docs/scaling.md` describes them. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { RawClient } from "../support/client.ts";
import { Command, Service } from "../support/command.ts";
import { fileOf, readPage, replaceOnce } from "../support/docs_pages.ts";
import { needing } from "../support/needing.ts";
import { echo, freePort, TestPeer } from "../support/peer.ts";
import { get } from "../support/pages_client.ts";
import { startRedisServer } from "../support/redis.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";

const password = "s3cret@word";

/** Passes clients on to the instances in turn. */
async function startProxy(
  directory: TemporaryDirectory,
  ports: readonly number[],
): Promise<{ readonly port: number; readonly service: Service }> {
  const port = freePort();
  const file = await directory.write(
    "haproxy.cfg",
    `
global
  log stdout format raw local0
defaults
  mode http
  log global
  option log-health-checks
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1m
  timeout check 5s
frontend clients
  bind 127.0.0.1:${port}
  default_backend websocksy
backend websocksy
  balance roundrobin
  option redispatch 1
  retries 3
  retry-on conn-failure
  option httpchk GET /health
  default-server check inter 100ms fall 1 rise 1
${
      ports.map((port, index) => `  server i${index} 127.0.0.1:${port}`)
        .join("\n")
    }
`,
  );
  const service = await Service.start(
    ["haproxy", "-db", "-f", file],
    isUp(0),
  );
  for (const index of ports.keys()) {
    if (index > 0) await service.line(isUp(index));
  }
  return { port, service };
}

/** A line of HAProxy's log. */
function isUp(index: number): RegExp {
  return new RegExp(
    `^Health check for server websocksy/i${index} succeeded.*status: \\d+/\\d+ UP`,
  );
}

/** Clients, by whom they are. */
class Clients implements Disposable {
  readonly #open: { readonly client: RawClient; readonly port: number }[] = [];

  /** Asks for a WebSocket; it stays open. */
  async open(port: number, user: string): Promise<number> {
    const client = await RawClient.connect(port);
    const { status } = await client.request({
      headers: { "X-Remote-User": user, "X-Forwarded-For": addressOf(user) },
    });
    if (status === 101) this.#open.push({ client, port });
    else client[Symbol.dispose]();
    return status;
  }

  /** Closes one, in the order in which they came. */
  close(): void {
    this.#open.shift()!.client[Symbol.dispose]();
  }

  /** Waits until a server closes all of its own, and ends them. */
  async leave(port: number): Promise<void> {
    for (const { client } of this.#open.filter((each) => each.port === port)) {
      assertEquals((await client.readClose()).code, 1001);
      client[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    for (const { client } of this.#open) client[Symbol.dispose]();
  }
}

/** One for each user, but one for all whose names begin alike. */
function addressOf(user: string): string {
  return `192.0.2.${user.charCodeAt(0)}`;
}

Deno.test(needing(["redis-server", "haproxy"], {
  name: "limits hold for all instances, also after one was killed, and Redis",
  timeout: 240_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const peer = stack.use(TestPeer.tcp(echo));
    const directory = stack.use(new TemporaryDirectory());
    const redisPort = freePort();
    const redisArgs = [
      ...["--port", `${redisPort}`, "--requirepass", password],
    ];
    let redis = await startRedisServer(directory.path, ...redisArgs);
    stack.defer(() => redis[Symbol.asyncDispose]());
    // The page's own configuration, for this machine.
    let config = fileOf(await readPage("docs/scaling.md"), "limits.ini");
    for (
      const [from, to] of [
        ["10.0.0.10", "127.0.0.1"],
        [
          "redis://bridge:secret@10.0.0.5",
          `redis://:${encodeURIComponent(password)}@127.0.0.1:${redisPort}`,
        ],
        ["tcp://10.0.0.20:6667", peer.host],
        ["port = 8001", "health = /health\nmetrics = /metrics"],
        ["access = staff\n", ""],
      ] as const
    ) config = replaceOnce(config, from, to);
    const file = await directory.write(
      "limits.ini",
      `${config}
[route /*]
access = staff
host = ${peer.host}
`,
    );
    const start = (...args: string[]): Promise<Command> =>
      Command.start({ file, args });
    const instances = [
      await start("--threads", "2"),
      await start("--limits-open", "true", "--engine", "native"),
    ];
    stack.defer(async () => {
      for (const each of instances) await each[Symbol.asyncDispose]();
    });
    const [closed, open] = instances as [Command, Command];
    const { port, service } = await startProxy(
      directory,
      instances.map(({ port }) => port),
    );
    stack.use(service);
    const clients = stack.use(new Clients());

    /** What follows a step that has failed would wait for what never comes. */
    async function step(name: string, fn: () => Promise<void>): Promise<void> {
      if (!await t.step(name, fn)) throw new Error(`Failed: ${name}`);
    }

    async function statuses(
      count: number,
      user: string,
      at = port,
    ): Promise<number[]> {
      const all: number[] = [];
      for (let index = 0; index < count; index++) {
        all.push(await clients.open(at, user));
      }
      return all;
    }

    /** Asks again for as long as the answer is another one, and then it is this. */
    async function answered(
      status: number,
      { user, at, before }: { user: string; at: number; before: number },
    ): Promise<void> {
      let answer: number;
      for (;;) {
        answer = await clients.open(at, user);
        if (answer !== before) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assertEquals(answer, status);
    }

    /** Waits until a user who has as many as allowed may have one more. */
    async function admitted(user: string, at: number): Promise<void> {
      await answered(101, { user, at, before: 429 });
    }

    await step(
      "a user has five over both, and one less is one more",
      async () => {
        assertEquals(await statuses(7, "ada"), [
          ...Array(5).fill(101),
          ...[429, 429],
        ]);
        for (const each of instances) await each.event("open");
        const { why } = await Promise.any(
          instances.map((each) => each.event("refuse")),
        );
        assertEquals(
          why,
          'too many connections of this user: the option max-connections-per-user allows 5 in all instances together, user "ada"',
        );
        assertEquals(await statuses(1, "bob"), [101]);
        clients.close();
        await admitted("ada", port);
        assertEquals(await statuses(2, "ada"), [429, 429]);
      },
    );

    await step("an address has fifty over both", async () => {
      const users = Array.from({ length: 11 }, (_, at) => `e${at}`);
      const all = await Promise.all(users.map((user) => statuses(5, user)));
      const refused = all.flat().filter((status) => status !== 101);
      assertEquals(refused, Array(5).fill(503));
    });

    await step(
      "what a killed instance had is free within ten seconds",
      async () => {
        const ended = new Set(open.logged("close").map(({ id }) => id));
        const had = open.logged("open")
          .filter(({ user, id }) => user === "ada" && !ended.has(id)).length;
        assert(had > 0);
        open.kill("SIGKILL");
        await open.status;
        assertEquals(await statuses(2, "ada", closed.port), [429, 429]);
        await admitted("ada", closed.port);
        const more = await statuses(had + 1, "ada", closed.port);
        assertEquals(more.filter((status) => status === 101).length, had - 1);
        instances[1] = await start("--limits-open", "true");
      },
    );

    await step("Redis is killed: limits-open decides", async () => {
      const open = instances[1]!;
      assertEquals(await statuses(1, "flo", open.port), [101]);
      await redis[Symbol.asyncDispose]();
      for (const each of instances) {
        const { state, why } = await each.event("limits");
        assertEquals(state, "down");
        assertMatch(String(why), /^Redis at redis:\/\/127.0.0.1:\d+: /);
      }
      assertEquals(await statuses(2, "gil", closed.port), [503, 503]);
      const { why } = await closed.event(
        "refuse",
        ({ status, why }) => status === 503 && /counted/.test(String(why)),
      );
      assertMatch(String(why), /the option limits: Redis at redis:/);
      // It counts its own, of which one was there before.
      assertEquals(await statuses(6, "flo", open.port), [
        ...Array(4).fill(101),
        ...[429, 429],
      ]);
      // Pages have no such limit.
      for (const { port } of instances) {
        assertEquals((await get(port, "/health")).status, 200);
      }
    });

    await step("Redis is back, empty: limits hold again", async () => {
      redis = await startRedisServer(directory.path, ...redisArgs);
      for (const each of instances) {
        assertEquals((await each.event("limits")).state, "up");
      }
      // Each thread finds out for itself; the log has only what the first one does.
      const at = closed.port;
      await answered(429, { user: "flo", at, before: 503 });
      await answered(101, { user: "gil", at, before: 503 });
    });

    await step("an instance that ends leaves nothing", async () => {
      instances[1]!.kill("SIGTERM");
      await clients.leave(instances[1]!.port);
      assertEquals((await instances[1]!.status).code, 0);
      const { port } = closed;
      await answered(101, { user: "flo", at: port, before: 503 });
      const all = await statuses(12, "flo", port);
      const others = all.filter((status) => status !== 503);
      assertEquals(others.filter((status) => status === 101).length, 4);
    });

    await step("Redis hangs: nobody waits but the first", async () => {
      redis.kill("SIGSTOP");
      const begin = performance.now();
      const all = await Promise.all(
        Array.from(
          { length: 20 },
          (_, at) => clients.open(closed.port, `h${at}`),
        ),
      );
      assertEquals(all, Array(20).fill(503));
      await closed.event("limits", ({ state }) => state === "down");
      for (let index = 0; index < 30; index++) {
        assertEquals(await clients.open(closed.port, "hal"), 503);
      }
      assert(performance.now() - begin < 25_000);
      const { body } = await get(closed.port, "/metrics", {
        headers: { "X-Remote-User": "operator" },
      });
      assertMatch(body, /^websocksy_limits_down [12]$/m);
      redis.kill("SIGCONT");
      await closed.event("limits", ({ state }) => state === "up");
    });

    await step(
      "a reload changes limits-open, and no log has a password",
      async () => {
        await Deno.writeTextFile(
          file,
          (await Deno.readTextFile(file))
            .replace("limits-open = false", "limits-open = true")
            .replace("127.0.0.1:", "127.0.0.2:"),
        );
        closed.kill("SIGHUP");
        const { why } = await closed.event("reload");
        assertMatch(String(why), /at the next start: limits$/);
        await redis[Symbol.asyncDispose]();
        await closed.event("limits", ({ state }) => state === "down");
        assertEquals(await statuses(1, "ian", closed.port), [101]);
        const logs = instances.flatMap(({ log }) => log.all)
          .map(({ text }) => String(text)).join("\n");
        for (const secret of [password, encodeURIComponent(password)]) {
          assert(!logs.includes(secret));
        }
      },
    );
  },
}));

Deno.test("limits are checked, and told, without their password", async () => {
  const url = "redis://:s3cret@redis.test";
  const few = ["--max-connections-per-address", "5"];
  const cases: [args: string[], code: number, says: RegExp][] = [
    [
      ["--limits", url, ...few],
      0,
      /counted in redis:\/\/redis.test:6379 .*refused$/m,
    ],
    [
      ["--limits", url, ...few, "--limits-open", "true"],
      0,
      /counted by each instance$/m,
    ],
    [["--limits", url, ...few, "--json"], 0, /\(not shown\)@redis.test/],
    [["--limits", url], 2, /^websocksy: --limits: .*max-connections-per-user/],
    [["--limits", "http://:s3cret@h", ...few], 2, /none of redis:/],
    [["--limits", "redis://s3cret@h", ...few], 2, /its user has no password/],
    [["--limits-open", "true"], 2, /it needs limits, too/],
    [["--limits", url, ...few, "--limits-ca", "x"], 2, /needs limits = rediss/],
    [
      ["--limits", "rediss://h", ...few, "--limits-ca", "/none"],
      2,
      /cannot use limits-ca "\/none"/,
    ],
  ];
  const results = await Promise.all(
    cases.map(([args]) => runShared(["--check", ...args])),
  );
  for (const [index, { code, stdout, stderr }] of results.entries()) {
    const [, expected, says] = cases[index]!;
    assertEquals(code, expected, stderr);
    assertMatch(stdout + stderr, says);
    assert(!/s3cret/.test(stdout + stderr), stdout + stderr);
  }
});
