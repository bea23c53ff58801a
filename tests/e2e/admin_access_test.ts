/** Operators who have to say who they are, and connections of users that they close. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { adminPort, ask } from "../support/admin.ts";
import { RawClient } from "../support/client.ts";
import { Command } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared } from "../support/shared_command.ts";
import { basic, makeToken, tokenKey } from "../support/tokens.ts";

/** As `htpasswd -nbBC 4` writes them: the passwords are "right: pass" and "grüß". */
const ada = "ada:$2y$04$NY3yfxbn0v8Cu.U3lmb5gOGjzxqv/fNnCJpsbHvdeN4RUGy65tbhO";
const bob = "bob:$2y$04$QnSKPcwZ1WJurPrRPrK2o./2q12osxbUEpggXCRpX5JcsmFeDnPGW";

const asAda = { Authorization: basic("ada", "right: pass") };
const asBob = { Authorization: basic("bob", "grüß") };

/** Everything that operators can ask for. */
const everything: readonly string[] = [
  ...["GET /", "GET /health", "GET /metrics", "GET /connections"],
  ...["GET /connections/1", "DELETE /connections/1"],
  ...["DELETE /connections?user=ada", "POST /drain", "POST /resume"],
  ...["POST /reload", "POST /log?level=error", "GET /none"],
  "POST /connections/1/capture",
];

Deno.test(needing(["unix"], {
  name: "An operator has to say who it is, and closes what a user has open",
  timeout: 240_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const users = await directory.write("users", `${ada}\n${bob}\n`);
    const staff = await directory.write("staff", `${ada}\n`);
    const key = await directory.write("key", tokenKey);
    const text = (operators: string): string =>
      `[core]
threads = 2
admin = 127.0.0.1:0
access = all
${operators}
[backend]
host = ${peer.host}
[access all]
users = ${users}
[access staff]
users = ${staff}
jwt-key = ${key}
jwt-from = header,query:ticket
[access here]
address = 127.0.0.0/8
rate = 2/h
[access elsewhere]
address = 192.0.2.0/24
`;
    const file = await directory.write(
      "websocksy.ini",
      text("admin-access = staff"),
    );
    await using command = await Command.start({ file });
    const admin = await adminPort(command);

    await t.step("refuses every request without credentials", async () => {
      for (const request of everything) {
        const { status, headers, body } = await ask(admin, request);
        assertEquals([status, body], [401, "credentials are needed\n"]);
        assertEquals(
          headers.get("www-authenticate"),
          'Basic realm="websocksy", charset="UTF-8", Bearer realm="websocksy"',
        );
      }
      const wrong = makeToken({ secret: new Uint8Array(32) });
      for (
        const authorization of [
          asBob.Authorization,
          basic("ada", "wrong"),
          `Bearer ${wrong}`,
          `Bearer ${makeToken({ expiresIn: -1 })}`,
        ]
      ) {
        const shown = { Authorization: authorization };
        assertEquals((await ask(admin, "POST /drain", shown)).status, 401);
      }
      const query = `GET /connections?ticket=${wrong}`;
      assertEquals((await ask(admin, query)).status, 401);
      const { target } = await command.event(
        "admin",
        ({ target }) => String(target).includes("ticket"),
      );
      assertEquals(target, "/connections?ticket=…");
      // Credentials do not make a page of another site welcome.
      const other = { ...asAda, Origin: "https://evil.example" };
      assertEquals((await ask(admin, "POST /drain", other)).status, 403);
    });

    await t.step("lets in who shows them, and logs the name", async () => {
      for (const path of ["/", "/health", "/metrics", "/connections"]) {
        assertEquals((await ask(admin, `GET ${path}`, asAda)).status, 200);
      }
      const token = makeToken({ sub: "eve" });
      const bearer = { Authorization: `Bearer ${token}` };
      assertEquals((await ask(admin, "POST /resume", bearer)).status, 200);
      const { operator } = await command.event(
        "admin",
        ({ action }) => action === "resume",
      );
      assertEquals(operator, "eve");
      const query = `GET /connections?user=none&ticket=${token}`;
      const { status, body } = await ask(admin, query);
      assertEquals([status, JSON.parse(body).connections], [200, []]);
      assertEquals((await ask(admin, "GET /none", asAda)).status, 404);
      const told = await command.event(
        "admin",
        ({ status }) => status === 404,
      );
      assertEquals(told.operator, "ada");
    });

    const clients: RawClient[] = [];
    await using stack = new AsyncDisposableStack();
    await t.step("closes by user in each thread", async () => {
      const threads = new Set<number>();
      // The system chooses the thread of each: one may have none of twelve.
      while (clients.length < 24 || threads.size < 2) {
        for (const headers of [asAda, asBob]) {
          clients.push(
            stack.use(await RawClient.open(command.port, { headers })),
          );
          const { id, user } = await command.event("open");
          if (user === "ada") threads.add(Number(id) % 2);
        }
      }
      const each = clients.length / 2;
      const { body } = await ask(
        admin,
        "DELETE /connections?user=ada",
        asAda,
      );
      assertEquals(body, `{"closed":${each}}\n`);
      const told = await command.event(
        "admin",
        ({ action }) => action === "close",
      );
      assertEquals(
        [told.user, told.operator, told.closed],
        ["ada", "ada", each],
      );
      for (const [index, client] of clients.entries()) {
        if (index % 2 === 1) continue;
        assertEquals((await client.readClose()).code, 1008);
        await client.sendClose(1008);
        await command.event("close");
      }
      const left = await ask(admin, "GET /connections", asAda);
      const rows: { user: string }[] = JSON.parse(left.body).connections;
      assertEquals(rows.map(({ user }) => user), Array(each).fill("bob"));
      // The others go on.
      await clients[1]!.send("on");
      await clients[1]!.read();
    });

    await t.step("the command shows credentials from a file", async () => {
      const address = `127.0.0.1:${admin}`;
      async function run(...words: string[]): Promise<[number, string]> {
        const { code, stdout, stderr } = await runShared([
          ...["--admin", address, ...words],
        ]);
        return [code, stdout + stderr];
      }
      const login = await directory.write("login", "ada:right: pass\n");
      assertEquals(await run("resume"), [
        1,
        "websocksy: credentials are needed\n",
      ]);
      const [code, sentence] = await run("resume", "--credentials", login);
      assertEquals(code, 0);
      assertEquals(
        sentence,
        `takes new connections; ${clients.length / 2} are open\n`,
      );

      const token = await directory.write("token", makeToken({ sub: "eve" }));
      const into = join(directory.path, "one.pcapng");
      const id = command.logged("open").find(({ user }) => user === "bob")!.id;
      const capture = run(
        ...["capture", `${id}`, "seconds=60", `--credentials=${token}`],
        ...["--file", into],
      );
      const told = await command.event(
        "admin",
        ({ action }) => action === "capture",
      );
      assertEquals([told.id, told.operator], [id, "eve"]);
      await clients[1]!.send("what is captured");
      await clients[1]!.read();
      await ask(admin, `DELETE /connections/${id}`, asAda);
      await clients[1]!.readClose();
      await clients[1]!.sendClose(1008);
      const [, wrote] = await capture;
      const bytes = await Deno.readFile(into);
      assertEquals(wrote, `wrote ${bytes.length} bytes to ${into}\n`);
      const { mode } = await Deno.stat(into);
      assertEquals(mode! & 0o777, 0o600);
      const parts = new TextDecoder().decode(bytes).split("what is captured");
      assertEquals(parts.length, 3);
    });

    await t.step("a reload changes the section", async () => {
      async function reload(
        operators: string,
        headers = {},
      ): Promise<[number, string]> {
        await directory.write("websocksy.ini", text(operators));
        const { status, body } = await ask(admin, "POST /reload", headers);
        return [status, body];
      }
      const [status, why] = await reload("admin-access = none", asAda);
      assertEquals(status, 422);
      assertMatch(why, /cannot use admin-access: there is no section/);
      assertEquals((await ask(admin, "GET /health")).status, 401);
      assertEquals((await reload("admin-access = here", asAda))[0], 200);
      assertEquals((await ask(admin, "GET /health")).status, 200);
      assertEquals((await ask(admin, "GET /health")).status, 200);
      const often = await ask(admin, "GET /health");
      assertEquals(often.status, 429);
      assert(Number(often.headers.get("retry-after")) > 0);
      await directory.write(
        "websocksy.ini",
        text("admin-access = elsewhere"),
      );
      command.kill("SIGHUP");
      // The events of the reloads before come first.
      while ((await ask(admin, "GET /health")).status !== 403) {
        await command.event("reload");
      }
    });
  },
}));

Deno.test(needing(["unix"], {
  name: "An admin listener that others reach never opens to all of them",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const users = await directory.write("users", `${ada}\n`);
    const text = (core: string): string =>
      `[core]
trusted-proxy = 127.0.0.1
${core}
[backend]
host = ${peer.host}
[access proxy]
address = 192.0.2.0/24
user-header = X-Remote-User
[access users]
users = ${users}
[access any]
rate = 100/s
`;
    const begin = text("admin = 0.0.0.0:0\nadmin-access = proxy");
    const file = await directory.write("websocksy.ini", begin);
    await using command = await Command.start({ file });
    const admin = await adminPort(command);
    const from = { "X-Forwarded-For": "192.0.2.7" };
    const asEve = { ...from, "X-Remote-User": "eve" };

    assertEquals((await ask(admin, "GET /connections")).status, 403);
    assertEquals((await ask(admin, "GET /connections", from)).status, 403);
    const elsewhere = { ...asEve, "X-Forwarded-For": "198.51.100.7" };
    assertEquals((await ask(admin, "GET /health", elsewhere)).status, 403);
    const rebound = { ...asEve, Host: "evil.example" };
    assertEquals((await ask(admin, "GET /health", rebound)).status, 403);
    assertEquals((await ask(admin, "POST /drain", asEve)).status, 200);
    const { remote, operator } = await command.event(
      "admin",
      ({ action }) => action === "drain",
    );
    assertEquals([remote, operator], ["192.0.2.7", "eve"]);

    // It stays where it is, whatever a new configuration says.
    for (
      const [core, why] of [
        ["", "others can reach that address"],
        ["admin = 127.0.0.1:0", "others can reach that address"],
        ["admin = 127.0.0.1:0\nadmin-access = users", "its section has users"],
        ["admin = 127.0.0.1:0\nadmin-access = any", "lets in all of them"],
      ] as const
    ) {
      await directory.write("websocksy.ini", text(core));
      const { status, body } = await ask(admin, "POST /reload", asEve);
      assertEquals([status, body.includes(why)], [422, true], body);
      assertEquals((await ask(admin, "GET /health")).status, 403);
    }
    await directory.write("websocksy.ini", begin);
    assertEquals((await ask(admin, "POST /reload", asEve)).status, 200);

    // Nor are credentials sent to where others could read them.
    const login = await directory.write("login", "ada:right: pass\n");
    const { code, stderr } = await runShared([
      ...["--admin", "192.0.2.1:9001", "list", "--credentials", login],
    ]);
    assertEquals(code, 2);
    assertMatch(stderr, /would go over the network unencrypted/);
  },
}));
