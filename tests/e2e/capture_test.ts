/** Captures of connections, as Wireshark's command reads them. */

import { assertEquals } from "@std/assert";
import { RawClient } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";

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
    using client = await RawClient.open(command.port, {
      headers: { "X-Forwarded-For": "198.51.100.7" },
    });
    const { id } = await command.event("open");
    const url = `${address}connections/${id}/capture`;
    for (const query of ["?bytes=0", "?seconds=x", "?bytes=999999999999"]) {
      const { status, body } = await fetch(url + query, { method: "POST" });
      await body?.cancel();
      assertEquals(status, 400);
    }
    const before = "before it begins";
    await client.send(before);
    await client.read();
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

    // More than a segment, and an odd length.
    const large = new Uint8Array(40_001).fill(0x61);
    await client.send("hello");
    await client.read();
    await client.send(large);
    for (let left = large.length; left > 0;) {
      left -= (await client.read()).length;
    }
    await client.sendClose(1000);
    await client.readClose();
    const file = `${directory.path}/one.pcapng`;
    await Deno.writeFile(file, await response.bytes());

    const { stdout, stderr, code } = await new Deno.Command("tshark", {
      args: [
        ...["-r", file, "-o", "tcp.check_checksum:TRUE"],
        ...[
          "-o",
          "ip.check_checksum:TRUE",
          "-T",
          "fields",
          "-E",
          "separator=,",
        ],
        ...["ip.src", "ip.dst", "tcp.dstport", "tcp.len", "tcp.seq"]
          .flatMap((field) => ["-e", field]),
        ...["tcp.checksum.status", "ip.checksum.status", "tcp.flags.fin"]
          .flatMap((field) => ["-e", field]),
      ],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const packets = new TextDecoder().decode(stdout).trim().split("\n")
      .map((line) => line.split(","));
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

    // It ends with as many bytes as it may have.
    using other = await RawClient.open(command.port);
    const next = (await command.event("open")).id;
    const small = await fetch(
      `${address}connections/${next}/capture?bytes=2000`,
      { method: "POST" },
    );
    for (let count = 0; count < 10; count++) {
      await other.send(new Uint8Array(500));
      await other.read();
    }
    assertEquals((await small.bytes()).length < 3000, true);
  },
  { needs: ["tshark", "linux"] },
);
