import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { describeError } from "../../../core/errors.ts";
import { openPeer } from "../../../core/peers/open.ts";
import { openStreamPeer } from "../../../core/peers/stream.ts";
import type { Peer } from "../../../core/peers/peer.ts";
import type { IncomingMessages } from "../../../core/websocket/engine.ts";
import { decode, encode } from "../../support/framing_driver.ts";
import { FullListener } from "../../support/full_listener.ts";

const { signal } = new AbortController();

function messagesOf(...texts: string[]): IncomingMessages {
  const ends: number[] = [];
  const data = encode(texts.join(""));
  for (const text of texts) {
    ends.push((ends.at(-1) ?? 0) + encode(text).length);
  }
  return { data, ends };
}

/** Everything that a peer says until it ends its stream. */
async function readAll(peer: Peer): Promise<string> {
  const parts: number[] = [];
  const buffer = new Uint8Array(5);
  for (;;) {
    const count = await peer.read(buffer);
    if (count === null) return decode(new Uint8Array(parts));
    parts.push(...buffer.subarray(0, count));
  }
}

/** Answers all connections with what they say, until they end. */
async function echo(listener: Deno.Listener<Deno.Conn>): Promise<void> {
  for await (const connection of listener) {
    await connection.readable.pipeTo(connection.writable);
  }
}

interface UnixDirectory extends AsyncDisposable {
  readonly path: string;
}

async function makeDirectory(): Promise<UnixDirectory> {
  const path = await Deno.makeTempDir();
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("openPeer() connects to TCP peers by name and by address", async () => {
  for (const hostname of ["127.0.0.1", "localhost"]) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const echoing = echo(listener);
    const address = { transport: "tcp", hostname, port } as const;
    const peer = await openPeer(address, { signal });
    assertEquals([peer.isDatagram, peer.minimumRead], [false, 1]);
    await peer.write(messagesOf("one", "", "two €"));
    assertEquals(peer.written, 10);
    await peer.closeWrite();
    assertEquals(await readAll(peer), "onetwo €");
    peer.close();
    listener.close();
    await echoing;
  }
});

Deno.test("openPeer() connects to Unix stream peers", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using directory = await makeDirectory();
  const path = `${directory.path}/a b.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const echoing = echo(listener);
  const peer = await openPeer({ transport: "unix", path }, { signal });
  await peer.write(messagesOf("", "one", "two"));
  await peer.closeWrite();
  assertEquals(await readAll(peer), "onetwo");
  peer.close();
  listener.close();
  await echoing;
});

Deno.test("Peer.write() writes more than the system takes at once", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const peer = await openPeer(
    { transport: "tcp", hostname: "127.0.0.1", port },
    { signal },
  );
  using connection = await listener.accept();
  const data = new Uint8Array(32 * 1024 * 1024);
  for (let index = 0; index < data.length; index += 4093) data[index] = index;
  const writing = peer.write({ data, ends: [data.length] });
  const received = new Uint8Array(data.length);
  for (let place = 0; place < received.length;) {
    const count = await connection.read(received.subarray(place));
    assert(count !== null);
    place += count;
    // What the service has got was counted as taken, or is about to be.
    assert(peer.written <= data.length);
  }
  await writing;
  assertEquals(peer.written, data.length);
  for (let index = 0; index < data.length; index += 4093) {
    if (received[index] !== data[index]) throw new Error(`Differs at ${index}`);
  }
  peer.close();
});

Deno.test("Peer.close() ends a read that waits, and may be called twice", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const peer = await openPeer(
    { transport: "tcp", hostname: "127.0.0.1", port },
    { signal },
  );
  using _connection = await listener.accept();
  const reading = assertRejects(() => peer.read(new Uint8Array(1)));
  peer.close();
  peer.close();
  await reading;
  await assertRejects(() => peer.read(new Uint8Array(1)));
  await assertRejects(() => peer.write(messagesOf("x")));
});

Deno.test("openPeer() says what it could not open, and why", async () => {
  await using directory = await makeDirectory();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const file = `${directory.path}/file`;
  await Deno.writeTextFile(file, "");
  const cases: [address: Parameters<typeof openPeer>[0], text: string][] = [
    [
      { transport: "tcp", hostname: "127.0.0.1", port },
      `Cannot open peer tcp://127.0.0.1:${port}: `,
    ],
    [
      { transport: "tls", hostname: "127.0.0.1", port },
      `Cannot open peer tls://127.0.0.1:${port}: `,
    ],
    [
      { transport: "tcp", hostname: "nobody.invalid", port: 1 },
      "Cannot open peer tcp://nobody.invalid:1: ",
    ],
    [
      { transport: "tcp", hostname: "h" },
      "Cannot open peer tcp://h: the address names no port",
    ],
    [
      { transport: "unix", path: `${directory.path}/none` },
      `Cannot open peer unix://${directory.path}/none: `,
    ],
    [{ transport: "unix", path: file }, `Cannot open peer unix://${file}: `],
  ];
  for (const [address, text] of cases) {
    const error = await assertRejects(() => openPeer(address, { signal }));
    assertInstanceOf(error, Error);
    const described = describeError(error);
    assertEquals(described.slice(0, text.length), text);
    // There is a reason behind it.
    assertInstanceOf(error.cause, Error, described);
  }
});

Deno.test("openPeer() names the permission that is missing", {
  permissions: { net: false, read: false, write: false },
}, async () => {
  const cases: [address: Parameters<typeof openPeer>[0], flag: string][] = [
    [{ transport: "tcp", hostname: "127.0.0.1", port: 1 }, "--allow-net"],
    [{ transport: "tls", hostname: "127.0.0.1", port: 1 }, "--allow-net"],
    [{ transport: "unix", path: "/none" }, "--allow-"],
  ];
  for (const [address, flag] of cases) {
    const error = await assertRejects(() => openPeer(address, { signal }));
    assert(describeError(error).includes(flag), describeError(error));
  }
});

Deno.test("openPeer() gives up when the signal is aborted", async () => {
  const reason = new Error("enough");
  const aborted = AbortSignal.abort(reason);
  const address = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;
  assertStrictEquals(
    await assertRejects(() => openPeer(address, { signal: aborted })),
    reason,
  );
  // A service that takes the connection and then says nothing, where TLS is spoken.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const opening = assertRejects(() =>
    openPeer(
      { transport: "tls", hostname: "127.0.0.1", port: listener.addr.port },
      { signal: controller.signal },
    )
  );
  const connection = await listener.accept();
  const hello = new Uint8Array(5);
  assert(await connection.read(hello) !== null);
  // The client has begun the handshake (RFC 8446 section 5.1: 22 is handshake).
  assertEquals(hello[0], 22);
  controller.abort(reason);
  assertStrictEquals(await opening, reason);
  connection.close();
});

Deno.test("openPeer() fails at once where the queue of a Unix peer is full", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  await using directory = await makeDirectory();
  const path = `${directory.path}/full.sock`;
  using _listener = Deno.listen({ transport: "unix", path });
  // Connections that nobody accepts, until there is no room for one more.
  const opened: Peer[] = [];
  const error = await assertRejects(async () => {
    while (opened.length < 100_000) {
      opened.push(await openPeer({ transport: "unix", path }, { signal }));
    }
  });
  assertInstanceOf(error, Error);
  assertEquals(error.message, `Cannot open peer unix://${path}`);
  assertInstanceOf(error.cause, Deno.errors.WouldBlock);
  assert(opened.length > 0);
  for (const peer of opened) peer.close();
});

Deno.test("openStreamPeer() goes on where the first address of a name hangs", {
  // Others answer where the queue of a listener is full.
  ignore: Deno.build.os !== "linux",
}, async () => {
  using full = await FullListener.start();
  const { port } = full;
  using listener = Deno.listen({ hostname: "127.0.0.2", port });
  const accepted = listener.accept();
  const peer = await openStreamPeer({
    transport: "tcp",
    hostname: "name.test",
    port,
    resolved: ["127.0.0.1", "127.0.0.2"],
  }, {
    signal: AbortSignal.timeout(30_000),
    preface: encode("first"),
    keepAlive: 0,
    trust: {},
  });
  using connection = await accepted;
  const buffer = new Uint8Array(16);
  const count = await connection.read(buffer);
  assertEquals(decode(buffer.subarray(0, count!)), "first");
  peer.close();
});
