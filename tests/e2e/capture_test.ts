/** Captures of connections, as Wireshark's command reads them. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { RawClient } from "../support/client.ts";
import {
  Command,
  createCommand,
  runCommand,
  testEngines,
} from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { Download, formatPlain } from "../support/pages_client.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

/** Reads fields of the packets of a file. */
async function tshark(file: string, ...fields: string[]): Promise<string[][]> {
  const { stdout, stderr, code } = await new Deno.Command("tshark", {
    args: [
      ...["-r", file, "-o", "tcp.check_checksum:TRUE"],
      ...["-o", "ip.check_checksum:TRUE", "-T", "fields"],
      ...["-E", "separator=,", ...fields.flatMap((field) => ["-e", field])],
    ],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim().split("\n")
    .map((line) => line.split(","));
}

/** Sends something, and takes the echo. */
async function exchange(client: RawClient, data: Uint8Array): Promise<void> {
  await client.send(data);
  for (let left = data.length; left > 0;) left -= (await client.read()).length;
}

testEngines(
  "A capture has what goes through a connection, both ways, as tshark reads it",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    await using command = await Command.start({
      engine,
      host: peer.host,
      args: [
        ...["--admin", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"],
        ...["--threads", "2", "--ping", "0"],
      ],
    });
    const { address } = await command.event("admin");
    async function open(from: string): Promise<[RawClient, number]> {
      const headers = { "X-Forwarded-For": from };
      const client = await RawClient.open(command.port, { headers });
      return [client, Number((await command.event("open")).id)];
    }
    const [first, id] = await open("198.51.100.7");
    using client = first;
    const url = `${address}connections/${id}/capture`;
    for (const query of ["?bytes=0", "?seconds=x", "?bytes=999999999999"]) {
      const { status, body } = await fetch(url + query, { method: "POST" });
      await body?.cancel();
      assertEquals(status, 400);
    }
    await exchange(client, new TextEncoder().encode("before it begins"));
    const response = await fetch(`${url}?seconds=60`, { method: "POST" });
    assertEquals(response.status, 200);
    const busy = await fetch(url, { method: "POST" });
    assertEquals(busy.status, 409);
    await busy.body?.cancel();
    const told = await command.event(
      "admin",
      ({ action }) => action === "capture",
    );
    assertEquals([told.id, told.seconds], [id, 60]);

    // Several at once, of connections of both threads.
    const others: [RawClient, number][] = [];
    using _others = {
      [Symbol.dispose]: () => others.map(([c]) => c[Symbol.dispose]()),
    };
    while (new Set(others.map(([, id]) => id % 2)).size < 2) {
      others.push(await open(`198.51.100.${100 + others.length}`));
    }
    // All but the last one are of one thread.
    const captured = [others.length - 2, others.length - 1];
    const captures = await Promise.all(
      captured.map((index) =>
        fetch(`${address}connections/${others[index]![1]}/capture`, {
          method: "POST",
        })
      ),
    );

    // More than a segment, and an odd length.
    await exchange(client, new TextEncoder().encode("hello"));
    await Promise.all(
      [client, ...others.map(([client]) => client)].map((client, index) =>
        exchange(client, new Uint8Array(40_001 + index).fill(0x61))
      ),
    );
    for (const one of [client, ...others.map(([client]) => client)]) {
      await one.sendClose(1000);
      await one.readClose();
    }
    const file = join(directory.path, "one.pcapng");
    await Deno.writeFile(file, await response.bytes());
    const packets = await tshark(
      file,
      ...["ip.src", "ip.dst", "tcp.dstport", "tcp.len", "tcp.seq"],
      ...["tcp.checksum.status", "ip.checksum.status", "tcp.flags.fin"],
    );
    const port = new URL(peer.host.replace("tcp:", "http:")).port;
    const sums = { "198.51.100.7": 0, "127.0.0.1": 0 };
    const seen = { "198.51.100.7": 1, "127.0.0.1": 1 };
    for (const [from, to, toPort, length, seq, tcp, ip] of packets) {
      const isClient = from === "198.51.100.7";
      assertEquals(to, isClient ? "127.0.0.1" : "198.51.100.7");
      if (isClient) assertEquals(toPort, port);
      // 1: good.
      assertEquals([tcp, ip], ["1", "1"]);
      const key = from as keyof typeof sums;
      assertEquals(Number(seq), seen[key]);
      seen[key] += Number(length);
      sums[key] += Number(length);
    }
    assertEquals(sums, { "198.51.100.7": 40_006, "127.0.0.1": 40_006 });
    assertEquals(
      packets.filter((fields) => /^(1|True)$/.test(fields[7]!)).length,
      2,
    );
    for (const [at, capture] of captures.entries()) {
      const index = captured[at]!;
      await Deno.writeFile(file, await capture.bytes());
      const sums: Record<string, number> = {};
      for (const [from, length] of await tshark(file, "ip.src", "tcp.len")) {
        sums[from!] = (sums[from!] ?? 0) + Number(length);
      }
      assertEquals(sums, {
        [`198.51.100.${100 + index}`]: 40_002 + index,
        "127.0.0.1": 40_002 + index,
      });
    }

    // It ends with as many bytes as it may have.
    const [other, next] = await open("198.51.100.8");
    using _other = other;
    const nextUrl = `${address}connections/${next}/capture`;
    const small = await fetch(`${nextUrl}?bytes=2000`, { method: "POST" });
    for (let count = 0; count < 10; count++) {
      await exchange(other, new Uint8Array(500));
    }
    assertEquals((await small.bytes()).length < 3000, true);

    // It ends with its reader, even if nothing goes through.
    const gone = await Download.start(
      Number(new URL(String(address)).port),
      formatPlain(`/connections/${next}/capture?seconds=3600`, {
        method: "POST",
        headers: { Host: "localhost", "Content-Length": "0" },
      }),
    );
    gone.reset();
    async function begin(query: string): Promise<Response> {
      for (;;) {
        const response = await fetch(nextUrl + query, { method: "POST" });
        if (response.status === 200) return response;
        assertEquals(response.status, 409);
        await response.body?.cancel();
      }
    }
    await (await begin("")).body!.cancel();

    // A reader that takes nothing holds up nobody, and loses nothing.
    const lazy = await begin("?bytes=1000000");
    const piece = new Uint8Array(100_000);
    for (let count = 0; count < 30; count++) await exchange(other, piece);
    const { length } = await lazy.bytes();
    assert(length > 800_000 && length < 1_000_500, `${length}`);
  },
  { needs: ["tshark", "linux"] },
);

Deno.test(needing(["linux", "tshark", "namespaces"], {
  name: "The command writes a capture for its owner, or says why it cannot",
  timeout: 180_000,
  async fn(): Promise<void> {
    await using peer = TestPeer.tcp(echo);
    await using directory = new TemporaryDirectory();
    await using command = await SharedCommand.start({
      host: peer.host,
      args: ["--admin", "127.0.0.1:0", "--ping", "0"],
    });
    const { address } = await command.event("admin");
    const { host } = new URL(String(address));
    using client = await RawClient.open(command.port);
    const { id } = await command.event("open");
    const capture = ["--admin", host, "capture", `${id}`];

    // Neither a file that others may read nor one behind a link is written to.
    const there = await directory.write("there", "as it was");
    const link = join(directory.path, "link");
    await Deno.symlink(there, link);
    for (const file of [there, link]) {
      const { code, stderr } = await runShared([...capture, "--file", file]);
      assertEquals(
        [code, stderr],
        [1, `websocksy: cannot write ${file}: it is there already\n`],
      );
    }
    assertEquals(await Deno.readTextFile(there), "as it was");

    // A disk that becomes full.
    const disk = join(directory.path, "disk");
    await Deno.mkdir(disk);
    const full = runCommand([...capture, "--file", join(disk, "one")], {
      wrapper: [
        ...["unshare", "--map-root-user", "--mount", "sh", "-c"],
        ...[`mount -t tmpfs -o size=64k tmpfs ${disk} && exec "$@"`, "sh"],
      ],
    });
    await exchangeUntil(client, full);
    const { code, stderr } = await full;
    assertEquals(code, 1);
    assertMatch(stderr, /^websocksy: cannot write .*one: No space left/);

    // A program that has seen enough, behind a pipe; the first connection may
    // still be captured.
    using another = await RawClient.open(command.port);
    capture[3] = `${(await command.event("open")).id}`;
    const piped = (await createCommand(capture, {})).spawn();
    const reading = piped.stderr.text();
    const reader = piped.stdout.getReader();
    assert((await reader.read()).value!.length > 0);
    await reader.cancel();
    await exchangeUntil(another, piped.status);
    assertEquals([(await piped.status).code, await reading], [0, ""]);

    // One that the server refuses leaves no file behind.
    const none = join(directory.path, "none");
    const refused = ["--admin", host, "capture", "9", "--file", none];
    assertEquals((await runShared(refused)).code, 1);
    await assertRejects(() => Deno.stat(none), Deno.errors.NotFound);

    async function exchangeUntil(
      client: RawClient,
      end: Promise<unknown>,
    ): Promise<void> {
      let isOver = false;
      end.finally(() => isOver = true);
      while (!isOver) await exchange(client, new Uint8Array(10_000));
    }
  },
}));
