import { assertRejects } from "@std/assert";
import { openRedis } from "../../../core/redis/connection.ts";
import { parseRedisUrl } from "../../../core/redis/location.ts";
import { readAll, TestPeer } from "../../support/peer.ts";

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
