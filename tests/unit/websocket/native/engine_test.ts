import { assertLess } from "@std/assert";
import { setImmediate } from "node:timers";
import { defaultCoreConfig } from "../../../../core/config/options.ts";
import { nativeEngine } from "../../../../core/websocket/native/engine.ts";
import { readAll, writeAll } from "../../../support/peer.ts";

Deno.test("native: requests one behind the other leave turns to others", async () => {
  let handled = 0;
  const server = await nativeEngine.listen({
    listen: { transport: "tcp", hostname: "127.0.0.1" },
    port: 0,
    headTimeout: 10,
    limits: () => defaultCoreConfig,
    handle(): Promise<Response> {
      handled++;
      return Promise.resolve(new Response("x"));
    },
    onError(error): void {
      throw error;
    },
  });
  const count = 500;
  const client = await Deno.connect({
    hostname: "127.0.0.1",
    port: server.port,
  });
  const reading = readAll(client, () => {});
  await writeAll(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(count));
  let most = 0;
  while (handled < count) {
    const before = handled;
    await new Promise<void>((resolve) => setImmediate(resolve));
    most = Math.max(most, handled - before);
  }
  await client.closeWrite();
  await reading;
  client.close();
  await server.close();
  // Otherwise, as many as have come.
  assertLess(most, 5);
});
