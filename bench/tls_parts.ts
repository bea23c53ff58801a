/**
 * Measures what Deno's own part of TLS costs the engine `stream`, without
 * connections: the handshake's steps, and bytes that are encrypted and decrypted.
 *
 *     deno run -A bench/tls_parts.ts
 *
 * It prints microseconds of processor time.
 *
 * @module
 */

import { createSecureContext } from "node:tls";
import {
  createCodec,
  encrypt,
  freeRecords,
  receiveHello,
  releaseCodec,
  type TlsCodec,
  toCodecContext,
} from "../core/websocket/stream/tls_codec.ts";
import { makeCertificate } from "./certificate.ts";
import { processorSeconds } from "./usage.ts";

const count = 2000;
const megabytes = 200;

/** A client's handle of `node:tls`, which Deno does not document. */
interface ClientHandle extends TlsCodec {
  onread(): void;
  onhandshakedone(): void;
  onerror(error: Error): void;
  initClientTls(name: string, context: unknown): number;
  attachJsStream(): number;
  setHandle(handle: object): void;
  start(): number;
  readStart(): number;
}

type ClientConstructor = new (kind: number, provider: number) => ClientHandle;

const directory = await Deno.makeTempDir();
const { certificate, key } = await makeCertificate(directory, "bench");
const [cert, keyText] = await Promise.all(
  [certificate, key].map((file) => Deno.readTextFile(file)),
);
await Deno.remove(directory, { recursive: true });
const context = toCodecContext(
  createSecureContext({ cert: cert!, key: keyText! }),
  false,
);

function ignore(): void {}

function fail(error: Error): never {
  throw error;
}

function createServer(): TlsCodec {
  return createCodec({
    onHello: () => context,
    onSecure: ignore,
    onData: ignore,
    onEnd: ignore,
    onError: fail,
  });
}

function createClient(server: TlsCodec): ClientHandle {
  const Handle = Object.getPrototypeOf(server.constructor) as ClientConstructor;
  const client = new Handle(0, 0);
  client.onread = client.onhandshakedone = ignore;
  client.onerror = fail;
  client.initClientTls("", { ca: cert, rejectUnauthorized: false });
  client.attachJsStream();
  client.setHandle(client);
  client.start();
  client.readStart();
  return client;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Prints the processor time that each call of a function takes. */
function time(what: string, calls: number, run: (at: number) => void): void {
  const start = processorSeconds(Deno.pid);
  for (let at = 0; at < calls; at++) run(at);
  const each = (processorSeconds(Deno.pid) - start) / calls * 1e6;
  print(`${what.padEnd(40)} ${each.toFixed(1)} us`);
}

for (const round of ["cold", "warm"]) {
  print(`\n${round}`);
  const servers: TlsCodec[] = [];
  time("handshake: create", count, () => servers.push(createServer()));
  const clients = servers.map(createClient);
  const hellos = clients.map((client) => client.drainEncOut());
  time("handshake: the client's hello", count, (at) => {
    receiveHello(servers[at]!, hellos[at]!);
  });
  const finishes = clients.map((client, at) => {
    client.receive(servers[at]!.drainEncOut());
    return client.drainEncOut();
  });
  time("handshake: the client's end of it", count, (at) => {
    servers[at]!.receive(finishes[at]!);
    freeRecords(servers[at]!.drainEncOut());
  });
  const [server, client] = [servers[0]!, clients[0]!];
  for (const [what, size] of [["64 bytes", 64], ["48 KiB", 49_152]] as const) {
    const bytes = new Uint8Array(size);
    const calls = Math.min(100_000, megabytes * 1e6 / size);
    time(`encrypt ${what}`, calls, () => {
      freeRecords(encrypt(server, bytes));
    });
    const records = Array.from(
      { length: Math.min(10_000, calls) },
      () => encrypt(client, bytes),
    );
    time(`decrypt ${what}`, records.length, (at) => {
      server.receive(records[at]!);
    });
    for (const piece of records) freeRecords(piece);
  }
  for (const client of clients) releaseCodec(client);
  time("release", count, (at) => releaseCodec(servers[at]!));
}
