/**
 * Compression between the command and independent clients, which offer it by
 * themselves, and those that attack it.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { Client, clients } from "../support/clients/client.ts";
import {
  binary,
  concat,
  digest,
  type Message,
  type Step,
  text,
} from "../support/clients/session.ts";
import { opcodes, RawClient } from "../support/client.ts";
import { Command } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, readAll, TestPeer, writeAll } from "../support/peer.ts";
import { residentMemory } from "../support/process_resources.ts";
import { Random } from "../support/random.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

const finishFlush = constants.Z_SYNC_FLUSH;

const offer = { "Sec-WebSocket-Extensions": "permessage-deflate" };

/** Streams of messages that a client and the bridge exchange. */
const streams = Deno.env.get("WEBSOCKSY_LONG") === "1" ? 1_000 : 20;

/** Streams at the same time. */
const together = 20;

/**
 * Values of `compression-memory`: large windows, small ones, a context only for
 * what the client sends, and none.
 */
const memories = [393_216, 170_000, 40_000, 0];

/** Bytes that a relay has passed on. */
interface Carried {
  toServer: number;
  toClient: number;
}

/** Passes connections on to a port, and counts what it passes on. */
function relayTo(port: number, carried: Carried): TestPeer {
  return TestPeer.tcp(async (client) => {
    using server = await Deno.connect({ hostname: "127.0.0.1", port });
    async function toServer(): Promise<void> {
      await readAll(client, async (data) => {
        carried.toServer += data.length;
        await writeAll(server, data);
      });
      await server.closeWrite();
    }
    async function toClient(): Promise<void> {
      await readAll(server, async (data) => {
        carried.toClient += data.length;
        await writeAll(client, data);
      });
      await client.closeWrite();
    }
    await Promise.all([toServer(), toClient()]);
  });
}

/** A line of a log, or a message for `dynamic32`, of random size and content. */
function randomMessage(random: Random, isText: boolean): Message {
  const times = random.below(random.chance(0.1) ? 4_000 : 100);
  if (isText) {
    const words = `{"at":${random.below(1000)},"who":"Jürgen €😀"} `;
    return concat(text(words, times), text("\n"));
  }
  const piece = random.chance(0.5)
    ? random.bytes(7)
    : new Uint8Array(7).fill(random.below(256));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, 7 * times, true);
  return concat(binary(length), binary(piece, times));
}

function lengthOf({ pieces, type }: Message): number {
  return pieces.reduce((sum, [piece, times]) => {
    const length = type === "text"
      ? new TextEncoder().encode(piece).length
      : Uint8Array.fromBase64(piece).length;
    return sum + length * times;
  }, 0);
}

for (const program of clients) {
  Deno.test(needing(program.needs, {
    name: `${program.name} and the bridge compress messages for each other`,
    async fn(t): Promise<void> {
      await using peer = TestPeer.tcp(echo);
      await using directory = new TemporaryDirectory();
      await directory.write("true", `${peer.host} * newline lf`);
      await directory.write("false", `${peer.host} * dynamic32`);
      await using client = await Client.start(program);
      const random = new Random(20);
      for (const memory of memories) {
        const name = `with compression-memory = ${memory}`;
        await t.step(name, async () => {
          await using command = await SharedCommand.start({
            engine: "stream",
            args: [
              ...["--compression", "on", "--compression-memory", `${memory}`],
              ...["-b", "file", "-c", `path=${directory.path}`],
              ...["-c", "expression=%endpoint%"],
            ],
          });
          const carried: Carried = { toServer: 0, toClient: 0 };
          await using relay = relayTo(command.port, carried);
          let left = Math.ceil(streams / memories.length);
          let sent = 0;
          async function lead(): Promise<void> {
            while (left-- > 0) {
              const isText = random.chance(0.5);
              const messages = Array.from(
                { length: 1 + random.below(40) },
                () => randomMessage(random, isText),
              );
              const steps: Step[] = messages.map((send) => ({ send }));
              for (const message of messages) sent += lengthOf(message);
              const { received, code } = await client.lead({
                url: `${relay.host.replace("tcp:", "ws:")}/${isText}`,
                protocols: [],
                steps: [
                  ...steps,
                  { receive: messages.length },
                  { close: [1000, ""] },
                ],
              });
              assertEquals(received, messages.map(digest));
              assertEquals(code, 1000);
            }
          }
          await Promise.all(Array.from({ length: together }, lead));
          // Some clients send what is short as it is.
          const { toServer, toClient } = carried;
          assert(toClient < sent / 5, `${toClient} bytes for ${sent}`);
          assert(toServer < sent / 3, `${toServer} bytes from ${sent}`);
        });
      }
    },
  }));
}

Deno.test("Compression is agreed upon with those who offer it, and with nobody else", async () => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({
    engine: "stream",
    host: peer.host,
    args: ["--compression", "9", "--compression-memory", "0"],
  });
  async function answered(
    offer: string | readonly string[] | null,
  ): Promise<string | number | null> {
    using client = await RawClient.connect(command.port);
    const { status, headers } = await client.request({
      headers: { "Sec-WebSocket-Extensions": offer },
    });
    return status === 101 ? headers.get("sec-websocket-extensions") : status;
  }
  const none =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  assertEquals(await answered(null), null);
  assertEquals(await answered("x-webkit-deflate-frame"), null);
  assertEquals(await answered("permessage-deflate"), none);
  assertEquals(await answered(["x-a; b=c", "permessage-deflate"]), none);
  assertEquals(await answered("permessage-deflate;"), 400);
  await peer.accepted(5);
});

Deno.test(needing(["openssl"], {
  name: "Compressed messages pass over TLS",
  async fn(): Promise<void> {
    await using files = new TemporaryDirectory();
    const { cert, certFile } = await createCertificate(files.path);
    await using peer = TestPeer.tcp(echo);
    await using command = await SharedCommand.start({
      engine: "stream",
      host: peer.host,
      args: [
        ...["--compression", "on", "--tls-cert", certFile],
        ...["--tls-key", `${files.path}/key.pem`],
      ],
    });
    using client = new RawClient(
      await Deno.connectTls({
        hostname: "localhost",
        port: command.port,
        caCerts: [cert],
      }),
    );
    const own = "server_no_context_takeover; client_no_context_takeover";
    await client.upgrade({
      headers: { "Sec-WebSocket-Extensions": `permessage-deflate; ${own}` },
    });
    const end = Uint8Array.of(0, 0, 0xff, 0xff);
    // Several records of TLS each, from the second on.
    for (const lines of [5, 20_000, 200_000]) {
      const sent = Array.from({ length: lines }, (_, at) => `line ${at}`)
        .join("\n");
      const payload = deflateRawSync(sent, { finishFlush }).subarray(0, -4);
      await client.sendFrame({ opcode: opcodes.text, reserved: 4, payload });
      let received = "";
      let carried = 0;
      while (received.length < sent.length) {
        const frame = await client.readFrame();
        assert(frame !== null);
        carried += frame.payload.length;
        const whole = Buffer.concat([frame.payload, end]);
        received += inflateRawSync(whole, { finishFlush }).toString();
      }
      assertEquals(received, sent);
      assert(carried < sent.length, `${carried} bytes for ${sent.length}`);
    }
  },
}));

Deno.test("A client that sends what becomes large harms neither the server nor others", async () => {
  await using peer = TestPeer.tcp(echo);
  await using command = await Command.start({
    engine: "stream",
    host: peer.host,
    args: ["--compression", "on", "--max-message", "1000000"],
  });
  using honest = await RawClient.open(command.port);
  await honest.send("before");
  assertEquals(await honest.read(), "before");
  const [small, large] = [1_000_000, 300_000_000].map((length) =>
    deflateRawSync(new Uint8Array(length), { finishFlush }).subarray(0, -4)
  );
  const before = residentMemory(command.pid);
  using bomber = await RawClient.open(command.port, { headers: offer });
  // Each is just not too large, and there is no time to give any of them away.
  for (let count = 0; count < 200; count++) {
    bomber.sendFrame({ opcode: opcodes.binary, reserved: 4, payload: small! })
      .catch(() => {});
  }
  using tooLarge = await RawClient.open(command.port, { headers: offer });
  await tooLarge.sendFrame({
    opcode: opcodes.binary,
    reserved: 4,
    payload: large!,
  });
  assertEquals(await tooLarge.readClose(), {
    code: 1009,
    reason: "Message is over 1000000 bytes",
  });
  await honest.send("after");
  assertEquals(await honest.read(), "after");
  const grown = residentMemory(command.pid) - before;
  assert(grown < 150_000_000, `${grown} bytes more`);
});

Deno.test("A route has its own compression", async () => {
  await using peer = TestPeer.tcp(echo);
  await using command = await SharedCommand.start({
    engine: "stream",
    host: peer.host,
    args: [
      ...["--compression", "on"],
      ...[
        "--route",
        "/images",
        "--compression",
        "off",
        "-c",
        `host=${peer.host}`,
      ],
    ],
  });
  for (
    const [target, extensions] of [
      ["/", "permessage-deflate"],
      ["/images", null],
    ] as const
  ) {
    using client = await RawClient.connect(command.port);
    const headers = await client.upgrade({ target, headers: offer });
    assertEquals(headers.get("sec-websocket-extensions"), extensions);
  }
});

/** Sends a message compressed, and asserts that its echo comes compressed. */
async function assertCompresses(client: RawClient): Promise<void> {
  const headers = await client.upgrade({ headers: offer });
  assertEquals(headers.get("sec-websocket-extensions"), "permessage-deflate");
  const message = new TextEncoder().encode("over and over again, ".repeat(20));
  for (let round = 0; round < 3; round++) {
    const payload = deflateRawSync(message, { finishFlush }).subarray(0, -4);
    await client.sendFrame({ opcode: opcodes.binary, reserved: 4, payload });
    const { payload: got } = (await client.readFrame())!;
    assert(got.length < message.length / 4, `${got.length} bytes`);
    // Each but the first refers to the one before it.
    if (round === 0) {
      const whole = new Uint8Array([...got, 0, 0, 0xff, 0xff]);
      const inflated = inflateRawSync(whole, { finishFlush });
      assertEquals(new Uint8Array(inflated), message);
    }
  }
}

Deno.test("Clients and peers on Unix sockets have compression", async () => {
  await using directory = new TemporaryDirectory();
  const path = (name: string): string => join(directory.path, name);
  await using peer = TestPeer.on(
    Deno.listen({ transport: "unix", path: path("peer") }),
    `unix://${path("peer")}`,
    echo,
  );
  await using _command = await Command.start({
    engine: "stream",
    host: peer.host,
    listen: `unix:${path("socket")}`,
    args: ["--compression", "on"],
  });
  using client = await RawClient.connectUnix(path("socket"));
  await assertCompresses(client);
});

Deno.test(needing(["linux"], {
  name: "Each thread has compression",
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using command = await Command.start({
      engine: "stream",
      host: peer.host,
      args: ["--compression", "on", "--threads", "2"],
    });
    const threads = new Set<number>();
    // That one gets none of 40 is as likely as 1 in 10^11.
    for (let count = 0; count < 40; count++) {
      using client = await RawClient.connect(command.port);
      await assertCompresses(client);
      const { id } = await command.event("open");
      threads.add(Number(id) % 2);
    }
    assertEquals(threads.size, 2);
  },
}));

Deno.test("Compression with the engine native is a configuration error", async () => {
  for (const route of [[], ["--route", "/text"]]) {
    const { code, stderr } = await runShared([
      ...["-p", "0", "--engine", "native", ...route, "--compression", "on"],
    ]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "only engine = stream has it");
  }
});
