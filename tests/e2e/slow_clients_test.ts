/**
 * Clients that take what they are sent slowly and steadily, and clients that take
 * nothing: who stays and who goes.
 *
 * With the environment variable `WEBSOCKSY_LONG=1`, the slow ones are as slow, and
 * take as much, as what users have reported.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { join } from "node:path";
import { opcodes, RawClient, type RawConnection } from "../support/client.ts";
import { type EngineName, testEngines } from "../support/command.ts";
import { scrape } from "../support/metrics.ts";
import { readAll, TestPeer, writeAll } from "../support/peer.ts";
import {
  type Certificate,
  createCertificate,
  TemporaryDirectory,
} from "../support/service.ts";
import { SharedCommand } from "../support/shared_command.ts";

const MiB = 1024 * 1024;
const isLong = Deno.env.get("WEBSOCKSY_LONG") === "1";

/** A connection that is read at a rate. */
class PacedConnection implements RawConnection {
  /** Bytes per second. */
  rate: number;
  #connection: Deno.Conn;
  #due = performance.now();

  constructor(connection: Deno.Conn, rate: number) {
    this.#connection = connection;
    this.rate = rate;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const wait = this.#due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // A twentieth of a second's worth at a time, or all at once.
    const most = Math.min(buffer.length, Math.ceil(this.rate / 20));
    const count = await this.#connection.read(buffer.subarray(0, most));
    this.#due = performance.now() + (count ?? 0) / this.rate * 1000;
    return count;
  }

  write(data: Uint8Array): Promise<number> {
    return this.#connection.write(data);
  }

  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  close(): void {
    this.#connection.close();
  }
}

/** A client that is read at a rate. */
interface PacedClient {
  readonly client: RawClient;
  readonly connection: PacedConnection;
}

async function openPaced(
  port: number,
  rate: number,
  certificate?: Certificate,
): Promise<PacedClient> {
  const connection = new PacedConnection(
    certificate === undefined
      ? await Deno.connect({ hostname: "127.0.0.1", port })
      : await Deno.connectTls({
        ...{ hostname: "localhost", port },
        caCerts: [certificate.cert],
      }),
    Infinity,
  );
  const client = new RawClient(connection);
  await client.upgrade();
  connection.rate = rate;
  return { client, connection };
}

/** Bytes that a command says, on its page, that clients were given. */
async function countedBytes(port: number): Promise<number> {
  const metrics = await scrape(port);
  return metrics.sum("websocksy_connection_io_bytes_total", {
    websocksy_direction: "to_client",
  });
}

/** Bytes that the systems of both ends may hold of what was sent. */
function systemBuffers(): number {
  const [read, write] = ["rmem", "wmem"].map((name) => {
    const limits = Deno.readTextFileSync(`/proc/sys/net/ipv4/tcp_${name}`);
    return Number(limits.trim().split(/\s+/).at(-1));
  });
  return read! + write!;
}

/** Starts a peer that says some bytes, ends its stream and waits for the other end. */
function peerThatSays(total: number): TestPeer {
  return TestPeer.tcp(async (connection) => {
    await writeAll(connection, new Uint8Array(total));
    await connection.closeWrite();
    await readAll(connection, () => {});
  });
}

/** Takes all messages, and answers pings, until a close frame comes. */
async function takeAll(
  client: RawClient,
): Promise<{ readonly bytes: number; readonly code: number }> {
  let bytes = 0;
  for (;;) {
    const frame = await client.readFrame();
    assert(frame !== null, `the end came after ${bytes} bytes`);
    const { opcode, payload } = frame;
    if (opcode === opcodes.ping) {
      await client.sendFrame({ opcode: opcodes.pong, payload });
    } else if (opcode === opcodes.close) {
      const code = new DataView(payload.buffer).getUint16(payload.byteOffset);
      return { bytes, code };
    } else bytes += payload.length;
  }
}

/** A client that is slow for a while, or to the end. */
interface SlowClient {
  /** Bytes that the peer says. */
  readonly total: number;
  /** The `ping` option. */
  readonly ping: number;
  /** Bytes per second that the client reads. */
  readonly rate: number;
  /** Seconds after which it reads as fast as it can. */
  readonly seconds: number;
  /** Whether it reads over TLS. */
  readonly tls?: boolean;
}

// A second, and its like, is less than what the system holds for the client takes.
const slowClients: Readonly<Record<string, SlowClient>> = isLong
  ? {
    "300 KB/s": { total: 40 * MiB, ping: 10, rate: 300_000, seconds: 600 },
    "5 KB/s": { total: 20 * MiB, ping: 5, rate: 5000, seconds: 30 },
    "1 KB/s": { total: 20 * MiB, ping: 5, rate: 1000, seconds: 30 },
    "5 KB/s over TLS": {
      ...{ total: 20 * MiB, ping: 5, rate: 5000, seconds: 30 },
      tls: true,
    },
  }
  : {
    "2 MB/s": { total: 20 * MiB, ping: 1, rate: 2_000_000, seconds: 60 },
    "5 KB/s": { total: 12 * MiB, ping: 1, rate: 5000, seconds: 6 },
    "1 KB/s": { total: 12 * MiB, ping: 1, rate: 1000, seconds: 6 },
    "5 KB/s over TLS": {
      ...{ total: 12 * MiB, ping: 1, rate: 5000, seconds: 6 },
      tls: true,
    },
  };

/** Asserts that a client gets all, and that the log and the metrics say so. */
async function assertGetsAll(
  engine: EngineName,
  name: string,
  { total, ping, rate, seconds, tls = false }: SlowClient,
): Promise<void> {
  await using directory = new TemporaryDirectory();
  const certificate = tls ? await createCertificate(directory.path) : undefined;
  await using peer = peerThatSays(total);
  await using command = await SharedCommand.start({
    engine,
    host: peer.host,
    args: [
      ...["-k", `${ping}`, "-c", "framing=binary", "--metrics", "/metrics"],
      ...certificate === undefined ? [] : [
        ...["--tls-cert", certificate.certFile],
        ...["--tls-key", join(directory.path, "key.pem")],
      ],
    ],
  });
  const paced = await openPaced(command.port, rate, certificate);
  using client = paced.client;
  const timer = setTimeout(
    () => paced.connection.rate = Infinity,
    seconds * 1000,
  );
  const taken = await takeAll(client);
  clearTimeout(timer);
  assertEquals(taken, { bytes: total, code: 1000 }, name);
  await client.sendClose(1000);
  const closed = await command.event("close");
  assertEquals([closed.code, closed["to-client-bytes"]], [1000, total], name);
  if (!tls) assertEquals(await countedBytes(command.port), total, name);
}

testEngines(
  "bridge gives slow clients all, however late they answer a ping",
  async (_, engine) => {
    await Promise.all(
      Object.entries(slowClients)
        .map(([name, slow]) => assertGetsAll(engine, name, slow)),
    );
  },
  { needs: ["openssl"], timeout: isLong ? 900_000 : 240_000 },
);

testEngines(
  "bridge logs and counts, for a client that is cut off, no more than it may have got",
  async (_, engine) => {
    const total = 64 * MiB;
    await using peer = peerThatSays(total);
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["-c", "framing=binary", "--metrics", "/metrics"],
    });
    let got = 0;
    {
      using client = await RawClient.open(command.port);
      while (got < 4 * MiB) {
        const frame = await client.readFrame();
        if (frame!.opcode === opcodes.binary) got += frame!.payload.length;
      }
      // What has come and is not read makes its system reset the connection.
    }
    const closed = await command.event("close");
    assertEquals(closed.code, 1006);
    const logged = Number(closed["to-client-bytes"]);
    assertEquals(await countedBytes(command.port), logged);
    assert(logged >= got, `${logged} of ${got} bytes`);
    // The server and its runtime may hold some more themselves.
    assertLess(logged, got + systemBuffers() + 4 * MiB);
  },
  { needs: ["linux"] },
);

testEngines(
  "bridge goes on to ping a client that was sent much",
  async (_, engine) => {
    const total = 4 * MiB;
    await using peer = TestPeer.tcp(async (connection) => {
      await writeAll(connection, new Uint8Array(total));
      await readAll(connection, () => {});
    });
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      // A busy machine may answer a second late.
      args: ["-k", "2", "-c", "framing=binary"],
    });
    using client = await RawClient.open(command.port);
    let bytes = 0;
    // A firewall between would take a connection without them for a dead one.
    for (let pings = 0; pings < 3;) {
      const frame = await client.readFrame();
      assert(frame !== null, `the end came after ${pings} pings`);
      const { opcode, payload } = frame;
      if (opcode === opcodes.ping) {
        if (bytes === total) pings++;
        await client.sendFrame({ opcode: opcodes.pong, payload });
      } else {
        assertEquals(opcode, opcodes.binary);
        bytes += payload.length;
      }
    }
  },
);

testEngines(
  "bridge drops a client that neither takes what it is sent nor answers",
  async (_, engine) => {
    const total = 2048;
    await using peer = TestPeer.tcp(async (connection) => {
      await writeAll(connection, new Uint8Array(total));
      await readAll(connection, () => {});
    });
    await using command = await SharedCommand.start({
      engine,
      host: peer.host,
      args: ["-k", "1"],
    });
    using _client = await RawClient.open(command.port);
    const { code, by, seconds } = await command.event("close");
    assertEquals({ code, by }, { code: 1001, by: "server" });
    // The time of a ping, and a second for each kilobyte; less a quarter of the
    // former with `native`, which looks no more often.
    assert(Number(seconds) > 2.7, `dropped after ${seconds} s`);
  },
);
