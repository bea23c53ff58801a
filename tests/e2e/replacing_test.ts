/**
 * One version takes over from another.
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { RawClient } from "../support/client.ts";
import { stdArguments } from "../../tools/std.ts";
import { root, testEngines } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { runShared, SharedCommand } from "../support/shared_command.ts";

Deno.test(needing(["namespaces", "ip", "linux"], {
  name: "websocksy hands its port over without a refused or reset connection",
  async fn(): Promise<void> {
    const deno = [
      ...[Deno.execPath(), "run", "--no-check", "-A"],
      ...[`--config=${join(root, "deno.json")}`, ...await stdArguments()],
      join(root, "tests/support/replacement.ts"),
    ];
    // In a network of its own, the kernel gives what the old one has not
    // accepted to the new one.
    const migrate = "/proc/sys/net/ipv4/tcp_migrate_req";
    const { success, stdout, stderr } = await new Deno.Command("unshare", {
      args: [
        ...["--map-root-user", "--net", "sh", "-c"],
        `ip link set lo up && echo 1 >${migrate} && exec "$@"`,
        ...["sh", ...deno],
      ],
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    assert(success, decoder.decode(stderr));
    assertMatch(decoder.decode(stdout), /^\d{3,} connections\n$/);
  },
}));

testEngines(
  "websocksy leaves at once on SIGUSR2 if nobody is there",
  async (_, engine) => {
    const args = ["--reuse-port", "true"];
    await using command = await SharedCommand.start({ engine, args });
    command.kill("SIGUSR2");
    await command.event("leave");
    await command.event("shutdown");
    assertEquals((await command.status).code, 0);
  },
  { needs: ["unix"] },
);

testEngines(
  "websocksy that leaves ends on SIGTERM, and after drain-timeout",
  async (_, engine) => {
    await using peer = TestPeer.tcp(echo);
    for (
      const [timeout, signal] of [["60", "SIGTERM"], [
        "0.2",
        undefined,
      ]] as const
    ) {
      await using command = await SharedCommand.start({
        engine,
        host: peer.host,
        args: [
          ...["--reuse-port", "true", "--drain-timeout", timeout],
          ...["--admin", "127.0.0.1:0"],
        ],
      });
      const { address } = await command.event("admin");
      using client = await RawClient.open(command.port);
      command.kill("SIGUSR2");
      await command.event("leave");
      // With `native`, Deno closes the WebSockets by itself.
      if (signal !== undefined && engine === "stream") {
        // Operators see that it takes none any more, and cannot change that.
        let status = 200;
        while (status !== 503) {
          const health = await fetch(`${address}health`);
          ({ status } = health);
          assertMatch(await health.text(), /"connections":1/);
        }
        const resume = await fetch(`${address}resume`, { method: "POST" });
        assertEquals(
          [resume.status, await resume.text()],
          [409, "the server has stopped listening\n"],
        );
      }
      if (signal !== undefined) command.kill(signal);
      assertEquals((await client.readClose()).code, 1001);
      await client.sendClose(1001);
      assertEquals((await command.status).code, 0);
    }
  },
  { needs: ["unix"] },
);

Deno.test("websocksy without reuse-port shares its port with nobody", async () => {
  await using command = await SharedCommand.start();
  const { code, stderr } = await runShared([
    ...["-l", "127.0.0.1", "-p", `${command.port}`, "--reuse-port", "true"],
  ]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "in use");
});
