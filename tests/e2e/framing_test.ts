/**
 * Framing functions between a real client and a peer that sends back what it
 * gets, in other pieces: the client gets its own messages. A failure prints its
 * seed, and the smallest case.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import {
  type BackendQuery,
  type BridgeServer,
  type PeerInfo,
  serve,
} from "../../core/mod.ts";
import { type EngineName, engines } from "../support/command.ts";
import {
  type ClientMessage,
  inverseFramings,
  messagesFor,
  returned,
} from "../support/inverse_framings.ts";
import { connectionsOf } from "../support/peer.ts";
import { Random } from "../support/random.ts";
import { runShared } from "../support/shared_command.ts";

/** Sends back what each connection brings, in pieces of a few bytes or of many. */
function startEcho(): Disposable & { readonly address: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const random = new Random(8);
  async function echo(connection: Deno.TcpConn): Promise<void> {
    connection.setNoDelay(true);
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) break;
      let start = 0;
      while (start < count) {
        const size = 1 + random.below(random.chance(0.3) ? 9 : 9000);
        const piece = buffer.subarray(start, Math.min(count, start + size));
        start += await connection.write(piece);
      }
    }
    connection.close();
  }
  (async () => {
    for await (const connection of connectionsOf(listener)) echo(connection);
  })();
  const { port } = listener.addr as Deno.NetAddr;
  return {
    address: `tcp://127.0.0.1:${port}`,
    [Symbol.dispose]: () => listener.close(),
  };
}

/** A bridge whose endpoint `/N` has the framing function with this number. */
function startBridge(
  engine: EngineName,
  address: string,
): Promise<BridgeServer> {
  return serve({
    port: 0,
    hostname: "127.0.0.1",
    core: { engine },
    backend: {
      query({ endpoint }: BackendQuery): PeerInfo {
        const { name, config } = inverseFramings[Number(endpoint.slice(1))]!;
        return { address, framing: name, framingConfig: config };
      },
    },
  });
}

/** A text with characters of all lengths and planes. */
const everyPlane = [
  0x00,
  0x7f,
  0x80,
  0x7ff,
  0x800,
  0xd7ff,
  0xe000,
  0xfeff,
  0xfffd,
  ...Array.from({ length: 16 }, (_, plane) => (plane + 1) * 0x10000),
  0x1f600,
  0x10ffff,
].map((point) => String.fromCodePoint(point)).join("");

/** Sends a text byte by byte, each after a pause, then the start of a character. */
function startTypist(): Disposable & { readonly address: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of connectionsOf(listener)) {
      connection.setNoDelay(true);
      for (
        const byte of new TextEncoder().encode(everyPlane + "€").slice(0, -1)
      ) {
        await connection.write(new Uint8Array([byte]));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      connection.close();
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  return {
    address: `tcp://127.0.0.1:${port}`,
    [Symbol.dispose]: () => listener.close(),
  };
}

/** Sends messages, and gives as many that come back. */
async function exchange(
  url: string,
  messages: readonly ClientMessage[],
): Promise<ClientMessage[]> {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const got: ClientMessage[] = [];
  const all = Promise.withResolvers<void>();
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  socket.onopen = () => {
    for (const { bytes, text } of messages) {
      socket.send(
        text
          ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
          : bytes,
      );
    }
    if (messages.length === 0) all.resolve();
  };
  socket.onmessage = ({ data }) => {
    const text = typeof data === "string";
    const bytes = text ? new TextEncoder().encode(data) : new Uint8Array(data);
    got.push({ bytes, text });
    if (got.length === messages.length) all.resolve();
  };
  await Promise.race([all.promise, closed]);
  socket.close();
  await closed;
  return got;
}

for (const engine of engines) {
  Deno.test({
    name:
      `framing functions give a client its own messages back from an echo [${engine}]`,
    timeout: 180_000,
    async fn(t): Promise<void> {
      using echo = startEcho();
      await using bridge = await startBridge(engine, echo.address);
      const { port } = bridge.addr as Deno.NetAddr;
      for (const [index, framing] of inverseFramings.entries()) {
        await t.step(`${framing.name} "${framing.config}"`, async () => {
          await fc.assert(
            fc.asyncProperty(messagesFor(framing), async (messages) => {
              const got = await exchange(
                `ws://127.0.0.1:${port}/${index}`,
                messages,
              );
              assertEquals(
                got,
                messages.map((message) => returned(framing, message)),
              );
            }),
            { numRuns: 15 },
          );
        });
      }
    },
  });
}

for (const engine of engines) {
  Deno.test({
    name:
      `framing "text" sends text of every plane that comes byte by byte as text [${engine}]`,
    timeout: 180_000,
    async fn(): Promise<void> {
      using typist = startTypist();
      await using bridge = await serve({
        port: 0,
        hostname: "127.0.0.1",
        core: { engine },
        backend: typist.address,
        framing: "text",
      });
      const { port } = bridge.addr as Deno.NetAddr;
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
      const got: unknown[] = [];
      socket.onmessage = ({ data }) => got.push(data);
      const { code } = await new Promise<CloseEvent>((resolve) =>
        socket.onclose = resolve
      );
      assertEquals(code, 1000);
      assert(got.every((data) => typeof data === "string"));
      // What is left when the peer ends is not held back either.
      assertEquals(got.join(""), everyPlane + "\ufffd");
    },
  });
}

Deno.test("websocksy --check tells a wrong word of a framing function", async () => {
  const cases: [framing: string, config: string, why: string][] = [
    [
      "newline",
      "lf,stripp",
      'Cannot use newline "lf,stripp": "stripp" is not one of crlf, lfcr, lf, cr, any, strip, append',
    ],
    [
      "separator",
      "\\0,apend",
      'Cannot use separator "\\0,apend": "apend" is not one of strip, append (a comma of the separator is \\x2c)',
    ],
    ["fixedlength", "8,padd", 'Cannot use length "8,padd": "padd" is not pad'],
    [
      "dynamic32",
      "wrapp",
      'Cannot use dynamic32 "wrapp": "wrapp" is not of the form KEY=VALUE, nor wrap',
    ],
    ["json", "line", 'Cannot use json "line": "line" is not one of lines'],
    ["text", "x", 'Cannot use text "x": "x" is not one of binary'],
    ["stomp", "1.2", 'Cannot use stomp "1.2": it takes no configuration'],
  ];
  for (const [framing, config, why] of cases) {
    const { code, stdout, stderr } = await runShared([
      "--check",
      ...["-c", "host=tcp://127.0.0.1:1"],
      ...["-c", `framing=${framing}`],
      ...["-c", `framing-config=${config}`],
    ]);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, why);
    assertEquals(stderr.split("\n").length, 2);
  }
});
