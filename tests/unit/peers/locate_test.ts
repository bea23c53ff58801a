import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { parseAddress } from "../../../core/net/address.ts";
import { parseAllowedPeers } from "../../../core/net/allowed_peers.ts";
import { openPeer } from "../../../core/peers/open.ts";
import { locatePeer, type PeerPlace } from "../../../core/peers/locate.ts";
import { TemporaryDirectory } from "../../support/service.ts";

const { signal } = new AbortController();

function locate(peer: string, pattern: string): Promise<PeerPlace> {
  return locatePeer(parseAddress(peer), parseAllowedPeers(pattern), signal);
}

Deno.test("locatePeer() leaves a peer as it is where any is allowed", async () => {
  const address = parseAddress("tcp://no.such.name.invalid:1");
  assertEquals(await locatePeer(address, "*", signal), address);
});

Deno.test("locatePeer() gives the addresses of a name that are allowed", async () => {
  const cases: [peer: string, pattern: string][] = [
    ["tcp://localhost:80", "tcp://127.0.0.0/8"],
    ["tcp://127.0.0.1:80", "tcp://127.0.0.0/8"],
    ["udp://localhost:80", "udp://127.0.0.1:80"],
    // Resolved, as the system would do it.
    ["tcp://127.1:80", "tcp://127.0.0.1"],
    ["tcp://2130706433:80", "tcp://127.0.0.1"],
  ];
  for (const [peer, pattern] of cases) {
    const place = await locate(peer, pattern);
    assertEquals(place, {
      ...parseAddress(peer),
      resolved: ["127.0.0.1"],
    }, peer);
  }
  // A name that is allowed by itself is resolved once, too.
  const place = await locate("tcp://LOCALHOST:80", "tcp://localhost:80");
  assertEquals("resolved" in place && place.resolved!.length > 0, true);
});

Deno.test("locatePeer() refuses a peer that no pattern matches", async () => {
  const cases: [peer: string, pattern: string, why: string][] = [
    ["tcp://localhost:80", "tcp://10.0.0.0/8", '"127.0.0.1"'],
    ["tcp://127.1:80", "tcp://10.0.0.0/8", '"127.0.0.1"'],
    ["tcp://127.0.0.1:80", "tcp://localhost", '"127.0.0.1"'],
    ["tcp://127.0.0.1:81", "tcp://127.0.0.1:80", '"127.0.0.1"'],
    ["tls://127.0.0.1:80", "tcp://*", '"127.0.0.1"'],
    ["tcp://[::ffff:127.0.0.1]:80", "tcp://[::/0]", '"::ffff:127.0.0.1"'],
  ];
  for (const [peer, pattern, why] of cases) {
    await assertRejects(() => locate(peer, pattern), TypeError, why, peer);
  }
  // A name that begins like an address which is allowed is asked for.
  const error = await assertRejects(
    () => locate("tcp://10.0.0.1%.no.such.name.invalid:80", "tcp://10.0.0.0/8"),
    Error,
  );
  assertStringIncludes(error.message, "no.such.name.invalid");
});

Deno.test("locatePeer() compares real paths", async () => {
  await using temporary = new TemporaryDirectory();
  const root = await Deno.realPath(temporary.path);
  for (const name of ["in", "out"]) {
    await Deno.mkdir(join(root, name));
    await Deno.writeTextFile(join(root, name, "s"), "");
  }
  await Deno.symlink(join(root, "out", "s"), join(root, "in", "link"));
  await Deno.symlink(join(root, "in"), join(root, "out", "back"));
  const pattern = `unix://${root}/in/*`;
  for (
    const path of ["in/s", "in/../in/s", "./in//s", "out/back/s", "out/../in/s"]
  ) {
    assertEquals(await locate(`unix://${root}/${path}`, pattern), {
      transport: "unix",
      path: join(root, "in", "s"),
    }, path);
  }
  for (const path of ["out/s", "in/../out/s", "in/link", "in"]) {
    await assertRejects(
      () => locate(`unix://${root}/${path}`, pattern),
      TypeError,
      "allow-peer does not allow it",
      path,
    );
  }
  await assertRejects(
    () => locate(`unix://${root}/in/missing`, pattern),
    Deno.errors.NotFound,
  );
});

Deno.test("locatePeer() compares the names of abstract sockets", async () => {
  const place = { transport: "unix", path: "@vnc/7" } as const;
  for (const pattern of ["unix://@vnc/*", "*://@**"]) {
    assertEquals(await locate("unix://@vnc/7", pattern), place);
  }
  for (const pattern of ["unix:///**", "unix://@vnc", "unix-dgram://@**"]) {
    await assertRejects(
      () => locate("unix://@vnc/7", pattern),
      TypeError,
      'no pattern matches "@vnc/7"',
    );
  }
});

Deno.test("openPeer() tries the addresses that are allowed one after another", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const accepting = listener.accept();
  const peer = await openPeer(
    { transport: "tcp", hostname: "localhost", port },
    {
      signal,
      allowed: parseAllowedPeers("tcp://127.0.0.0/8"),
      preface: new TextEncoder().encode("first"),
    },
  );
  using connection = await accepting;
  const buffer = new Uint8Array(10);
  const count = await connection.read(buffer);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, count!)), "first");
  peer.close();
});
