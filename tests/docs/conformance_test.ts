/**
 * `docs/conformance.md`: the tests that it names are there, and what it says that
 * no other test shows is so.
 */

import { assert, assertEquals } from "@std/assert";
import { formatRequest, opcodes, RawClient } from "../support/client.ts";
import { testEngines } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { SharedCommand } from "../support/shared_command.ts";
import { close, frame } from "../support/websocket_client_frames.ts";

Deno.test("docs/conformance.md names tests that exist", async () => {
  const page = await Deno.readTextFile(
    new URL("../../docs/conformance.md", import.meta.url),
  );
  const named = [...page.matchAll(/\| `([\w/]+_test\.ts)`: ([^|]+?) +\|/g)];
  assert(named.length > 30, `${named.length} tests are named`);
  for (const [, file, name] of named) {
    const source = await Deno.readTextFile(
      new URL(`../../${file}`, import.meta.url),
    );
    assert(source.includes(name!), `${file} has no test "${name}"`);
  }
});

testEngines(
  "Deno takes what RFC 6455 has a server refuse, as the page says",
  async (t) => {
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine: "native",
      host: peer.host,
    });
    const taken: Readonly<Record<string, Uint8Array>> = {
      "a frame without a mask": frame({ opcode: 1, payload: "x", mask: null }),
      "a pong of 126 bytes": frame({ opcode: 10, payload: "x".repeat(126) }),
      "a length in more bytes than it needs": frame({
        opcode: 1,
        payload: "x",
        lengthBytes: 8,
      }),
    };
    for (const [name, bytes] of Object.entries(taken)) {
      await t.step(name, async () => {
        using client = await RawClient.open(command.port);
        await client.sendBytes(bytes);
        if (bytes[0] === 0x81) assertEquals(await client.read(), "x");
        await client.send("on");
        assertEquals(await client.read(), "on");
      });
    }
    await t.step("a reserved bit: no close frame", async () => {
      using client = await RawClient.open(command.port);
      await client.sendFrame({ opcode: opcodes.text, reserved: 4 });
      assertEquals(await client.readToClose(), null);
    });
    await t.step("a bad close code: 1002", async () => {
      using client = await RawClient.open(command.port);
      await client.sendBytes(close(1005));
      assertEquals((await client.readToClose())?.code, 1002);
    });
  },
  { only: ["native"] },
);

/** Requests, and the status that answers them. */
const requests: readonly (readonly [string, number])[] = [
  [
    formatRequest({
      headers: { Connection: "keep-alive, UPGRADE", Upgrade: "WebSocket" },
    }),
    101,
  ],
  [
    formatRequest({
      headers: { "Sec-WebSocket-Extensions": "permessage-deflate" },
    }),
    101,
  ],
  [formatRequest({ headers: { Connection: null } }), 426],
  [formatRequest({ headers: { Connection: "keep-alive" } }), 426],
  [formatRequest({ headers: { Host: null } }), 400],
  [formatRequest().replace("HTTP/1.1", "HTTP/1.0"), 101],
];

testEngines("handshake takes what other clients send", async (t, engine) => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({ engine, host: peer.host });
  for (const [request, expected] of requests) {
    await t.step(JSON.stringify(request), async () => {
      using client = await RawClient.connect(command.port);
      await client.sendBytes(request);
      const { status, headers } = await client.readResponse();
      assertEquals(status, expected);
      assertEquals(headers.get("sec-websocket-extensions"), null);
    });
  }
});
