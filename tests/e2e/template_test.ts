/** Clients that name their peer. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { RawClient, request } from "../support/client.ts";
import { TestPeer, writeAll } from "../support/peer.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

Deno.test("clients name their peer, within allow-peer", async () => {
  await using peer = TestPeer.tcp(async (connection) => {
    await writeAll(connection, new TextEncoder().encode("peer"));
    await connection.read(new Uint8Array(16));
  });
  await using other = TestPeer.tcp();
  const { port } = new URL(peer.host);
  await using command = await SharedCommand.start({
    args: [
      ...["--allow-peer", `tcp://127.0.0.0/8:${port}`],
      ...["-b", "template", "-c", "peer=tcp://%query:address%"],
      ...["-c", `peer=tcp://%query:host%:%query:port|${port}%`],
      ...["--route", "/tcp/*", "-b", "template", "-c", "peer=tcp://%rest%"],
      ...["-c", "protocol=binary"],
      ...["--route", "/at/*", "-b", "template"],
      ...["-c", `peer=tcp://%rest%:${port}`],
    ],
  });
  for (
    const target of [
      `/v1?address=127.0.0.1:${port}`,
      `/v1?address=127.0.0.1%3A${port}`,
      `/?host=127.0.0.1`,
      `/?host=localhost&port=${port}`,
      `/tcp/127.0.0.1:${port}`,
      "/at/localhost",
    ]
  ) {
    using client = await RawClient.open(command.port, { target });
    assertEquals(await client.read(), "peer", target);
  }
  // As Emscripten asks.
  using client = await RawClient.open(command.port, {
    target: `/tcp/localhost:${port}`,
    headers: { "Sec-WebSocket-Protocol": "binary" },
  });
  assertEquals(await client.read(), "peer");

  for (
    const [target, status] of [
      [`/v1?address=${other.host.slice("tcp://".length)}`, 502],
      [`/v1?address=192.0.2.1:${port}`, 502],
      [`/v1?address=[::1]:${port}`, 502],
      ["/v1", 404],
      ["/v1?host=a%00", 404],
      ["/v1?host=0x7f.1", 404],
      ["/v1?host=2130706433", 404],
      [`/v1?host=127.0.0.1%40evil.test&port=${port}`, 404],
      [`/v1?host=unix:///run/x`, 404],
      ["/tcp/127.0.0.1", 404],
      [`/tcp/127.0.0.1:${port}/..`, 400],
    ] as const
  ) {
    const answer = await request(command.port, { target });
    assertEquals(answer.status, status, target);
    assertEquals(answer.body.includes("127.0.0.1"), false);
  }
  assertEquals(other.count, 0);
  const { why } = await command.event(
    "refuse",
    ({ target }) => String(target).includes("192.0.2.1"),
  );
  assertStringIncludes(String(why), "allow-peer does not allow it");
});

Deno.test("template does not start without allow-peer", async () => {
  const { code, stderr } = await runShared([
    ...["-p", "0", "-b", "template", "-c", "peer=tcp://%query:address%"],
  ]);
  assertEquals(code, 2);
  assertEquals(
    stderr,
    'websocksy: -b: backend "template" needs allow-peer: its clients name their peers, and without that option each of them could reach whatever this machine can\n',
  );
});
