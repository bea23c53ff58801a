import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { CloseError, describeError } from "../../../core/errors.ts";
import { openPeer } from "../../../core/peers/open.ts";
import type { Peer } from "../../../core/peers/peer.ts";
import { decode, encode } from "../../support/framing_driver.ts";

const { signal } = new AbortController();

/** Reads one datagram. */
async function readText(peer: Peer): Promise<string> {
  const buffer = new Uint8Array(peer.minimumRead);
  const count = await peer.read(buffer);
  assert(count !== null);
  return decode(buffer.subarray(0, count));
}

/** Sends each text as a datagram. */
async function writeTexts(peer: Peer, ...texts: string[]): Promise<void> {
  const ends: number[] = [];
  for (const text of texts) {
    ends.push((ends.at(-1) ?? 0) + encode(text).length);
  }
  await peer.write({ data: encode(texts.join("")), ends });
}

/** Sends back as many datagrams as it is told to. */
async function echo(socket: Deno.DatagramConn, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const [data, from] = await socket.receive();
    await socket.send(data, from);
  }
}

/** A UDP socket that is closed at the end of its block. */
function bind(hostname: string): Deno.DatagramConn & Disposable {
  const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  return Object.assign(socket, { [Symbol.dispose]: () => socket.close() });
}

/** Whether a datagram socket can be bound to an address here. */
function canBind(hostname: string): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** The texts that come back, each one datagram, empty ones too. */
async function assertEchoes(peer: Peer): Promise<void> {
  assert(peer.isDatagram);
  assert(peer.minimumRead >= 65536);
  const texts = ["one", "", "zwölf €", "x".repeat(60_000)];
  for (const text of texts) {
    await writeTexts(peer, text);
    assertEquals(await readText(peer), text);
  }
  await writeTexts(peer, "a", "", "b");
  assertEquals([
    await readText(peer),
    await readText(peer),
    await readText(peer),
  ], ["a", "", "b"]);
  assertEquals(peer.written, 3 + 0 + 10 + 60_000 + 2);
  await peer.closeWrite();
  await writeTexts(peer, "after");
  assertEquals(await readText(peer), "after");
}

Deno.test("openPeer() sends a datagram for each message to a UDP peer", async () => {
  for (
    const [bound, hostname] of [
      ["127.0.0.1", "127.0.0.1"],
      ["::1", "::1"],
      ["::1", "0:0:0:0:0:0:0:1"],
    ] as const
  ) {
    if (!canBind(bound)) continue;
    using service = bind(bound);
    const echoing = echo(service, 8);
    const { port } = service.addr as Deno.NetAddr;
    const peer = await openPeer(
      { transport: "udp", hostname, port },
      { signal },
    );
    await assertEchoes(peer);
    await echoing;
    peer.close();
    peer.close();
    await assertRejects(() => peer.read(new Uint8Array(65536)));
    await assertRejects(() => writeTexts(peer, "x"));
  }
});

Deno.test("openPeer() finds a UDP peer by name", async () => {
  const address = { transport: "udp", hostname: "localhost" } as const;
  // The first address of the name counts; the service is bound to all there are.
  using service = bind(canBind("::1") ? "::" : "0.0.0.0");
  const { port } = service.addr as Deno.NetAddr;
  const peer = await openPeer({ ...address, port }, { signal });
  await writeTexts(peer, "hello");
  const [data] = await service.receive();
  assertEquals(decode(data), "hello");
  peer.close();
});

Deno.test("Peer.read() takes only datagrams from the peer's address and port", async () => {
  using service = bind("127.0.0.1");
  using stranger = bind("127.0.0.1");
  const { port } = service.addr as Deno.NetAddr;
  const peer = await openPeer(
    { transport: "udp", hostname: "127.0.0.1", port },
    { signal },
  );
  await writeTexts(peer, "hello");
  const [, client] = await service.receive();
  const reading = readText(peer);
  // They come in this order: all three are on loopback and one after another.
  await stranger.send(encode("forged"), client);
  await stranger.send(new Uint8Array(0), client);
  await service.send(encode("true"), client);
  assertEquals(await reading, "true");
  peer.close();
});

Deno.test("Peer.write() tells a message that is too large for a datagram", async () => {
  using service = bind("127.0.0.1");
  const { port } = service.addr as Deno.NetAddr;
  const peer = await openPeer(
    { transport: "udp", hostname: "127.0.0.1", port },
    { signal },
  );
  const largest = "x".repeat(65_507);
  const error = await assertRejects(() =>
    writeTexts(peer, "a", `${largest}y`, "b")
  );
  assertInstanceOf(error, CloseError);
  assertEquals(
    [error.code, error.message],
    [1009, "message too large for a datagram"],
  );
  assertInstanceOf(error.cause, Error);
  // What stood before it was sent, what stood behind it was not.
  assertEquals(peer.written, 1);
  await writeTexts(peer, largest);
  assertEquals(decode((await service.receive())[0]), "a");
  assertEquals(
    (await service.receive(new Uint8Array(65536)))[0].length,
    65_507,
  );
  peer.close();
});

Deno.test("openPeer() says why there is no datagram peer", async () => {
  const directory = await Deno.makeTempDir();
  const file = `${directory}/file`;
  await Deno.writeTextFile(file, "");
  const cases: [address: Parameters<typeof openPeer>[0], text: string][] = [
    [
      { transport: "udp", hostname: "nobody.invalid", port: 1 },
      "Cannot open peer udp://nobody.invalid:1: ",
    ],
    [
      { transport: "udp", hostname: "127.0.0.1" },
      "Cannot open peer udp://127.0.0.1: the address names no port",
    ],
    [
      { transport: "unix-dgram", path: `${directory}/none` },
      `Cannot open peer unix-dgram://${directory}/none: `,
    ],
    [
      { transport: "unix-dgram", path: file },
      `Cannot open peer unix-dgram://${file}: "${file}" is not a socket`,
    ],
  ];
  for (const [address, text] of cases) {
    const error = await assertRejects(() => openPeer(address, { signal }));
    const described = describeError(error);
    assertEquals(described.slice(0, text.length), text);
    assert(described.length > text.length || !text.endsWith(": "));
  }
  await Deno.remove(directory, { recursive: true });
});

/** The private directories that this process's Unix datagram peers have now. */
async function privateDirectories(parent: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(parent)) {
    if (name.startsWith("websocksy-")) names.push(`${parent}/${name}`);
  }
  return names;
}

Deno.test("openPeer() sends a datagram for each message to a Unix peer", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/service`;
  const service = Deno.listenDatagram({ transport: "unixpacket", path });
  const peer = await openPeer({ transport: "unix-dgram", path }, { signal });
  const echoing = echo(service, 8);
  await assertEchoes(peer);
  await echoing;
  // The peer answers to a socket in a directory that only we may enter.
  await writeTexts(peer, "who");
  const [, from] = await service.receive();
  assert("path" in from && typeof from.path === "string");
  const own = from.path.slice(0, from.path.lastIndexOf("/"));
  const { mode, isDirectory } = await Deno.stat(own);
  assertEquals([isDirectory, mode! & 0o777], [true, 0o700]);
  assert(
    (await privateDirectories(own.slice(0, own.lastIndexOf("/")))).includes(
      own,
    ),
  );
  const reading = assertRejects(() => readText(peer));
  peer.close();
  peer.close();
  await reading;
  await assertRejects(() => Deno.stat(own), Deno.errors.NotFound);
  service.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("Peer.write() fails where a Unix datagram peer is gone", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/service`;
  const service = Deno.listenDatagram({ transport: "unixpacket", path });
  const peer = await openPeer({ transport: "unix-dgram", path }, { signal });
  service.close();
  const error = await assertRejects(() => writeTexts(peer, "x"));
  assertInstanceOf(error, Deno.errors.ConnectionRefused);
  assertEquals(peer.written, 0);
  peer.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("openDatagramPeer() takes a Unix datagram larger than any of UDP whole", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/service`;
  const service = Deno.listenDatagram({ transport: "unixpacket", path });
  const { signal } = new AbortController();
  const peer = await openPeer({ transport: "unix-dgram", path }, { signal });
  await peer.write({ data: new Uint8Array(1), ends: [1] });
  const [, from] = await service.receive();
  await service.send(new Uint8Array(100_000), from);
  assertEquals(await peer.read(new Uint8Array(peer.minimumRead)), 100_000);
  peer.close();
  service.close();
  await Deno.remove(directory, { recursive: true });
});
