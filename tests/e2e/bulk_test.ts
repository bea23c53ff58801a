/**
 * Large amounts through the bridge: whole, at the pace of the slower side, and
 * in little memory.
 *
 * With the environment variable `WEBSOCKSY_LONG=1`, the tests use the full
 * amounts that the bridge is specified for; without it, enough to show each
 * fault that there was.
 */

import { assert, assertEquals } from "@std/assert";
import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import { bulkFrame, opcodes, RawClient } from "../support/client.ts";
import { Command, engines, Service, testEngines } from "../support/command.ts";
import { readAll, TestPeer, writeAll } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";

const MiB = 1024 * 1024;
const isLong = Deno.env.get("WEBSOCKSY_LONG") === "1";
/** Memory is read from `/proc`. */
const needs = ["linux"] as const;
const timeout = isLong ? 600_000 : 180_000;
const binary = ["-c", "framing=binary"];

/** Bytes that do not repeat: each block begins with its number. */
function* blocks(
  total: number,
  size: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const block = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(block.subarray(at, at + 65_536));
  }
  const view = new DataView(block.buffer);
  for (let sent = 0; sent < total; sent += size) {
    view.setUint32(0, sent / size);
    yield block.subarray(0, Math.min(size, total - sent));
  }
}

/** Lets bytes through at no more than a rate. */
class Pace {
  #bytesPerSecond: number;
  #start = performance.now();
  #bytes = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when so many more bytes may have passed. */
  async pass(bytes: number): Promise<void> {
    this.#bytes += bytes;
    const due = this.#start + this.#bytes / this.#bytesPerSecond * 1000;
    const ahead = due - performance.now();
    if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
  }
}

/** Looks at the memory of a command, and keeps the most that it saw. */
class MemoryWatch implements Disposable {
  /** Bytes: the most that was resident. */
  peak = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(command: Command) {
    this.#timer = setInterval(() => {
      this.peak = Math.max(this.peak, command.residentMemory());
    }, 20);
  }

  /** Asserts that the peak stayed under so many megabytes. */
  assertUnder(megabytes: number): void {
    assert(this.peak > 0, "no look was taken");
    const peak = Math.round(this.peak / 1e6);
    assert(peak < megabytes, `${peak} MB were resident, not ${megabytes}`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Bytes that went one way. */
interface Transfer {
  readonly bytes: number;
  readonly sha256: string;
  readonly seconds: number;
}

/** Hashes what goes by. */
class Meter {
  #hash: Hash = createHash("sha256");
  #bytes = 0;
  #start = performance.now();

  add(data: Uint8Array): void {
    this.#hash.update(data);
    this.#bytes += data.length;
  }

  end(): Transfer {
    return {
      bytes: this.#bytes,
      sha256: this.#hash.digest("hex"),
      seconds: (performance.now() - this.#start) / 1000,
    };
  }
}

/** Sends so much from a peer, and ends its stream. */
async function sendFromPeer(
  connection: Deno.Conn,
  total: number,
): Promise<Transfer> {
  const meter = new Meter();
  for (const block of blocks(total, 256 * 1024)) {
    meter.add(block);
    await writeAll(connection, block);
  }
  await connection.closeWrite();
  return meter.end();
}

/** Receives at a client until the server closes. */
async function receiveAtClient(
  client: RawClient,
  pace?: Pace | 0 | undefined,
): Promise<Transfer> {
  const meter = new Meter();
  for (;;) {
    const frame = await client.readFrame();
    if (frame?.opcode === opcodes.close) break;
    // What takes long is pinged meanwhile.
    if (frame?.opcode === opcodes.ping) continue;
    assertEquals(frame?.opcode, opcodes.binary);
    meter.add(frame!.payload);
    if (pace) await pace.pass(frame!.payload.length);
  }
  await client.sendClose(1000);
  await client.readEnd();
  return meter.end();
}

/** Sends so much from a client, in messages of a size, and closes. */
async function sendFromClient(
  client: RawClient,
  total: number,
  size = 65_536,
): Promise<Transfer> {
  const meter = new Meter();
  let mask = 0x9e3779b9;
  for (const block of blocks(total, size)) {
    meter.add(block);
    mask = Math.imul(mask, 0x01000193) >>> 0;
    await client.sendBytes(bulkFrame(block, mask));
  }
  const sent = meter.end();
  await client.sendClose(1000);
  // What takes long is pinged meanwhile.
  assertEquals((await client.readToClose())?.code, 1000);
  return sent;
}

/** Receives at a peer until the bridge ends its stream. */
async function receiveAtPeer(
  connection: Deno.Conn,
  pace?: Pace | 0 | undefined,
): Promise<Transfer> {
  const meter = new Meter();
  await readAll(connection, async (data) => {
    meter.add(data);
    if (pace) await pace.pass(data.length);
  });
  connection.close();
  return meter.end();
}

/**
 * Asserts that everything that was sent was received, on whichever connection:
 * which one of several peers is a client's, is not known.
 */
function assertSame(
  sent: readonly Transfer[],
  received: readonly Transfer[],
): void {
  function describe({ sha256, bytes }: Transfer): string {
    return `${sha256} ${bytes}`;
  }
  assertEquals(received.map(describe).sort(), sent.map(describe).sort());
}

/** What goes through one or more connections at once. */
interface Load {
  /** Number of connections. */
  readonly clients?: number;
  /** Bytes for each. */
  readonly total: number;
  /** Bytes per second that the receiver of each takes; absent: all it can. */
  readonly rate?: number;
  /** Megabytes: what the bridge may take. */
  readonly memory: number;
}

/** Has each client download from a peer, and asserts that all arrives. */
async function assertDownload(
  command: Command,
  peer: TestPeer,
  { clients = 1, total, rate, memory }: Load,
): Promise<void> {
  using watch = new MemoryWatch(command);
  async function receive(): Promise<Transfer> {
    using client = await RawClient.open(command.port);
    return await receiveAtClient(client, rate && new Pace(rate));
  }
  async function send(): Promise<Transfer> {
    return await sendFromPeer(await peer.next(), total);
  }
  const [sent, received] = await Promise.all([
    repeat(clients, send),
    repeat(clients, receive),
  ]);
  assertSame(sent, received);
  watch.assertUnder(memory);
}

/**
 * Has each client upload to a peer, and asserts that all arrives.
 *
 * @returns For how many seconds each client sent.
 */
async function assertUpload(
  command: Command,
  peer: TestPeer,
  { clients = 1, total, rate, memory }: Load,
): Promise<number[]> {
  using watch = new MemoryWatch(command);
  async function send(): Promise<Transfer> {
    using client = await RawClient.open(command.port);
    return await sendFromClient(client, total);
  }
  async function receive(): Promise<Transfer> {
    return await receiveAtPeer(await peer.next(), rate && new Pace(rate));
  }
  const [sent, received] = await Promise.all([
    repeat(clients, send),
    repeat(clients, receive),
  ]);
  assertSame(sent, received);
  watch.assertUnder(memory);
  return sent.map(({ seconds }) => seconds);
}

/** Bytes that the system may hold on the way through two TCP connections. */
function systemBuffers(): number {
  const largest = ["rmem", "wmem"].map((name) => {
    const limits = Deno.readTextFileSync(`/proc/sys/net/ipv4/tcp_${name}`);
    return Number(limits.trim().split(/\s+/).at(-1));
  });
  return 2 * (largest[0]! + largest[1]!);
}

/** Does something several times at once. */
function repeat<T>(times: number, action: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: times }, action));
}

const download = (isLong ? 1024 : 96) * MiB;
testEngines("bridge brings a large file to a client", async (_, engine) => {
  await using peer = TestPeer.tcp();
  await using command = await Command.start({
    engine,
    host: peer.host,
    args: binary,
  });
  await assertDownload(command, peer, {
    total: download,
    memory: isLong ? 200 : 130,
  });
}, { needs, timeout });

testEngines(
  "bridge brings a file to a client that reads slowly",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: binary,
    });
    const load = isLong
      ? { total: 100 * MiB, rate: 10e6, memory: 200 }
      // More than it may take: were all of it read at once, that would show.
      : { total: 160 * MiB, rate: 40e6, memory: 150 };
    await assertDownload(command, peer, load);
  },
  // With the other engine, it is "slows a peer down to its client's pace" below.
  { needs, timeout, only: isLong ? engines : ["native"] },
);

/** A peer that keeps up: in this process it would have to share a processor with the client. */
function startSink(): Promise<Service> {
  return Service.start([
    Deno.execPath(),
    ...["run", "--no-config", "--no-check", "--allow-net=127.0.0.1"],
    join(import.meta.dirname!, "../support/sink.ts"),
  ], /^listening \d+$/);
}

/** An upload as fast as its client can send. */
interface Upload {
  /** Bytes of each message. */
  readonly size: number;
  /** Bytes in all; with `WEBSOCKSY_LONG=1` the latter. */
  readonly totals: readonly [number, number];
  /** Whether it goes over TLS. */
  readonly tls?: boolean;
}

/** Fast uploads that end well with the default engine, and with `native` do not. */
const uploads: Readonly<Record<string, Upload>> = {
  "in messages of 1 MiB": { size: MiB, totals: [128 * MiB, 2048 * MiB] },
  "in messages of 64 KiB": { size: 65_536, totals: [128 * MiB, 1024 * MiB] },
  "over TLS": { size: 65_536, totals: [64 * MiB, 512 * MiB], tls: true },
};

for (const [name, { size, totals, tls = false }] of Object.entries(uploads)) {
  Deno.test(needing(tls ? [...needs, "openssl"] : needs, {
    name: `bridge brings an upload ${name} whole to a peer that keeps up`,
    timeout,
    async fn(): Promise<void> {
      const total = totals[isLong ? 1 : 0];
      await using directory = new TemporaryDirectory();
      const certificate = tls && await createCertificate(directory.path);
      await using sink = await startSink();
      await using command = await Command.start({
        host: `tcp://127.0.0.1:${sink.readyLine.split(" ")[1]}`,
        args: !certificate ? [] : [
          ...["--tls-cert", certificate.certFile],
          ...["--tls-key", join(directory.path, "key.pem")],
        ],
      });
      const { port } = command;
      using watch = new MemoryWatch(command);
      using client = new RawClient(
        certificate
          ? await Deno.connectTls({
            ...{ hostname: "localhost", port },
            caCerts: [certificate.cert],
          })
          : await Deno.connect({ hostname: "127.0.0.1", port }),
      );
      await client.upgrade();
      const { bytes, sha256 } = await sendFromClient(client, total, size);
      const received = await sink.line(/^received /);
      assertEquals(received, `received ${total} ${sha256}`);
      assertEquals(bytes, total);
      const closed = await command.event("close");
      assertEquals([closed.code, closed["to-peer-bytes"]], [1000, total]);
      watch.assertUnder(isLong ? 250 : 190);
    },
  }));
}

const one = isLong
  ? { total: 1024 * MiB, rate: 20e6, memory: 120 }
  : { total: 120 * MiB, rate: 40e6, memory: 120 };
const many = isLong
  ? { clients: 50, total: 40 * MiB, rate: 2e6, memory: 300 }
  : { clients: 30, total: 8 * MiB, rate: 4e6, memory: 150 };

testEngines(
  "bridge slows an upload down to its peer's pace",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await Command.start({ engine, host: peer.host });
    const [seconds] = await assertUpload(command, peer, one);
    const least = (one.total - systemBuffers()) / one.rate;
    assert(seconds! > least, `it sent for ${seconds} s, not ${least} s`);
  },
  { needs, timeout, only: ["stream"] },
);

testEngines(
  "bridge slows many uploads down to their peers' pace",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await Command.start({ engine, host: peer.host });
    await assertUpload(command, peer, many);
  },
  { needs, timeout, only: ["stream"] },
);

testEngines(
  "bridge slows a peer down to its client's pace",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: binary,
    });
    await assertDownload(command, peer, one);
  },
  { needs, timeout, only: ["stream"] },
);

testEngines(
  "bridge slows many peers down to their clients' pace",
  async (_, engine) => {
    await using peer = TestPeer.tcp();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: binary,
    });
    await assertDownload(command, peer, many);
  },
  { needs, timeout, only: ["stream"] },
);
