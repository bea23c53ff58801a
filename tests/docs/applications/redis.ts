/** Redis and a page that speaks RESP, as `docs/applications/redis.md` says. */

import { assertEquals, assertRejects } from "@std/assert";
import { freePort } from "../../support/peer.ts";
import type { Application, Bed } from "./bed.ts";
import { Example } from "./example.ts";

/** Redis in a page. */
export const redis: Application = {
  name: "A page counts its visits in Redis",
  programs: ["redis-server"],
  test: testRedis,
};

async function testRedis({ engine, context }: Bed): Promise<void> {
  await using example = await Example.open("redis", { "6379": freePort() });
  await using _server = await example.start(
    "redis-server",
    /Ready to accept connections|ready to accept connections at/,
  );
  await using _bridge = await example.serve(engine);
  const page = await example.visit(context);
  await page.getByText("This page was opened 1 times").waitFor();
  await page.reload();
  await page.getByText("This page was opened 2 times").waitFor();

  // `ask()` is the page's own.
  assertEquals(
    await page.evaluate(`Promise.all([
      ask("GET", "visits:page"),
      ask("GET", "visits:none"),
      ask("INCR", "visits:page"),
    ])`),
    ["2", null, 3],
  );
  for (const command of [`"FLUSHALL"`, `"GET", "secret"`]) {
    await assertRejects(
      () => page.evaluate(`ask(${command})`),
      Error,
      "NOPERM",
    );
  }
}
