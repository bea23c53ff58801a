/** What a peer writes at once is one message, as long as nothing else comes with it. */

import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { RawClient } from "../support/client.ts";
import {
  Command,
  type EngineName,
  type StartOptions,
  testEngines,
} from "../support/command.ts";
import { createCertificate, TemporaryDirectory } from "../support/service.ts";

const sizes = [1025, 1041, 2000, 4097, 5000, 16_384, 20_001, 40_000, 65_536];
const rounds = 5;

const encoder = new TextEncoder();

/** A peer that writes as many bytes as it is asked for, at once, characters of three as far as it can. */
class Writer implements AsyncDisposable {
  readonly #server;

  private constructor(
    server: ReturnType<typeof createServer>,
    readonly host: string,
  ) {
    this.#server = server;
  }

  /** Listens on a free port, with a certificate if there is one, or on a path. */
  static async start(
    { path, certificate }: {
      readonly path?: string;
      readonly certificate?: { readonly cert: string; readonly key: string };
    } = {},
  ): Promise<Writer> {
    const server = certificate === undefined
      ? createServer(serve)
      : createTlsServer(certificate, serve);
    if (path === undefined) server.listen(0, "127.0.0.1");
    else server.listen(path);
    await once(server, "listening");
    if (path !== undefined) return new Writer(server, `unix://${path}`);
    const { port } = server.address() as AddressInfo;
    const scheme = certificate === undefined ? "tcp" : "tls";
    return new Writer(server, `${scheme}://localhost:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}

function serve(socket: Socket): void {
  // The records of TLS are sent one after another.
  socket.setNoDelay(true);
  socket.on("error", () => {});
  const request = new Uint8Array(4);
  let got = 0;
  socket.on("data", (bytes: Uint8Array) => {
    for (const byte of bytes) {
      request[got++] = byte;
      if (got < 4) continue;
      got = 0;
      const length = new DataView(request.buffer).getUint32(0);
      const text = "€".repeat(length / 3) + "x".repeat(length % 3);
      socket.write(encoder.encode(text));
    }
  });
}

/** Lets the peer write; counts the messages that come of it. */
async function ask(
  client: RawClient,
  length: number,
  isText: boolean,
): Promise<number> {
  const request = new Uint8Array(4);
  new DataView(request.buffer).setUint32(0, length);
  await client.send(request);
  let messages = 0;
  for (let got = 0; got < length; messages++) {
    const message = await client.read();
    got += typeof message === "string"
      ? encoder.encode(message).length
      : message.length;
    assert(
      got < length || messages > 0 || (typeof message === "string") === isText,
    );
  }
  return messages;
}

/** Counts messages that were cut, of those that came after a small one. */
async function countCuts(
  engine: EngineName,
  options: Omit<StartOptions, "engine">,
  framing: string,
): Promise<number> {
  await using command = await Command.start({
    ...options,
    engine,
    args: [...options.args ?? [], "-c", `framing=${framing}`],
  });
  let cuts = 0;
  const isText = framing === "auto";
  // The first bytes of a connection, too.
  for (const size of [5000, 65_536]) {
    using client = await RawClient.open(command.port);
    if (await ask(client, size, isText) > 1) cuts++;
  }
  using client = await RawClient.open(command.port);
  for (let round = 0; round < rounds; round++) {
    for (const size of sizes) {
      assertEquals(await ask(client, 5, isText), 1);
      if (await ask(client, size, isText) > 1) cuts++;
    }
  }
  return cuts;
}

const what = "bridge sends what a peer wrote at once as one message";

testEngines(`${what}, over TCP`, async (t, engine) => {
  await using peer = await Writer.start();
  const { host } = peer;
  for (const framing of ["auto", "binary"]) {
    await t.step(framing, async () => {
      assertEquals(await countCuts(engine, { host }, framing), 0);
    });
  }
  await t.step("with threads", async () => {
    const options = { host, args: ["--threads", "2"] };
    assertEquals(await countCuts(engine, options, "auto"), 0);
  });
});

// The system hands over what is longer in pieces, between which a peer may be
// interrupted for long: hardly ever, and never where nothing else runs.
const mostCuts = 2;

testEngines(`${what}, over a Unix socket`, async (_, engine) => {
  await using directory = new TemporaryDirectory();
  await using peer = await Writer.start({ path: join(directory.path, "peer") });
  const { host } = peer;
  assertLessOrEqual(await countCuts(engine, { host }, "auto"), mostCuts);
}, { needs: ["unix"] });

testEngines(`${what}, over TLS`, async (_, engine) => {
  await using directory = new TemporaryDirectory();
  const certificate = await createCertificate(directory.path);
  await using peer = await Writer.start({ certificate });
  const options = {
    host: peer.host,
    flags: [`--cert=${certificate.certFile}`],
  };
  assertLessOrEqual(await countCuts(engine, options, "auto"), mostCuts);
}, { needs: ["openssl"] });
