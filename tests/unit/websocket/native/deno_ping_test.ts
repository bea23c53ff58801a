import { assert, assertEquals } from "@std/assert";
import { DenoPing } from "../../../../core/websocket/native/deno_ping.ts";
import { opcodes, RawClient } from "../../../support/client.ts";

Deno.test({
  name: "DenoPing keeps a client that does not answer, and has it pinged",
  permissions: { net: true },
  // This version of Deno can be made to; another may not, and the test tells.
  async fn(): Promise<void> {
    const ended = Promise.withResolvers<CloseEvent>();
    let hold: ReturnType<typeof setInterval> | undefined;
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => {
        const { socket, response } = Deno.upgradeWebSocket(request, {
          idleTimeout: 0.4,
        });
        const ping = new DenoPing(socket);
        socket.onopen = () => hold = setInterval(() => ping.hold(), 50);
        socket.onclose = (event) => ended.resolve(event);
        return response;
      },
    );
    using client = await RawClient.open(server.addr.port);
    for (let pings = 0; pings < 5; pings++) {
      const frame = await client.readFrame();
      assertEquals(frame?.opcode, opcodes.ping, `after ${pings} pings`);
    }
    assert(hold !== undefined);
    clearInterval(hold);
    assertEquals((await client.readToClose())?.code, 1001);
    assertEquals((await ended.promise).code, 1001);
    await client.sendClose(1001);
    client[Symbol.dispose]();
  },
});
