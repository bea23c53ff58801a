/** Clients behind proxies, limits for each of them, and which peers they reach. */

import {
  assertEquals,
  assertLessOrEqual,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { RawClient, request, type RequestOptions } from "../support/client.ts";
import { type LogEntry, testEngines } from "../support/command.ts";
import { echo, listenDatagram, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

/** A request that a proxy would have sent for its client. */
function forwardedFor(value: string): RequestOptions {
  return { headers: { "X-Forwarded-For": value } };
}

/** Opens a WebSocket, closes it, and gives what the log says about it. */
async function visit(
  command: SharedCommand,
  options: RequestOptions,
): Promise<LogEntry> {
  using client = await RawClient.open(command.port, options);
  const entry = await command.event("open");
  await client.sendClose(1000);
  await client.readClose();
  await command.event("close");
  return entry;
}

testEngines(
  "trusted-proxy changes nothing for a client that is not trusted",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    for (const args of [[], ["--trusted-proxy", "127.0.0.2, ::1, unix"]]) {
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: ["--max-connections-per-address", "1", ...args],
      });
      const name = args.length === 0 ? "without trusted-proxy" : args[1]!;
      await t.step(name, async () => {
        for (const header of ["X-Forwarded-For", "Forwarded"]) {
          const value = header === "Forwarded" ? "for=6.6.6.6" : "6.6.6.6";
          const spoofed = { headers: { [header]: value } };
          const { remote } = await visit(command, spoofed);
          assertMatch(String(remote), /^127\.0\.0\.1:\d+$/);
        }
        // Nor does it get around the limit.
        using _first = await RawClient.open(command.port);
        const response = await request(command.port, forwardedFor("6.6.6.7"));
        assertEquals(response.status, 503);
        const { remote } = await command.event("refuse");
        assertMatch(String(remote), /^127\.0\.0\.1:\d+$/);
      });
    }
  },
);

testEngines(
  "trusted-proxy gives the client's address to log and backend",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const backend = await directory.write(
      "backend.ts",
      `export const apiVersion = 1;
      export const createBackend = () => ({
        query: ({ remote }) => remote.address === "192.0.2.7" ||
            remote.address === "2001:db8::7"
          ? { address: ${JSON.stringify(peer.host)} }
          : undefined,
      });`,
    );
    await using command = await SharedCommand.start({
      engine,
      args: ["-b", backend, "--trusted-proxy", "127.0.0.0/8,10.0.0.0/8"],
    });
    const cases: [options: RequestOptions, remote: string][] = [
      [forwardedFor("6.6.6.6, 192.0.2.7"), "192.0.2.7"],
      [forwardedFor("6.6.6.6, 192.0.2.7:7, 10.0.0.1"), "192.0.2.7:7"],
      [{
        headers: { "X-Forwarded-For": ["6.6.6.6", "2001:db8::7", "10.0.0.1"] },
      }, "2001:db8::7"],
      [{
        headers: { Forwarded: 'for=6.6.6.6, for="[2001:db8::7]:9"' },
      }, "[2001:db8::7]:9"],
    ];
    for (const [options, remote] of cases) {
      assertEquals((await visit(command, options)).remote, remote);
    }
    // The backend sees the same address in these, too, and knows no peer for it.
    for (const options of [{}, forwardedFor("192.0.2.7, unknown")]) {
      assertEquals((await request(command.port, options)).status, 404);
      const { remote } = await command.event("refuse");
      assertMatch(String(remote), /^127\.0\.0\.1:\d+$/);
    }
    const contradiction = {
      headers: { "X-Forwarded-For": "192.0.2.7", Forwarded: "for=6.6.6.6" },
    };
    assertEquals((await request(command.port, contradiction)).status, 400);
  },
);

testEngines(
  "max-connections-per-address limits each client by itself",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    for (
      const addresses of [
        ["192.0.2.7", "192.0.2.7", "192.0.2.8"],
        ["2001:db8::7", "2001:db8::ffff:0:0:8", "2001:db8:0:1::7"],
      ] as const
    ) {
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: [
          ...["--max-connections-per-address", "2"],
          ...["--trusted-proxy", "127.0.0.1"],
        ],
      });
      const [one, same, other] = addresses.map(forwardedFor);
      using _first = await RawClient.open(command.port, one);
      using second = await RawClient.open(command.port, same);
      for (const options of [one, same]) {
        const { status, headers, body } = await request(command.port, options);
        assertEquals(status, 503);
        assertMatch(headers.get("retry-after") ?? "", /^\d+$/);
        assertEquals(body, "too many connections from this address\n");
      }
      using _other = await RawClient.open(command.port, other);
      await second.sendClose(1000);
      await second.readClose();
      await command.event("close");
      using third = await RawClient.open(command.port, one);
      await third.send("third");
      assertEquals(await third.read(), "third");
    }
    await peer.accepted(8);
  },
);

testEngines(
  "max-connections-per-address counts what failed no longer",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using command = await SharedCommand.start({
      engine,
      host: `unix://${directory.path}/missing`,
      // The one before may end while the next is accepted.
      args: ["--max-connections-per-address", "2"],
    });
    for (let attempt = 0; attempt < 6; attempt++) {
      assertEquals((await request(command.port)).status, 502);
    }
  },
);

testEngines(
  "idle-timeout closes what is silent both ways",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      // A busy machine may be late by more than three seconds.
      args: ["--idle-timeout", "4", "--ping", "3"],
    });
    // It answers pings, which are no traffic.
    const client = new WebSocket(`ws://127.0.0.1:${command.port}/`);
    const closed = new Promise<CloseEvent>((resolve) => {
      client.onclose = resolve;
    });
    await new Promise((resolve) => client.onopen = resolve);
    const connection = await peer.next();
    const buffer = new Uint8Array(10);
    // What goes one way alone keeps it open, for more than a time-out each.
    let silent = 0;
    for (let count = 0; count < 18; count++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      silent = performance.now();
      if (count < 9) {
        client.send("x");
        assertEquals(await connection.read(buffer), 1);
      } else {
        const arrived = new Promise((resolve) => client.onmessage = resolve);
        await connection.write(buffer.subarray(0, 1));
        await Promise.race([arrived, closed]);
      }
    }
    const expected = { code: 1001, reason: "nothing was sent for 4 s" };
    const event = await closed;
    assertEquals({ code: event.code, reason: event.reason }, expected);
    assertLessOrEqual(3990, performance.now() - silent);
    assertEquals(await connection.read(buffer), null);
    connection.close();
    const { code, by, reason } = await command.event("close");
    assertEquals({ code, by, reason }, { ...expected, by: "server" });
  },
);

testEngines(
  "allow-peer opens what it allows alone",
  async (t, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    const port = new URL(peer.host.replace("tcp:", "http:")).port;
    const path = join(directory.path, "out.sock");
    await using _unix = TestPeer.on(
      Deno.listen({ transport: "unix", path }),
      `unix://${path}`,
      echo,
    );
    await Deno.mkdir(join(directory.path, "in"));
    await Deno.symlink(path, join(directory.path, "in", "link.sock"));
    using udp = listenDatagram({ hostname: "127.0.0.1" });
    const udpPort = (udp.addr as Deno.NetAddr).port;
    const cases: [host: string, patterns: string[], isOpen: boolean][] = [
      [`tcp://127.0.0.1:${port}`, ["*"], true],
      [`tcp://127.0.0.1:${port}`, [`*://127.0.0.1:${port}`], true],
      [
        `tcp://127.0.0.1:${port}`,
        ["tcp://10.0.0.0/8", "tcp://127.0.0.0/8"],
        true,
      ],
      [`tcp://localhost:${port}`, ["tcp://127.0.0.0/8"], true],
      [`tcp://localhost:${port}`, [`tcp://localhost:${port}`], true],
      [`udp://localhost:${udpPort}`, ["udp://127.0.0.1"], true],
      [`unix://${path}`, [`unix://${directory.path}/*`], true],
      [`tcp://127.0.0.1:${port}`, ["tcp://10.0.0.0/8"], false],
      [`tcp://[::ffff:127.0.0.1]:${port}`, ["*://[::/0]"], false],
      [`tcp://127.0.0.1:${port}`, ["tls://127.0.0.1", "unix:///**"], false],
      [`tcp://localhost:${port}`, ["tcp://10.0.0.0/8", "tcp://h"], false],
      [`tcp://127.1:${port}`, ["tcp://10.0.0.0/8"], false],
      [`udp://localhost:${udpPort}`, ["udp://10.0.0.1"], false],
      [`unix://${path}`, ["unix:///run/*"], false],
      [`unix://${directory.path}/in/../out.sock`, [
        `unix://${directory.path}/in/*`,
      ], false],
      [`unix://${directory.path}/in/link.sock`, [
        `unix://${directory.path}/in/*`,
      ], false],
    ];
    await using command = await SharedCommand.start({
      engine,
      file: await directory.write("a.ini", ""),
    });
    for (const [host, patterns, isOpen] of cases) {
      await t.step(`${host} by ${patterns.join(" ")}`, async () => {
        const core = patterns.map((pattern) => `allow-peer = ${pattern}\n`);
        await directory.write(
          "a.ini",
          `[core]\n${core.join("")}[backend]\nhost = ${host}\n`,
        );
        command.kill("SIGHUP");
        await command.event("reload");
        if (isOpen) {
          using _client = await RawClient.open(command.port);
          return;
        }
        const { status, body } = await request(command.port);
        assertEquals(status, 502);
        assertEquals(body, "peer connection failed\n");
        const { level, why } = await command.event("refuse");
        assertEquals(level, "warn");
        assertStringIncludes(String(why), "allow-peer does not allow it");
      });
    }
    await t.step("a peer file's answer", async () => {
      await directory.write("peer.txt", `tcp://localhost:${port} *\n`);
      for (const pattern of ["tcp://10.0.0.0/8", "tcp://127.0.0.1"]) {
        await directory.write(
          "a.ini",
          [
            ...["[core]", "backend = file", `allow-peer = ${pattern}`],
            ...["[backend]", `path = ${directory.path}`],
            "expression = peer.txt",
          ].join("\n"),
        );
        command.kill("SIGHUP");
        await command.event("reload");
        const client = await RawClient.connect(command.port);
        using _ = client;
        const { status } = await client.request();
        assertEquals(status, pattern === "tcp://127.0.0.1" ? 101 : 502);
      }
    });
  },
);
