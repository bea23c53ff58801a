/** For how long, how often and how fast those may be here who have come in. */

import { assert, assertEquals } from "@std/assert";
import {
  opcodes,
  RawClient,
  request,
  type RequestOptions,
} from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { get } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { basic, makeToken, tokenKey } from "../support/tokens.ts";

const password = "right: pass";
const hash = "$2y$04$UMp3zMAs/UhiUbKtdiEjsOfRaGvv7uPh1S6x8VtUvttoAyiDdryRO";

type Fields = NonNullable<RequestOptions["headers"]>;

function as(user: string, word = password): Fields {
  return { Authorization: basic(user, word) };
}

function withToken(token = makeToken()): Fields {
  return { Authorization: `Bearer ${token}` };
}

async function write(
  directory: TemporaryDirectory,
  text: string,
  users = ["ada", "bob"],
): Promise<string> {
  const list = await directory.write(
    "users",
    users.map((user) => `${user}:${hash}\n`).join(""),
  );
  const keys = await directory.write("keys.json", tokenKey);
  return await directory.write(
    "websocksy.ini",
    text.replaceAll("USERS", list).replaceAll("KEYS", keys),
  );
}

testEngines(
  "access: a token that expires ends its WebSocket, after what was sent before",
  async (_, engine) => {
    const size = 16_000_000;
    await using peer = TestPeer.tcp(async (connection) => {
      const bytes = new Uint8Array(size).fill(7);
      for (let at = 0; at < size;) {
        at += await connection.write(bytes.subarray(at));
      }
      await echo(connection);
    });
    await using directory = new TemporaryDirectory();
    const file = await write(
      directory,
      "[core]\naccess = a\n[access a]\njwt-key = KEYS\n[backend]\nframing = binary\n",
    );
    const { host } = peer;
    await using command = await SharedCommand.start({ engine, host, file });
    const { port } = command;
    const headers = withToken(makeToken({ expiresIn: 2 }));
    using client = await RawClient.open(port, { headers });
    // It reads nothing until its time is over: much of what was sent waits.
    while ((await request(port, { headers })).status === 101) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    let read = 0;
    let frame = await client.readFrame();
    for (; frame!.opcode !== opcodes.close; frame = await client.readFrame()) {
      read += frame!.payload.length;
    }
    const code = new DataView(frame!.payload.buffer).getUint16(0);
    const reason = new TextDecoder().decode(frame!.payload.subarray(2));
    assertEquals([code, reason], [1008, "token expired"]);
    await client.sendClose(1008);
    const line = await command.event("close", ({ id }) => id === 1);
    assertEquals(line["to-client-bytes"], read);
    assert(read > 0 && read < size, `${read}`);
    // Who comes with another token goes on.
    using again = await RawClient.open(port, { headers: withToken() });
    assert(await again.readFrame() !== null);
  },
);

testEngines(
  "access: limits of addresses and users, over all threads",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const file = await write(
      directory,
      `[core]
threads = 2
trusted-proxy = 127.0.0.1
[access often]
rate = 3/h
[access user]
jwt-key = KEYS
max-connections-per-user = 2
[access rated]
jwt-key = KEYS
rate-user = 3/h
[access short]
max-lifetime = 1
[access slow]
bandwidth = 200k/s
[access shared]
jwt-key = KEYS
bandwidth-user = 300k/s
[route /often]
access = often
[route /user]
access = user
[route /rated]
access = rated
[route /short]
access = short
[route /slow]
access = slow
framing = binary
[route /shared]
access = shared
framing = binary
`.replace(/\[route.*/g, `$&\nhost = ${peer.host}`),
    );
    await using command = await Command.start({ engine, file });
    const { port } = command;
    async function statuses(
      count: number,
      target: string,
      headers: Fields,
    ): Promise<number[]> {
      const all: number[] = [];
      for (let index = 0; index < count; index++) {
        all.push((await request(port, { target, headers })).status);
      }
      return all;
    }
    const from = (address: string): Fields => ({
      "X-Forwarded-For": address,
    });
    assertEquals(
      await statuses(5, "/often", from("192.0.2.1")),
      [101, 101, 101, 429, 429],
    );
    assertEquals(await statuses(1, "/often", from("192.0.2.2")), [101]);
    // All addresses of a network of IPv6 are one client.
    for (const [at, status] of [101, 101, 101, 429].entries()) {
      assertEquals(
        await statuses(1, "/often", from(`2001:db8::${at}`)),
        [status],
      );
    }
    const { headers } = await request(port, {
      target: "/often",
      headers: from("192.0.2.1"),
    });
    const wait = Number(headers.get("retry-after"));
    assert(wait > 0 && wait <= 1200, `${wait}`);
    const line = await command.event("refuse");
    assertEquals(
      line.why,
      "too many requests: the option rate of its access section",
    );

    const ada = { target: "/user", headers: withToken() };
    const first = await RawClient.open(port, ada);
    using _second = await RawClient.open(port, ada);
    assertEquals(await statuses(1, "/user", withToken()), [429]);
    const bob = withToken(makeToken({ sub: "bob" }));
    assertEquals(await statuses(1, "/user", bob), [101]);
    first[Symbol.dispose]();
    // Its place is free once its end was noticed.
    while ((await statuses(1, "/user", withToken()))[0] !== 101) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(
      await statuses(5, "/rated", withToken()),
      [101, 101, 101, 429, 429],
    );
    assertEquals(await statuses(1, "/rated", bob), [101]);
    await command.event("refuse", ({ why }) =>
      why ===
        'too many requests: the option rate-user of its access section, user "ada"');

    using short = await RawClient.open(port, { target: "/short" });
    assertEquals(await short.readClose(), {
      code: 1008,
      reason: "longest session is over",
    });

    // Both ways: what comes back has waited twice, at once.
    using slow = await RawClient.open(port, { target: "/slow" });
    const began = performance.now();
    const payload = new Uint8Array(20_000);
    const sending = (async (): Promise<void> => {
      for (let part = 0; part < 20; part++) await slow.send(payload);
    })();
    let read = 0;
    while (read < 20 * payload.length) {
      read += (await slow.readFrame())!.payload.length;
    }
    await sending;
    // 400 kB, of which a tenth of a second's worth and a read come at once.
    assert(performance.now() - began > 1000);

    // What a user sends counts together, in whichever thread it is read.
    const asked = { target: "/shared", headers: withToken() };
    await using opened = new AsyncDisposableStack();
    const clients = new Map<number, RawClient>();
    while (clients.size < 2) {
      const client = opened.use(await RawClient.open(port, asked));
      const { id } = await command.event(
        "open",
        ({ route }) => route === "/shared",
      );
      clients.set(Number(id) % 2, client);
    }
    const [one, other] = [...clients.values()] as [RawClient, RawClient];
    const start = performance.now();
    const both = [one, other].map(async (client) => {
      for (let part = 0; part < 15; part++) await client.send(payload);
      for (let read = 0; read < 15 * payload.length;) {
        read += (await client.readFrame())!.payload.length;
      }
    });
    await Promise.all(both);
    // 600 kB: each for itself would take less than a second.
    assert(performance.now() - start > 1300);
  },
  { needs: ["linux"] },
);

testEngines(
  "access: a reload ends, on revoke = close, those who could no longer come in",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const text = `[core]
[access close]
users = USERS
jwt-key = KEYS
revoke = close
[access keep]
users = USERS
[route /close]
access = close
[route /keep]
access = keep
`.replace(/\[route.*/g, `$&\nhost = ${peer.host}`);
    const file = await write(directory, text);
    await using command = await SharedCommand.start({ engine, file });
    const { port } = command;
    const open = (
      target: string,
      headers: Fields,
    ): Promise<RawClient> => RawClient.open(port, { target, headers });
    using adaStays = await open("/close", as("ada"));
    using bobGoes = await open("/close", as("bob"));
    using bobStays = await open("/keep", as("bob"));
    using tokenStays = await open("/close", withToken());
    await write(directory, text, ["ada"]);
    command.kill("SIGHUP");
    const revoked = { code: 1008, reason: "access was revoked" };
    assertEquals(await bobGoes.readClose(), revoked);
    await command.event("reload");
    assertEquals(
      (await request(port, {
        target: "/keep",
        headers: as("bob"),
      })).status,
      401,
    );
    // Another key: what the old one has signed goes.
    await write(directory, text, ["ada"]);
    await directory.write(
      "keys.json",
      tokenKey.replace("c2Vj", "d2Vj"),
    );
    command.kill("SIGHUP");
    assertEquals(await tokenStays.readClose(), revoked);
    await command.event("reload");
    for (const client of [adaStays, bobStays]) {
      await client.send("still here");
      assertEquals(await client.read(), "still here");
    }
  },
  { needs: ["unix"] },
);

testEngines(
  "access: a first login does not wait behind a flood of wrong passwords",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const file = await write(
      directory,
      "[core]\naccess = a\ntrusted-proxy = 127.0.0.1\n[access a]\nusers = USERS\n",
      ["ada", ...Array.from({ length: 5 }, (_, index) => `user${index}`)],
    );
    const { host } = peer;
    await using command = await SharedCommand.start({ engine, host, file });
    const { port, log } = command;
    const from = (address: string): Fields => ({ "X-Forwarded-For": address });
    const addresses = 10;
    const wrong = new Set<string>();
    const everyWrong = Promise.withResolvers<void>();
    let isOver = false;
    const flood = Array.from({ length: 4 * addresses }, async (_, index) => {
      const address = `192.0.2.${index % addresses}`;
      for (let count = 0; !isOver; count++) {
        const headers = {
          ...as("ada", `${index} ${count}`),
          ...from(address),
        };
        assertEquals((await request(port, { headers })).status, 401);
        wrong.add(address);
        if (wrong.size === addresses) everyWrong.resolve();
      }
    });
    await Promise.race([everyWrong.promise, Promise.all(flood)]);
    const refused = (): number =>
      log.all.filter(({ event }) => event === "refuse").length;
    const waited: number[] = [];
    for (let user = 0; user < 5; user++) {
      const before = refused();
      const headers = { ...as(`user${user}`), ...from(`198.51.100.${user}`) };
      assertEquals((await request(port, { headers })).status, 101);
      await command.event("open");
      waited.push(refused() - before);
    }
    isOver = true;
    await Promise.all(flood);
    // One of each address came before it. The test itself may be slow to ask.
    assert(Math.min(...waited) < addresses / 2, `${waited}`);
  },
  { only: ["stream"] },
);

testEngines(
  "access: no path leads around the section of a route",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    await Deno.mkdir(`${directory.path}/www/vnc`, { recursive: true });
    await Deno.mkdir(`${directory.path}/www/team@a`);
    await directory.write("www/team@a/secret.txt", "secret");
    await directory.write("www/vnc/secret.txt", "secret");
    await directory.write("www/open.txt", "open");
    // Elsewhere, these are names of the same folder without that.
    if (Deno.build.os === "linux") {
      for (const name of ["Vnc", "vnc.", "VNC ", "\uff56nc"]) {
        await Deno.symlink("vnc", `${directory.path}/www/${name}`);
      }
    }
    const file = await write(
      directory,
      `[core]
trusted-proxy = 10.0.0.0/8
web = ${directory.path}/www
[access staff]
users = USERS
[access proxied]
user-header = X-Remote-User
[route /vnc/*]
access = staff
host = ${peer.host}
[route /team@a/*]
access = staff
host = ${peer.host}
[route /proxied]
access = proxied
host = ${peer.host}
[route //desk.test/desk/*]
access = staff
host = ${peer.host}
[route /desk/*]
access = proxied
host = ${peer.host}
[route /open/*]
host = ${peer.host}
`,
    );
    await using command = await SharedCommand.start({ engine, file });
    const { port } = command;
    assertEquals((await request(port, { target: "/open/x" })).status, 101);
    assertEquals((await get(port, "/open.txt")).body, "open");
    const headers = as("ada");
    assertEquals(
      (await request(port, { target: "/vnc/x", headers })).status,
      101,
    );
    // What asks for more than a WebSocket is read by node:http.
    const byOtherParser: Fields = engine === "stream" ? { Expect: "x" } : {};
    const secret = "/vnc/secret.txt";
    assertEquals((await get(port, secret, { headers })).body, "secret");
    const host = "bridge.test";
    for (
      const target of [
        secret,
        "//vnc/secret.txt",
        "/vnc//secret.txt",
        "/vnc/./secret.txt",
        "/open/../vnc/secret.txt",
        "/open/%2e%2e/vnc/secret.txt",
        "/open/..%2fvnc/secret.txt",
        "/vnc%2fsecret.txt",
        "/%76nc/secret.txt",
        "/vn%63/secret.txt",
        "/vnc%5csecret.txt",
        "/vnc\\secret.txt",
        "/vnc;x/secret.txt",
        "/VNC/secret.txt",
        "/Vnc/secret.txt",
        "/vnc./secret.txt",
        "/%56NC%20/secret.txt",
        "/%ef%bd%96nc/secret.txt",
        "/vnc/secret.txt?",
        "/vnc/secret.txt#x",
        `http://${host}/vnc/secret.txt`,
        `http://${host}//vnc/secret.txt`,
        "/open/%00/../vnc/secret.txt",
        "/vnc/secret.txt%00",
        "/vnc/..",
        "/vnc/x/..",
        "/vnc/%2e",
        "/vnc/%2e%2e/vnc/secret.txt",
        "/./vnc/secret.txt",
        "///vnc/secret.txt",
        "/vnc/%252fsecret.txt",
        "/%2576nc/secret.txt",
        "/vnc/secret.txt%23",
        "/vnc%c0%afsecret.txt",
        "/vn%ef%bd%83/secret.txt",
        "/open/x/../../vnc/x",
        "vnc/secret.txt",
        "HTTP://BRIDGE.TEST/vnc/secret.txt",
        `http://${host}?/vnc/secret.txt`,
        `https://x@${host}/vnc/secret.txt`,
        "/team@a/secret.txt",
        "/team%40a/secret.txt",
      ]
    ) {
      for (const method of ["GET", "HEAD"]) {
        using client = await RawClient.connect(port);
        const { status, body } = await get(client, target, { method });
        assert([400, 401, 404, 426].includes(status), `${target}: ${status}`);
        assert(!body.includes("secret"), target);
      }
      for (const headers of [{}, byOtherParser]) {
        const { status } = await request(port, { target, headers });
        assert([400, 401, 404].includes(status), `${target}: ${status}`);
      }
    }
    const other = { target: "/open/x", headers: byOtherParser };
    assertEquals((await request(port, other)).status, 101);
    // However it names the host of a route: 403 is that of another route.
    for (
      const [name, expected] of [
        ...["desk.test", "DESK.Test", "desk.test.", "desk.test:80"]
          .map((name) => [name, 401] as const),
        ...["desk.test:", "desk.TEST.:00080", " desk.test\t"]
          .map((name) => [name, 401] as const),
        ...["desk.test..", "desk.test:99999", "desk%2etest", "desk.test/"]
          .map((name) => [name, 400] as const),
        ...["x@desk.test", "desk.test,x", "desk.test#", "[desk.test]"]
          .map((name) => [name, 400] as const),
        ...["desk\u00b7test", ".desk.test", "desk.test:80:80", "x desk.test"]
          .map((name) => [name, 400] as const),
        ["desk.test.x", 403],
        ["xn--desk-test", 403],
      ] as const
    ) {
      for (const more of [{}, byOtherParser]) {
        const headers = { ...more, Host: name };
        const target = "/desk/x";
        const { status } = await request(port, { target, headers });
        assertEquals(status, expected, `Host: ${name}`);
        const inUrl = await request(port, {
          target: `http://${name.trim()}${target}`,
          headers,
        });
        assert([400, expected].includes(inUrl.status), `URL of ${name}`);
      }
    }
    for (const host of [["desk.test", "x.test"], ["x.test", "desk.test"]]) {
      const headers = { Host: host };
      const asked = { target: "/desk/x", headers };
      assertEquals((await request(port, asked)).status, 400);
      const target = `http://${host[0]}/desk/x`;
      const two = { target, headers: { Host: host[1]! } };
      assertEquals((await request(port, two)).status, 400);
    }
    // Of HTTP/1.0, and behind a request that may be answered.
    for (
      const text of [
        `GET ${secret} HTTP/1.0\r\n\r\n`,
        `GET ${secret} HTTP/1.0\r\nHost: ${host}\r\n\r\n`,
        `GET /open.txt HTTP/1.1\r\nHost: ${host}\r\n\r\n` +
        `GET ${secret} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
        // A login holds for its own request alone.
        `GET ${secret} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${
          basic("ada", "wrong")
        }\r\n\r\n` +
        `GET ${secret} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      ]
    ) {
      await using connection = await Deno.connect({
        hostname: "127.0.0.1",
        port,
      });
      await connection.write(new TextEncoder().encode(text));
      const all = await new Response(connection.readable).text();
      assert(!all.includes("\r\n\r\nsecret"), all);
      assert(/HTTP\/1.[01] 40[01]/.test(all), all);
    }
    // Only a proxy that is trusted names users, however it is written.
    for (const name of ["X-Remote-User", "x-remote-user", "X_Remote_User"]) {
      const headers = { [name]: "root", "X-Forwarded-For": "10.0.0.1" };
      const asked = { target: "/proxied", headers };
      assertEquals((await request(port, asked)).status, 403);
    }
  },
);
