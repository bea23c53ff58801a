import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import {
  Command,
  type EngineName,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { bulkFrame, formatRequest } from "../support/client.ts";
import { echo, readAll, TestPeer, writeAll } from "../support/peer.ts";
import { needing } from "../support/needing.ts";
import {
  type Certificate,
  createCertificate,
  TemporaryDirectory,
} from "../support/service.ts";
import {
  countDescriptors,
  descriptorsReturn,
} from "../support/process_resources.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

const needs = ["openssl"] as const;

/** A directory with a certificate, its key, and the options for them. */
class TlsFiles extends TemporaryDirectory {
  readonly certFile = join(this.path, "cert.pem");
  readonly keyFile = join(this.path, "key.pem");
  readonly args = ["--tls-cert", this.certFile, "--tls-key", this.keyFile];

  /** Makes a certificate and its key, anew if there are some. */
  make(): Promise<Certificate> {
    return createCertificate(this.path);
  }
}

function start(
  files: TlsFiles,
  engine: EngineName,
  host: string,
  args: readonly string[] = [],
): Promise<SharedCommand> {
  return SharedCommand.start({ engine, host, args: [...files.args, ...args] });
}

/** The same, in a process of its own. */
function startAlone(
  files: TlsFiles,
  engine: EngineName,
  host: string,
  args: readonly string[] = [],
): Promise<Command> {
  return Command.start({ engine, host, args: [...files.args, ...args] });
}

/** Opens a WebSocket that trusts one certificate, over the built-in client. */
async function open(
  port: number,
  ca: Certificate,
  protocols: string[] = [],
): Promise<{ socket: WebSocket; client: Deno.HttpClient }> {
  const client = Deno.createHttpClient({ caCerts: [ca.cert] });
  const socket = new WebSocket(`wss://localhost:${port}/`, {
    protocols,
    client,
  });
  socket.binaryType = "arraybuffer";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => resolve();
  socket.onerror = (event) => reject((event as ErrorEvent).error ?? event);
  try {
    await promise;
  } catch (error) {
    client.close();
    throw error;
  }
  return { socket, client };
}

function next<T extends keyof WebSocketEventMap>(
  socket: WebSocket,
  event: T,
): Promise<WebSocketEventMap[T]> {
  return new Promise((resolve) =>
    socket.addEventListener(event, resolve, { once: true })
  );
}

/** Sends a message and waits for its echo. */
async function exchange(socket: WebSocket, text: string): Promise<void> {
  const message = next(socket, "message");
  socket.send(text);
  assertEquals((await message).data, text);
}

/** The certificate that a server shows. */
async function shown(port: number): Promise<string> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
  });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  const { raw } = (socket as TLSSocket).getPeerCertificate();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
  return new X509Certificate(raw).fingerprint256;
}

function fingerprint({ cert }: Certificate): string {
  return new X509Certificate(cert).fingerprint256;
}

testEngines("websocksy speaks TLS with its clients", async (_, engine) => {
  await using files = new TlsFiles();
  const certificate = await files.make();
  await using peer = TestPeer.tcp(echo);
  await using command = await start(files, engine, peer.host, [
    ...["-c", "protocol=*"],
  ]);
  const { socket, client } = await open(command.port, certificate, ["chat"]);
  using _client = client;
  assertEquals(socket.protocol, "chat");
  await exchange(socket, "over TLS");
  const large = new Uint8Array(1 << 20).map((_, index) => index * 7);
  const echoed: Uint8Array[] = [];
  let length = 0;
  const whole = new Promise<void>((resolve) => {
    socket.onmessage = ({ data }) => {
      const bytes = typeof data === "string"
        ? new TextEncoder().encode(data)
        : new Uint8Array(data);
      echoed.push(bytes);
      length += bytes.length;
      if (length >= large.length) resolve();
    };
  });
  socket.send(large);
  await whole;
  assertEquals(
    new Uint8Array(await new Blob(echoed as BlobPart[]).bytes()),
    large,
  );
  const closed = next(socket, "close");
  socket.close(3001, "enough");
  const { code, reason } = await closed;
  assertEquals({ code, reason }, { code: 3001, reason: "enough" });
  assertEquals((await command.event("close")).code, 3001);
}, { needs });

testEngines("websocksy says wss in its log", async (_, engine) => {
  await using files = new TlsFiles();
  await files.make();
  const { code, stdout, stderr } = await runShared([
    ...files.args,
    ...["--engine", engine, "-l", "127.0.0.1", "--check"],
  ]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertMatch(stdout, /^listen on wss:\/\/127\.0\.0\.1:8001\/, engine/m);
  await using command = await start(files, engine, "tcp://127.0.0.1:1");
  const listening = command.log.all.find(({ event }) => event === "listening");
  assertEquals(listening?.address, `wss://127.0.0.1:${command.port}/`);
}, { needs });

testEngines("websocksy with TLS closes with 1001 on SIGTERM", async (
  _,
  engine,
) => {
  await using files = new TlsFiles();
  const certificate = await files.make();
  await using peer = TestPeer.tcp(echo);
  await using command = await start(files, engine, peer.host);
  const { socket, client } = await open(command.port, certificate);
  using _client = client;
  const closed = next(socket, "close");
  command.kill("SIGTERM");
  assertEquals((await closed).code, 1001);
  assertEquals((await command.status).code, 0);
}, { needs });

testEngines("websocksy with TLS outlives a client that speaks none", async (
  _,
  engine,
) => {
  await using files = new TlsFiles();
  const certificate = await files.make();
  await using peer = TestPeer.tcp(echo);
  // Half a handshake is waited for so long.
  await using command = await start(files, engine, peer.host, [
    ...["--head-timeout", "1"],
  ]);
  for (const words of [formatRequest(), "\x16\x03\x01\x00\xff", ""]) {
    using plain = await Deno.connect({
      hostname: "127.0.0.1",
      port: command.port,
    });
    await plain.write(new TextEncoder().encode(words));
    await plain.closeWrite();
    const answer = new Uint8Array(1024);
    const count = await plain.read(answer).catch(() => null) ?? 0;
    const isTold = engine === "stream" && words.startsWith("GET");
    assertEquals(
      new TextDecoder().decode(answer.subarray(0, count)).includes("HTTP/"),
      isTold,
    );
  }
  await assertRejects(() => shownWithTrust(command.port));
  const { socket, client } = await open(command.port, certificate);
  using _client = client;
  await exchange(socket, "next");
  const closed = next(socket, "close");
  socket.close();
  await closed;
}, { needs });

testEngines("websocksy ends a TLS handshake that takes too long", async (
  _,
  engine,
) => {
  await using files = new TlsFiles();
  const certificate = await files.make();
  await using peer = TestPeer.tcp(echo);
  await using command = await start(files, engine, peer.host, [
    ...["--head-timeout", "1"],
  ]);
  const { socket, client } = await open(command.port, certificate);
  using _client = client;
  for (const words of ["", "\x16\x03\x01"]) {
    // The server may take it long before this thread goes on.
    const start = performance.now();
    using silent = await Deno.connect({
      hostname: "127.0.0.1",
      port: command.port,
    });
    await silent.write(new TextEncoder().encode(words));
    assertEquals(await silent.read(new Uint8Array(1)).catch(() => null), null);
    const after = performance.now() - start;
    assert(after >= 900 && after < 10_000, `${after} ms`);
  }
  await exchange(socket, "still open");
  const closed = next(socket, "close");
  socket.close();
  await closed;
}, { needs, only: ["stream"] });

testEngines(
  "websocksy with TLS reads a client no faster than its peer takes",
  async (
    _,
    engine,
  ) => {
    await using files = new TlsFiles();
    const { cert } = await files.make();
    await using peer = TestPeer.tcp();
    await using command = await startAlone(files, engine, peer.host);
    using client = await connectTls(command.port, cert);
    await client.write(encoder.encode(formatRequest()));
    await client.read(new Uint8Array(4096));
    const connection = await peer.next();
    const message = bulkFrame(new Uint8Array(64 * 1024), 0x01020304);
    const total = 2000;
    let sent = 0;
    const sending = (async () => {
      for (; sent < total; sent++) await writeAll(client, message);
    })();
    const before = command.residentMemory();
    // What the system buffers is all that is sent while the peer reads nothing.
    for (let last = -1; last !== sent;) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assert(sent < total / 2, `${sent} messages were taken`);
    assert(command.residentMemory() - before < 64 * 1024 * 1024);
    let rest = total * 64 * 1024;
    const buffer = new Uint8Array(256 * 1024);
    while (rest > 0) rest -= await connection.read(buffer) ?? NaN;
    await sending;
    assertEquals(rest, 0);
  },
  { needs, only: ["stream"] },
);

testEngines(
  "websocksy with TLS drops a client that neither takes what it is sent nor answers",
  async (_, engine) => {
    await using files = new TlsFiles();
    const { cert } = await files.make();
    await using peer = TestPeer.tcp(async (connection) => {
      await writeAll(connection, new Uint8Array(2048));
      await readAll(connection, () => {});
    });
    await using command = await start(files, engine, peer.host, ["-k", "1"]);
    using client = await connectTls(command.port, cert);
    await client.write(encoder.encode(formatRequest()));
    const { code, by } = await command.event("close");
    assertEquals({ code, by }, { code: 1001, by: "server" });
  },
  { needs, timeout: 180_000 },
);

testEngines("websocksy with TLS leaves no descriptor behind", async (
  _,
  engine,
) => {
  await using files = new TlsFiles();
  const { cert } = await files.make();
  await using peer = TestPeer.tcp(echo);
  // Half a handshake is waited for so long.
  await using command = await startAlone(files, engine, peer.host, [
    ...["--head-timeout", "1"],
  ]);
  async function round(): Promise<void> {
    for (const words of ["", "\x16\x03\x01", "GET / HTTP/1.1\r\n\r\n"]) {
      using plain = await Deno.connect({
        hostname: "127.0.0.1",
        port: command.port,
      });
      await plain.write(encoder.encode(words));
    }
    for (const words of ["", "GET / HT", "NONSENSE\r\n\r\n"]) {
      using early = await connectTls(command.port, cert);
      await early.write(encoder.encode(words));
    }
    const open = await connectTls(command.port, cert);
    await open.write(encoder.encode(formatRequest()));
    await open.read(new Uint8Array(4096));
    open.close();
    await command.event("close");
  }
  await round();
  const before = countDescriptors(command.pid);
  for (let count = 0; count < 20; count++) await round();
  await descriptorsReturn(command.pid, before, 0);
}, { needs: ["linux", ...needs] });

async function connectTls(port: number, ca: string): Promise<Deno.TlsConn> {
  const connection = await Deno.connectTls({
    hostname: "localhost",
    port,
    caCerts: [ca],
  });
  await connection.handshake();
  return connection;
}

const encoder = new TextEncoder();

/** Connects as one who does not know the certificate's authority. */
async function shownWithTrust(port: number): Promise<void> {
  using connection = await Deno.connectTls({ hostname: "localhost", port });
  await connection.handshake();
}

testEngines(
  "websocksy shows a new certificate after SIGHUP and keeps what is open",
  async (_, engine) => {
    await using files = new TlsFiles();
    const first = await files.make();
    await using peer = TestPeer.tcp(echo);
    await using command = await start(files, engine, peer.host);
    const { socket, client } = await open(command.port, first);
    using _client = client;
    assertEquals(await shown(command.port), fingerprint(first));

    const second = await files.make();
    assert(fingerprint(first) !== fingerprint(second));
    assertEquals(await shown(command.port), fingerprint(first));
    command.kill("SIGHUP");
    assertEquals((await command.event("certificate")).level, "info");
    await command.event("reload", ({ level }) => level === "info");
    assertEquals(await shown(command.port), fingerprint(second));
    await exchange(socket, "still open");
    const renewed = await open(command.port, second);
    using _renewed = renewed.client;
    await exchange(renewed.socket, "new");
    await assertRejects(() => open(command.port, first));

    // One that is broken changes nothing, and it is told why.
    await Deno.writeTextFile(files.keyFile, "no key\n");
    command.kill("SIGHUP");
    const failed = await command.event(
      "reload",
      ({ level }) => level === "error",
    );
    assertMatch(String(failed.error), /tls-key.*key\.pem.*private key/);
    assertEquals(await shown(command.port), fingerprint(second));
    for (const each of [socket, renewed.socket]) {
      await exchange(each, "to the end");
      const closed = next(each, "close");
      each.close();
      await closed;
    }
  },
  { needs, only: ["stream"] },
);

testEngines(
  "websocksy says that another certificate needs a restart",
  async (_, engine) => {
    await using files = new TlsFiles();
    const first = await files.make();
    await using peer = TestPeer.tcp(echo);
    await using command = await start(files, engine, peer.host);
    const { socket, client } = await open(command.port, first);
    using _client = client;
    await files.make();
    command.kill("SIGHUP");
    const warning = await command.event("certificate");
    assertEquals(warning.level, "warn");
    assertMatch(String(warning.error), /native.*restart/);
    await command.event("reload", ({ level }) => level === "info");
    assertEquals(await shown(command.port), fingerprint(first));
    await exchange(socket, "still open");
    const closed = next(socket, "close");
    socket.close();
    await closed;
  },
  { needs, only: ["native"] },
);

Deno.test(
  needing(needs, {
    name: "websocksy refuses a certificate that cannot be used",
    async fn(t: Deno.TestContext): Promise<void> {
      await using files = new TlsFiles();
      await files.make();
      await using others = new TlsFiles();
      await others.make();
      const { certFile, keyFile } = files;
      const missing = join(files.path, "missing.pem");
      const broken = await files.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n",
      );
      const socket = join(files.path, "socket");
      const cases:
        readonly (readonly [args: readonly string[], line: RegExp])[] = [
          [["--tls-cert", certFile], /--tls-cert.*needs tls-key/],
          [["--tls-key", keyFile], /--tls-key.*needs tls-cert/],
          [
            ["--tls-cert", missing, "--tls-key", keyFile],
            /tls-cert.*missing\.pem.*no such file/,
          ],
          [
            ["--tls-cert", certFile, "--tls-key", missing],
            /tls-key.*missing\.pem.*no such file/,
          ],
          [
            ["--tls-cert", broken, "--tls-key", keyFile],
            /tls-cert.*broken\.pem.*no certificate/,
          ],
          [
            ["--tls-cert", keyFile, "--tls-key", keyFile],
            /tls-cert.*key\.pem.*no certificate/,
          ],
          [
            ["--tls-cert", certFile, "--tls-key", certFile],
            /tls-key.*cert\.pem.*no private key/,
          ],
          [
            ["--tls-cert", certFile, "--tls-key", others.keyFile],
            /tls-key.*not the key of/,
          ],
          [[...files.args, "-l", `unix:${socket}`], /tls-cert.*Unix socket/],
        ];
      for (const [args, line] of cases) {
        await t.step(String(line), async () => {
          for (const check of [[], ["--check"]]) {
            const { code, stdout, stderr } = await runShared([
              ...["-p", "0", ...args, ...check],
            ]);
            assertMatch(stderr, /^websocksy: [^\n]*\n$/);
            assertMatch(stderr, line);
            assertEquals({ code, stdout }, { code: 2, stdout: "" });
          }
        });
      }
      await t.step(
        needing(["deno run"], {
          name: "permission missing",
          fn: async () => {
            const { code, stderr } = await runCommand([
              "-p",
              "0",
              ...files.args,
            ], {
              permissions: ["--allow-net"],
            });
            assertMatch(
              stderr,
              /^websocksy: [^\n]*tls-cert[^\n]*--allow-read[^\n]*\n$/,
            );
            assertEquals(code, 1);
          },
        }),
      );
    },
  }),
);

testEngines("websocksy with TLS switched off by SIGHUP goes on with it", async (
  _,
  engine,
) => {
  await using files = new TlsFiles();
  const certificate = await files.make();
  await using peer = TestPeer.tcp(echo);
  const core =
    `[core]\ntls-cert = ${files.certFile}\ntls-key = ${files.keyFile}\n`;
  const backend = `[backend]\nhost = ${peer.host}\n`;
  const file = await files.write("a.ini", core + backend);
  await using command = await SharedCommand.start({ file, engine });
  await files.write("a.ini", backend);
  command.kill("SIGHUP");
  const { level, error } = await command.event("certificate");
  assertEquals(level, "warn");
  assertMatch(String(error), /restart/);
  assertEquals(await shown(command.port), fingerprint(certificate));
}, { needs });
