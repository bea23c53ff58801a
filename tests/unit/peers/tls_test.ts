import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { createServer } from "node:tls";
import { describeError } from "../../../core/errors.ts";
import type { TlsTrust } from "../../../core/net/tls_trust.ts";
import { openPeer } from "../../../core/peers/open.ts";
import type { Peer } from "../../../core/peers/peer.ts";
import {
  type Authority,
  createAuthority,
  type KeyPair,
} from "../../support/certificates.ts";
import { decode, encode } from "../../support/framing_driver.ts";
import { sameBytes } from "../../support/websocket_client_frames.ts";
import { needing } from "../../support/needing.ts";
import { connectionsOf } from "../../support/peer.ts";

const { signal } = new AbortController();

/** A test that makes certificates. */
function test(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test(needing(["openssl"], { name, fn }));
}

/** A service that speaks TLS. */
interface Service extends AsyncDisposable {
  readonly port: number;
  /** How many connections it has taken. */
  readonly accepted: number;
  /** The next connection whose handshake is done. */
  next(): Promise<Deno.TlsConn>;
}

/** A service that does something with each connection whose handshake is done. */
function serve(
  { cert, key }: KeyPair,
  handle?: (connection: Deno.TlsConn) => Promise<void>,
): Service {
  const hostname = "127.0.0.1";
  const listener = Deno.listenTls({ hostname, port: 0, cert, key });
  const opened = new TransformStream<Deno.TlsConn, Deno.TlsConn>(
    undefined,
    undefined,
    new CountQueuingStrategy({ highWaterMark: 10 }),
  );
  const reader = opened.readable.getReader();
  const writer = opened.writable.getWriter();
  let accepted = 0;
  async function take(connection: Deno.TlsConn): Promise<void> {
    accepted++;
    try {
      await connection.handshake();
    } catch {
      // The client does not want it: that is what tests are about.
      connection.close();
      return;
    }
    if (handle === undefined) await writer.write(connection);
    else await handle(connection);
  }
  const serving = (async () => {
    const all: Promise<void>[] = [];
    for await (const connection of connectionsOf(listener)) {
      all.push(take(connection));
    }
    await Promise.all(all);
  })();
  return {
    port: listener.addr.port,
    get accepted(): number {
      return accepted;
    },
    async next(): Promise<Deno.TlsConn> {
      return (await reader.read()).value!;
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await serving;
    },
  };
}

/** Says what it hears, until its client ends. */
async function echo(connection: Deno.TlsConn): Promise<void> {
  // A client that found the certificate wrong is gone.
  await connection.readable.pipeTo(connection.writable).catch(() => {});
}

function open(
  port: number,
  trust: TlsTrust,
  options: { hostname?: string; preface?: Uint8Array; signal?: AbortSignal } =
    {},
): Promise<Peer> {
  const { hostname = "localhost", ...others } = options;
  const address = { transport: "tls", hostname, port } as const;
  return openPeer(address, { signal, trust, ...others });
}

async function readAll(peer: Peer): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(10_000);
    const count = await peer.read(buffer);
    if (count === null) break;
    parts.push(buffer.subarray(0, count));
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

async function assertUntrusted(
  pair: KeyPair,
  trust: TlsTrust,
  text: RegExp,
): Promise<void> {
  await using service = serve(pair, echo);
  const error = await assertRejects(() => open(service.port, trust));
  assertInstanceOf(error, Error);
  const described = describeError(error);
  assert(text.test(described), described);
}

test("openPeer() trusts a certificate by its authority, by itself, and by its fingerprint", async (t) => {
  await using authority = await createAuthority();
  const signed = await authority.sign("localhost");
  const own = await authority.signItself("localhost");
  const cases: [name: string, pair: KeyPair, trust: TlsTrust][] = [
    ["authority", signed, { tlsCa: authority.cert }],
    ["several", signed, { tlsCa: `${own.cert}\n${authority.cert}` }],
    // `openssl req -x509` says of what it makes that it may sign others.
    ["itself", own, { tlsCa: own.cert }],
    ["base64", own, { tlsFingerprint: own.fingerprint }],
    ["hex", own, { tlsFingerprint: own.hexFingerprint }],
    ["one of two", own, {
      tlsFingerprint: `${signed.fingerprint}, ${own.fingerprint}`,
    }],
    ["signed", signed, { tlsFingerprint: signed.fingerprint }],
    ["other name", await authority.sign("other.test"), {
      tlsCa: authority.cert,
      tlsName: "other.test",
    }],
    ["own, other name", await authority.signItself("other.test"), {
      tlsName: "other.test",
    }],
  ];
  for (const [name, pair, trust] of cases) {
    await t.step(name, async () => {
      await using service = serve(pair, echo);
      const withCa = name === "own, other name"
        ? { ...trust, tlsCa: pair.cert }
        : trust;
      for (let time = 0; time < 2; time++) {
        const peer = await open(service.port, withCa);
        const data = new Uint8Array(300_000);
        for (let index = 0; index < data.length; index++) {
          data[index] = index * 7 + (index >> 8);
        }
        await peer.write({ data, ends: [data.length] });
        await peer.closeWrite();
        assert(sameBytes(await readAll(peer), data));
        assertEquals(peer.written, data.length);
        peer.close();
      }
    });
  }
});

test("openPeer() finds out once that a certificate is the peer's own", async () => {
  await using authority = await createAuthority();
  const own = await authority.signItself("localhost");
  await using service = serve(own, echo);
  for (const accepted of [2, 3, 4]) {
    const peer = await open(service.port, { tlsCa: own.cert });
    assertEquals(service.accepted, accepted);
    peer.close();
  }
});

test("openPeer() says what to do about a certificate that it does not trust", async (t) => {
  await using authority = await createAuthority();
  const signed = await authority.sign("localhost");
  const own = await authority.signItself("localhost");
  const other = await authority.sign("other.test");
  const another = await authority.signItself("localhost");
  const tlsCa = authority.cert;
  const cases: [
    name: string,
    pair: KeyPair,
    trust: TlsTrust,
    text: RegExp,
  ][] = [
    ["own", own, {}, /signed itself: .*tls-ca = FILE, or tls-fingerprint/],
    ["signed", signed, {}, /authority that signed it .*tls-ca = FILE/],
    ["name", other, { tlsCa }, /tls-name.*only valid for/],
    ["asked name", signed, { tlsCa, tlsName: "x.test" }, /tls-name.*x\.test/],
    ["wrong authority", own, { tlsCa }, /another certificate: sha256\//],
    [
      "wrong own",
      another,
      { tlsCa: own.cert },
      /another certificate: sha256\//,
    ],
    [
      "own, name",
      await authority.signItself("other.test"),
      { tlsFingerprint: own.fingerprint },
      /another certificate: sha256\//,
    ],
    [
      "expired",
      await authority.sign("localhost", { isExpired: true }),
      { tlsCa },
      /renew it.*Expired/,
    ],
  ];
  for (const [name, pair, trust, text] of cases) {
    await t.step(name, () => assertUntrusted(pair, trust, text));
  }
  await t.step("own, of another name", async () => {
    const named = await authority.signItself("other.test");
    await assertUntrusted(
      named,
      { tlsCa: named.cert },
      /"localhost".*tls-name/,
    );
  });
  await t.step("own, expired", async () => {
    const old = await authority.signItself("localhost", { isExpired: true });
    await assertUntrusted(old, { tlsCa: old.cert }, /renew it.*Expired/);
  });
  await t.step("the fingerprint counts alone", async () => {
    const old = await authority.signItself("other.test", { isExpired: true });
    await using service = serve(old);
    const taking = service.next();
    const peer = await open(service.port, {
      tlsFingerprint: old.fingerprint,
    });
    peer.close();
    (await taking).close();
  });
});

/** A service that shows a certificate whose key it does not have. */
async function impersonate(
  { cert }: KeyPair,
  { key }: KeyPair,
): Promise<{ port: number; received: () => number; close(): Promise<void> }> {
  let received = 0;
  const server = createServer({ cert, key }, (socket) => {
    socket.on("data", (data) => received += data.length);
    socket.on("error", () => {});
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const { port } = server.address() as { port: number };
  return {
    port,
    received: () => received,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

test("openPeer() takes no certificate of which the peer need not have the key", async () => {
  await using authority = await createAuthority();
  // Deno's node:tls lets any signature pass for certificates of version 1.
  const pinned = await authority.signVersion1("localhost");
  const other = await authority.signVersion1("localhost");
  const server = await impersonate(pinned, other);
  for (
    const trust of [
      { tlsFingerprint: pinned.fingerprint },
      { tlsCa: pinned.cert },
    ]
  ) {
    const error = await assertRejects(() => open(server.port, trust));
    assertInstanceOf(error, Error);
    assert(/version/i.test(describeError(error)), describeError(error));
  }
  assertEquals(server.received(), 0);
  await server.close();
});

test("openPeer() with a fingerprint writes the preface before TLS, and gives up when aborted", async () => {
  await using authority = await createAuthority();
  const { fingerprint } = await authority.signItself("localhost");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const reason = new Error("enough");
  const opening = assertRejects(() =>
    open(listener.addr.port, { tlsFingerprint: fingerprint }, {
      preface: encode("PROXY "),
      signal: controller.signal,
    })
  );
  using connection = await listener.accept();
  let received = "";
  const buffer = new Uint8Array(7);
  while (received.length < 7) {
    const count = await connection.read(buffer.subarray(received.length));
    assert(count !== null);
    received = decode(buffer.subarray(0, received.length + count));
  }
  // A record of TLS begins with its type: 22 is handshake (RFC 8446, section 5.1).
  assertEquals(received, "PROXY \x16");
  controller.abort(reason);
  assertStrictEquals(await opening, reason);
});

test("a pinned peer is read no faster than it is asked for", async () => {
  await using authority = await createAuthority();
  const own = await authority.signItself("localhost");
  await using service = serve(own);
  const taking = service.next();
  const peer = await open(service.port, { tlsFingerprint: own.fingerprint });
  const connection: Deno.TlsConn = await taking;
  const total = 96 * 1024 * 1024;
  let sent = 0;
  const sending = (async () => {
    const part = new Uint8Array(64 * 1024);
    while (sent < total) sent += await connection.write(part);
    await connection.closeWrite();
  })();
  const buffer = new Uint8Array(16 * 1024);
  let received = 0;
  let ahead = 0;
  for (;;) {
    const count = await peer.read(buffer);
    if (count === null) break;
    received += count;
    // Whoever would read ahead has every chance to.
    for (let turn = 0; turn < 3; turn++) await setImmediate();
    ahead = Math.max(ahead, sent - received);
  }
  await sending;
  assertEquals(received, total);
  // What the system keeps for both ends, and a few records.
  assert(ahead < 24 * 1024 * 1024, `${ahead} bytes ahead`);
  peer.close();
  connection.close();
});

test("a pinned peer is written to no faster than it takes", async () => {
  await using authority = await createAuthority();
  const own = await authority.signItself("localhost");
  await using service = serve(own);
  const taking = service.next();
  const peer = await open(service.port, { tlsFingerprint: own.fingerprint });
  const connection: Deno.TlsConn = await taking;
  const data = new Uint8Array(48 * 1024 * 1024);
  const writing = peer.write({ data, ends: [data.length] }).then(() =>
    peer.closeWrite()
  );
  const buffer = new Uint8Array(16 * 1024);
  let received = 0;
  let ahead = 0;
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) break;
    received += count;
    for (let turn = 0; turn < 3; turn++) await setImmediate();
    ahead = Math.max(ahead, peer.written - received);
  }
  await writing;
  assertEquals([received, peer.written], [data.length, data.length]);
  assert(ahead < 24 * 1024 * 1024, `${ahead} bytes ahead`);
  peer.close();
  connection.close();
});

test("a pinned peer that goes on after its client's end is heard, and one that breaks off is an error", async () => {
  await using authority = await createAuthority();
  const own = await authority.signItself("localhost");
  await using service = serve(own);
  const trust = { tlsFingerprint: own.fingerprint };
  let taking = service.next();
  const peer = await open(service.port, trust);
  let connection: Deno.TlsConn = await taking;
  await peer.closeWrite();
  assertEquals(await connection.read(new Uint8Array(1)), null);
  await connection.write(encode("late"));
  await connection.closeWrite();
  assertEquals(decode(await readAll(peer)), "late");
  peer.close();
  connection.close();

  taking = service.next();
  const other = await open(service.port, trust);
  connection = await taking;
  const reading = assertRejects(() => other.read(new Uint8Array(1)));
  other.close();
  other.close();
  await reading;
  await assertRejects(() => other.write({ data: encode("x"), ends: [1] }));
  connection.close();
});

test("createAuthority() signs what it says", async () => {
  await using authority: Authority = await createAuthority();
  const pair = await authority.sign("localhost");
  assert(pair.fingerprint.startsWith("sha256/"));
  assert(pair.hexFingerprint.includes(":"));
});
