import { assertRejects } from "@std/assert";
import { openRedis } from "../../../core/redis/connection.ts";
import { parseRedisUrl } from "../../../core/redis/location.ts";
import { needing } from "../../support/needing.ts";
import { readAll, TestPeer } from "../../support/peer.ts";
import { FullListener } from "../../support/full_listener.ts";

Deno.test("openRedis() keeps no socket of a server that says nothing", async (t) => {
  for (const scheme of ["redis", "rediss"]) {
    await t.step(scheme, async () => {
      await using peer = TestPeer.tcp();
      const { port } = new URL(peer.host);
      const url = `${scheme}://:secret@127.0.0.1:${port}`;
      await assertRejects(
        () => openRedis(parseRedisUrl(url), { timeout: 0.2 }),
        Error,
        "it takes no connection for 0.2 seconds",
      );
      // It is told: what was said to it ends.
      await readAll(await peer.next(), () => {});
    });
  }
});

/** Whether this process waits for a server on the port to take a connection. */
function isConnecting(port: number): boolean {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return Deno.readTextFileSync("/proc/net/tcp").split("\n").some((line) => {
    const [, , to = "", state] = line.trim().split(/\s+/);
    return to.endsWith(remote) && state === "02";
  });
}

Deno.test(needing(["linux"], {
  name: "openRedis() gives up a connection that is not made in time",
  timeout: 60_000,
  async fn(): Promise<void> {
    using full = await FullListener.start();
    const { port } = full;
    const opening = openRedis(parseRedisUrl(`redis://127.0.0.1:${port}`), {
      timeout: 0.2,
    });
    while (!isConnecting(port)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await assertRejects(() => opening, Error, "it takes no connection");
    // The system would go on for two minutes.
    while (isConnecting(port)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
}));
