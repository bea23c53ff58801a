/** Each transport, against real services where there are some. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
} from "@std/assert";
import { join } from "node:path";
import { RawClient, request } from "../support/client.ts";
import { createAuthority } from "../support/certificates.ts";
import { Command, testEngines } from "../support/command.ts";
import { echo, listenDatagram, TestPeer } from "../support/peer.ts";
import {
  createCertificate,
  startDns,
  startRedis,
  TemporaryDirectory,
} from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

testEngines(
  "bridge talks to Redis over TCP and over its Unix socket",
  async (t, engine) => {
    await using redis = await startRedis();
    for (const host of [redis.tcp, redis.unix]) {
      await t.step(host.split(":")[0]!, async () => {
        await using command = await SharedCommand.start({ engine, host });
        using client = await RawClient.open(command.port);
        await client.send("PING\r\n");
        assertEquals(await client.read(), "+PONG\r\n");
        await client.send(new TextEncoder().encode("SET key v\r\n"));
        assertEquals(await client.read(), "+OK\r\n");
        await client.send("QUIT\r\n");
        assertEquals(await client.read(), "+OK\r\n");
        assertEquals(await client.readClose(), { code: 1000, reason: "" });
        await client.sendClose(1000);
        const { peer, framing } = await command.event("open");
        assertEquals({ peer, framing }, { peer: host, framing: "auto" });
      });
    }
  },
  { needs: ["redis-server"] },
);

/** A DNS query for the IPv4 address of `example.test`, RFC 1035 section 4. */
function createDnsQuery(id: number): Uint8Array {
  const header = [id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  const name = ["example", "test"].flatMap((label) => [
    label.length,
    ...new TextEncoder().encode(label),
  ]);
  return Uint8Array.from([...header, ...name, 0, 0, 1, 0, 1]);
}

testEngines("bridge talks to a DNS server over UDP", async (_, engine) => {
  await using dns = await startDns();
  await using command = await SharedCommand.start({
    engine,
    host: dns.host,
    args: ["-c", "framing=binary"],
  });
  using client = await RawClient.open(command.port);
  for (const id of [0x1234, 0xabcd]) {
    await client.send(createDnsQuery(id));
    const answer = await client.read();
    assertInstanceOf(answer, Uint8Array);
    assertEquals([...answer.subarray(0, 2)], [id >> 8, id & 0xff]);
    // One answer, without error, whose last field is the address.
    assertEquals(answer[3]! & 0x0f, 0);
    assertEquals([...answer.subarray(6, 8)], [0, 1]);
    assertEquals([...answer.subarray(-4)], [192, 0, 2, 7]);
  }
}, { needs: ["dnsmasq"] });

testEngines("bridge keeps the bounds of UDP datagrams", async (_, engine) => {
  using service = listenDatagram({ hostname: "127.0.0.1" });
  using stranger = listenDatagram({ hostname: "127.0.0.1" });
  const { port } = service.addr as Deno.NetAddr;
  await using command = await SharedCommand.start({
    engine,
    host: `udp://127.0.0.1:${port}`,
    args: ["-c", "framing=binary"],
  });
  using client = await RawClient.open(command.port);
  const sizes = [1, 0, 512, 9000, 65_507];
  for (const size of sizes) await client.send(new Uint8Array(size).fill(size));
  let bridge: Deno.Addr | undefined;
  for (const size of sizes) {
    const [datagram, from] = await service.receive(new Uint8Array(65_536));
    assertEquals(datagram.length, size);
    assertEquals(datagram[0] ?? 0, size & 0xff);
    bridge = from;
  }
  const { port: bridgePort } = bridge as Deno.NetAddr;
  const target = { ...bridge as Deno.NetAddr, hostname: "127.0.0.1" };
  assert(bridgePort > 0);
  // Only what the peer itself sends is taken.
  await stranger.send(new Uint8Array([6, 6, 6]), target);
  for (const size of sizes) await service.send(new Uint8Array(size), target);
  for (const size of sizes) {
    assertEquals((await client.read()).length, size);
  }
  await client.send(new Uint8Array(65_508));
  assertEquals((await client.readClose()).code, 1009);
  await client.sendClose(1009);
  const { code, by } = await command.event("close");
  assertEquals({ code, by }, { code: 1009, by: "server" });
});

async function namesIn(directory: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(directory));
  return entries.map(({ name }) => name);
}

testEngines(
  "bridge gets answers from a Unix datagram socket and leaves no path",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const temporary = join(directory.path, "tmp");
    await Deno.mkdir(temporary);
    const path = join(directory.path, "service");
    using service = listenDatagram({ path });
    await using command = await Command.start({
      engine,
      host: `unix-dgram://${path}`,
      env: { TMPDIR: temporary },
      args: ["-c", "framing=auto"],
    });
    using client = await RawClient.open(command.port);
    for (const text of ["one", "", "three"]) {
      await client.send(text);
      const [datagram, from] = await service.receive();
      assertEquals(new TextDecoder().decode(datagram), text);
      await service.send(new TextEncoder().encode(`${text}!`), from);
      assertEquals(await client.read(), `${text}!`);
    }
    const names = await namesIn(temporary);
    assertEquals(names.length, 1);
    const { mode } = await Deno.stat(join(temporary, names[0]!));
    assertEquals(mode! & 0o777, 0o700);
    await client.sendClose(1000);
    await client.readClose();
    await command.event("close");
    assertEquals(await namesIn(temporary), []);

    // Nor does one that is open when the server is ended.
    using last = await RawClient.open(command.port);
    assertEquals((await namesIn(temporary)).length, 1);
    command.kill("SIGTERM");
    await command.event("shutdown");
    await last.readToClose();
    await last.sendClose(1001);
    assertEquals((await command.status).code, 0);
    assertEquals(await namesIn(temporary), []);
  },
  { needs: ["unix"] },
);

testEngines(
  "bridge talks to abstract Unix sockets",
  async (t, engine) => {
    const name = `websocksy-${crypto.randomUUID()}`;
    await t.step("stream", async () => {
      const path = `\0${name}`;
      const listener = Deno.listen({ transport: "unix", path });
      await using _peer = TestPeer.on(listener, "", echo);
      const host = `unix://@${name}`;
      const args = ["--allow-peer", `unix://@websocksy-*`];
      await using command = await SharedCommand.start({ engine, host, args });
      using client = await RawClient.open(command.port);
      await client.send("abstract");
      assertEquals(await client.read(), "abstract");
      assertEquals((await command.event("open")).peer, host);
    });
    await t.step("datagrams", async () => {
      using service = listenDatagram({ path: `\0${name}` });
      const host = `unix-dgram://@${name}`;
      await using command = await SharedCommand.start({ engine, host });
      using client = await RawClient.open(command.port);
      for (const text of ["one", "", "three"]) {
        await client.send(text);
        const [datagram, from] = await service.receive();
        assertEquals(new TextDecoder().decode(datagram), text);
        await service.send(new TextEncoder().encode(`${text}!`), from);
        assertEquals(await client.read(), `${text}!`);
      }
    });
    await t.step("nobody there", async () => {
      const host = `unix://@${name}`;
      await using command = await SharedCommand.start({ engine, host });
      assertEquals((await request(command.port)).status, 502);
    });
    await t.step("no datagrams taken there", async () => {
      const host = `unix-dgram://@${name}`;
      await using command = await SharedCommand.start({ engine, host });
      using client = await RawClient.open(command.port);
      await client.send("lost");
      assertEquals((await client.readClose()).code, 1011);
    });
    await t.step("not allowed", async () => {
      const host = `unix://@${name}`;
      const args = ["--allow-peer", "unix:///**"];
      await using command = await SharedCommand.start({ engine, host, args });
      assertEquals((await request(command.port)).status, 502);
      const { why } = await command.event("refuse");
      assertMatch(String(why), /allow-peer does not allow it.*@websocksy/);
    });
  },
  { needs: ["linux"] },
);

testEngines(
  "bridge names the flag that a Unix datagram socket needs",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    const path = join(directory.path, "service");
    using _service = listenDatagram({ path });
    await using command = await Command.start({
      engine,
      host: `unix-dgram://${path}`,
      permissions: ["--allow-net", "--allow-read"],
    });
    assertEquals((await request(command.port)).status, 502);
    const { why } = await command.event("refuse");
    assertMatch(String(why), /--allow-write/);
  },
  { needs: ["unix", "deno run"] },
);

testEngines("bridge talks TLS to a peer it can verify", async (t, engine) => {
  await using directory = new TemporaryDirectory();
  const { certFile, cert, key } = await createCertificate(directory.path);
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert,
    key,
  });
  const { port } = listener.addr;
  await using _peer = TestPeer.on(listener, "", echo);
  const names = ["localhost", "127.0.0.1"];
  await using command = await Command.start({
    engine,
    flags: [`--cert=${certFile}`],
    args: names.flatMap((name) => [
      ...["--route", `/${name}`, "-c", `host=tls://${name}:${port}`],
    ]),
  });
  for (const name of names) {
    await t.step(name, async () => {
      const target = `/${name}`;
      using client = await RawClient.open(command.port, { target });
      await client.send("over TLS");
      assertEquals(await client.read(), "over TLS");
      const large = new Uint8Array(1_000_000).fill(7);
      await client.send(large);
      let received = 0;
      while (received < large.length) received += (await client.read()).length;
      await client.sendClose(1000, "done");
      assertEquals(await client.readClose(), { code: 1000, reason: "done" });
      const close = await command.event("close");
      assertEquals(close.error, undefined);
    });
  }
  await t.step("with a certificate that it cannot verify: 502", async () => {
    await using command = await SharedCommand.start({
      engine,
      host: `tls://localhost:${port}`,
    });
    assertEquals((await request(command.port)).status, 502);
    const { why } = await command.event("refuse");
    assertMatch(String(why), /certificate/i);
  });
}, { needs: ["openssl"] });

testEngines(
  "bridge talks TLS to a peer that has signed itself",
  async (t, engine) => {
    await using authority = await createAuthority();
    await using directory = new TemporaryDirectory();
    const own = await authority.signItself("device.test");
    const file = join(directory.path, "ca.pem");
    await Deno.writeTextFile(file, own.cert);
    const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...own });
    const { port } = listener.addr;
    await using _peer = TestPeer.on(listener, "", echo);
    const host = `tls://localhost:${port}`;
    const cases: [name: string, options: string[]][] = [
      ["tls-ca", [`tls-ca=${file}`, "tls-name=device.test"]],
      ["tls-fingerprint", [`tls-fingerprint=${own.hexFingerprint}`]],
    ];
    for (const [name, options] of cases) {
      await t.step(name, async () => {
        const args = options.flatMap((option) => ["-c", option]);
        await using command = await SharedCommand.start({ engine, host, args });
        using client = await RawClient.open(command.port);
        const large = new Uint8Array(1_000_000).fill(7);
        await client.send(large);
        let received = 0;
        while (received < large.length) {
          received += (await client.read()).length;
        }
        await client.sendClose(1000, "done");
        assertEquals(await client.readClose(), { code: 1000, reason: "done" });
        assertEquals((await command.event("close")).error, undefined);
      });
    }
    await t.step("neither: the log says what to do", async () => {
      await using command = await SharedCommand.start({ engine, host });
      assertEquals((await request(command.port)).status, 502);
      const { why } = await command.event("refuse");
      assertMatch(String(why), /tls-ca = FILE, or tls-fingerprint = sha256/);
    });
  },
  { needs: ["openssl"] },
);

testEngines("bridge talks to an IPv6 address", async (t, engine) => {
  await using peer = TestPeer.tcp(echo, "::1");
  await t.step("as the C version takes it", async () => {
    const port = peer.host.split(":").at(-1)!;
    const args = ["-c", `port=${port}`];
    const host = "tcp://::1";
    await using command = await SharedCommand.start({ engine, host, args });
    using client = await RawClient.open(command.port);
    await client.send("six");
    assertEquals(await client.read(), "six");
  });
  using service = listenDatagram({ hostname: "::1" });
  await t.step("tcp", async () => {
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
    });
    using client = await RawClient.open(command.port);
    await client.send("six");
    assertEquals(await client.read(), "six");
    assertEquals((await command.event("open")).peer, peer.host);
  });
  await t.step("udp", async () => {
    const { port } = service.addr as Deno.NetAddr;
    await using command = await SharedCommand.start({
      engine,
      // The same address in another form: answers are known by the address.
      host: `udp://[0:0:0:0:0:0:0:1]:${port}`,
    });
    using client = await RawClient.open(command.port);
    await client.send("six");
    const [datagram, from] = await service.receive();
    await service.send(datagram, from);
    assertEquals(await client.read(), "six");
  });
}, { needs: ["ipv6"] });

testEngines("bridge listens on IPv6 and IPv4 with ::", async (_, engine) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({
    engine,
    host: peer.host,
    args: ["-l", "::"],
  });
  using client = await RawClient.open(command.port);
  await client.send("four");
  assertEquals(await client.read(), "four");
  // The mapped form of the address (RFC 4291 section 2.5.5.2) is not shown.
  const { remote } = await command.event("open");
  assertMatch(String(remote), /^127\.0\.0\.1:\d+$/);
}, { needs: ["ipv6"] });

/**
 * Runs a program that sees a file of its own in the place of `/etc/hosts`,
 * where the system lets us: it is the only way to a name with several
 * addresses that needs no name server.
 */
function withHosts(file: string): string[] {
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, file];
}

testEngines(
  "bridge tries the next address of a name when one refuses, of those that are allowed",
  async (t, engine) => {
    await using directory = new TemporaryDirectory();
    const hosts = await directory.write(
      "hosts",
      "127.0.0.1 localhost\n127.0.0.1 two.test\n::1 two.test\n",
    );
    await using stack = new AsyncDisposableStack();
    const peers = ["127.0.0.1", "::1"].map((hostname) => {
      const peer = stack.use(TestPeer.tcp(echo, hostname));
      return { hostname, peer, port: /\d+$/.exec(peer.host)![0] };
    });
    function start(args: readonly string[]): Promise<Command> {
      const routes = peers.flatMap(({ hostname, port }) => [
        ...["--route", `/${hostname}`, "-c", `host=tcp://two.test:${port}`],
      ]);
      const wrapper = withHosts(hosts);
      return Command.start({ engine, args: [...args, ...routes], wrapper });
    }
    await t.step("all are allowed", async (t) => {
      await using command = await start([]);
      for (const { hostname } of peers) {
        await t.step(`answers at ${hostname} only`, async () => {
          const target = `/${hostname}`;
          using client = await RawClient.open(command.port, { target });
          await client.send(hostname);
          assertEquals(await client.read(), hostname);
        });
      }
    });
    await t.step("[::1] is allowed", async (t) => {
      await using command = await start(["--allow-peer", "tcp://[::1]"]);
      for (const { hostname, peer } of peers) {
        await t.step(`${hostname} answers`, async () => {
          const target = `/${hostname}`;
          const { status } = await request(command.port, { target });
          assertEquals(status, hostname === "::1" ? 101 : 502);
          // One is from before.
          await peer.accepted(hostname === "::1" ? 2 : 1);
        });
      }
    });
  },
  // To which address it connects is nothing to the engine.
  { needs: ["namespaces", "ipv6"], only: ["stream"] },
);

testEngines(
  "bridge assumes tcp where an address has no scheme, and says so",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    const [, host, port] = /^tcp:\/\/(.*):(\d+)$/.exec(peer.host)!;
    await using command = await SharedCommand.start({
      engine,
      // The port given apart wins over the one in the address.
      args: ["-c", `host=${host}:1`, "-c", `port=${port}`],
    });
    using client = await RawClient.open(command.port);
    await client.send("x");
    assertEquals(await client.read(), "x");
    const { peer: address, note } = await command.event("open");
    assertEquals(address, peer.host);
    assertMatch(String(note), /no scheme.*tcp/);
  },
);
