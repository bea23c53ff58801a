import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
} from "@std/assert";
import { once } from "node:events";
import { takeMemory } from "../../../../core/memory/buffer_pool.ts";
import { toTlsSettings } from "../../../../core/websocket/stream/tls.ts";
import { hasCodecs } from "../../../../core/websocket/stream/tls_codec.ts";
import {
  TlsConnection,
  type TlsSettings,
} from "../../../../core/websocket/stream/tls_connection.ts";
import { needing } from "../../../support/needing.ts";
import {
  createCertificate,
  TemporaryDirectory,
} from "../../../support/service.ts";
import { TlsPipe, type TlsPipeOptions } from "../../../support/tls_pipe.ts";

async function makeSettings(): Promise<TlsSettings> {
  await using files = new TemporaryDirectory();
  return toTlsSettings(await createCertificate(files.path));
}

/** What clients are shown, made once. */
let settings: Promise<TlsSettings> | undefined;

/** Performs the server's side of a handshake. */
async function accept(pipe: TlsPipe): Promise<TlsConnection | undefined> {
  const connection = new TlsConnection(
    pipe.connection,
    await (settings ??= makeSettings()),
  );
  const memory = takeMemory(4096);
  const length = await pipe.connection.read(memory);
  if (await connection.open(memory, length!)) return connection;
  connection.close();
  return undefined;
}

/** Opens both ends. */
async function open(
  options?: TlsPipeOptions,
): Promise<{ pipe: TlsPipe; server: TlsConnection }> {
  const pipe = new TlsPipe(options);
  const server = await accept(pipe);
  if (server === undefined) throw new TypeError("no handshake");
  return { pipe, server };
}

/** Bytes that differ from their neighbours, and from those of other places. */
function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, at) => at * 7 + (at >> 8));
}

/** Reads to the end, so many bytes at a time. */
async function readAll(
  server: TlsConnection,
  size: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(size);
  for (;;) {
    const count = await server.read(buffer);
    if (count === null) break;
    assertGreater(count, 0);
    chunks.push(buffer.slice(0, count));
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function writeAll(
  server: TlsConnection,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await server.write(bytes.subarray(at));
  }
}

/** Collects what a client receives, until the server has ended its side. */
async function receive({ client }: TlsPipe): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  client.on("data", (chunk) => chunks.push(chunk));
  await once(client, "end");
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

Deno.test("This version of Deno has what TlsConnection needs", () => {
  assert(hasCodecs());
});

const needs = ["openssl"] as const;

for (
  const [most, length, size] of [
    [1, 300, 1],
    [7, 20_000, 1056],
    [1000, 200_000, 65_568],
    [20_000, 1_000_000, 100],
    [Infinity, 1_000_000, 1056],
    [Infinity, 1_000_000, 262_176],
  ] as const
) {
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    Deno.test(needing(needs, {
      name:
        `TlsConnection passes ${length} bytes on both ways, ${most} at a time, read into ${size}, ${maxVersion}`,
      async fn(): Promise<void> {
        const { pipe, server } = await open({ most, client: { maxVersion } });
        const bytes = pattern(length);
        const received = receive(pipe);
        const read = readAll(server, size);
        const sent = pipe.send(bytes);
        await writeAll(server, bytes);
        await sent;
        pipe.client.end();
        assertEquals(await read, bytes);
        // The client has ended its side only.
        await writeAll(server, bytes);
        await server.closeWrite();
        const twice = await received;
        assertEquals(twice.length, 2 * length);
        assertEquals(twice.subarray(length), bytes);
        server.close();
        assert(pipe.isClosed);
      },
    }));
  }
}

Deno.test(needing(needs, {
  name: "TlsConnection says that it ends",
  async fn(): Promise<void> {
    for (const end of ["closeWrite", "close"] as const) {
      const { pipe, server } = await open();
      const before = pipe.written;
      const ended = once(pipe.client, "end");
      pipe.client.resume();
      await server[end]();
      // An alert is encrypted in a record of 24 bytes; tickets may come before.
      assertGreater(pipe.written, before + 23, end);
      await ended;
      server.close();
    }
  },
}));

Deno.test(needing(needs, {
  name: "TlsConnection reads a hello of several kilobytes",
  async fn(): Promise<void> {
    // Its length grows by 17: one that fills a read, and all before it, are among
    // these.
    const counts = Array.from({ length: 20 }, (_, at) => 220 + at);
    for (const count of [...counts, 1000]) {
      const ALPNProtocols = Array.from(
        { length: count },
        (_, at) => `protocol/${at}`.padEnd(16),
      );
      for (const most of [Infinity, 1000]) {
        const { pipe, server } = await open({
          most,
          client: { ALPNProtocols: [...ALPNProtocols, "http/1.1"] },
        });
        await pipe.send(Uint8Array.of(1, 2));
        const buffer = new Uint8Array(10);
        assertEquals(await server.read(buffer), 2);
        assertEquals(pipe.client.alpnProtocol, "http/1.1");
        server.close();
      }
    }
  },
}));

Deno.test(needing(needs, {
  name: "TlsConnection fails with what is not TLS, and answers with an alert",
  async fn(): Promise<void> {
    const noRecord = new Uint8Array(100).fill(0x16);
    const noHello = Uint8Array.of(0x16, 3, 1, 0, 95, ...new Uint8Array(95));
    for (const bytes of [noRecord, noHello]) {
      const pipe = new TlsPipe();
      const memory = new Uint8Array(4096);
      const server = new TlsConnection(
        pipe.connection,
        await (settings ??= makeSettings()),
      );
      memory.set(bytes);
      assertEquals(await server.open(memory, bytes.length), false);
      server.close();
    }
    const { pipe, server } = await open();
    const before = pipe.written;
    const failed = assertRejects(() => server.read(new Uint8Array(10)));
    pipe.arrive(Uint8Array.of(0x17, 3, 3, 0, 20, ...new Uint8Array(20)));
    await failed;
    assertGreater(pipe.written, before);
    server.close();
  },
}));

Deno.test(needing(needs, {
  name: "TlsConnection refuses a client that speaks none of its protocols",
  async fn(): Promise<void> {
    const pipe = new TlsPipe({ client: { ALPNProtocols: ["h2"] } });
    const failed = once(pipe.client, "error");
    assertEquals(await accept(pipe), undefined);
    await failed;
  },
}));

Deno.test(needing(needs, {
  name: "TlsConnection ends where it is closed, whatever is under way",
  async fn(): Promise<void> {
    const { server } = await open();
    const read = server.read(new Uint8Array(10));
    server.close();
    server.close();
    assertEquals(await read.catch(() => null), null);
    await assertRejects(() => server.write(new Uint8Array(10)));
    await server.closeWrite();

    const pipe = new TlsPipe();
    const late = new TlsConnection(
      pipe.connection,
      await (settings ??= makeSettings()),
    );
    const memory = new Uint8Array(4096);
    const length = await pipe.connection.read(memory);
    const opened = late.open(memory, length! - 1);
    late.close();
    assertEquals(await opened, false);
  },
}));
