/** What the command tells the service manager that started it. */

import { assertEquals, assertMatch } from "@std/assert";
import { Command } from "../support/command.ts";
import { needing } from "../support/needing.ts";
import { join } from "node:path";
import { TemporaryDirectory } from "../support/service.ts";

/** Listens as a service manager does. */
function listen(
  path: string,
): Disposable & { readonly socket: Deno.DatagramConn } {
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  return { socket, [Symbol.dispose]: () => socket.close() };
}

Deno.test(needing(["linux"], {
  name: "websocksy tells a service manager when it is ready, reloads and stops",
  timeout: 180_000,
  async fn(t: Deno.TestContext): Promise<void> {
    await using directory = new TemporaryDirectory();
    const file = await directory.write("a.ini", "[core]\nping = 30\n");
    const path = join(directory.path, "notify");
    const places = { path, "@abstract": `\0${path}` };
    for (const [name, place] of Object.entries(places)) {
      await t.step(name, async () => {
        using manager = listen(place);
        const decoder = new TextDecoder();
        async function told(): Promise<string> {
          for (;;) {
            const [bytes] = await manager.socket.receive();
            const [line] = decoder.decode(bytes).split("\n");
            if (line !== "WATCHDOG=1") return line!;
          }
        }
        await using command = await Command.start({
          file,
          env: { NOTIFY_SOCKET: place.replace("\0", "@") },
        });
        assertEquals(await told(), "READY=1");
        command.kill("SIGHUP");
        assertEquals(await told(), "RELOADING=1");
        assertEquals(await told(), "READY=1");
        await directory.write("a.ini", "[core]\nping = x\n");
        command.kill("SIGHUP");
        assertEquals(await told(), "RELOADING=1");
        // The old configuration is in use, which the log says.
        assertEquals(await told(), "READY=1");
        await directory.write("a.ini", "[core]\nping = 30\n");
        command.kill("SIGTERM");
        assertEquals(await told(), "STOPPING=1");
        assertEquals((await command.status).code, 0);
      });
    }
    await t.step("WATCHDOG_USEC", async () => {
      using manager = listen(`\0${path}`);
      await using _command = await Command.start({
        env: { NOTIFY_SOCKET: `@${path}`, WATCHDOG_USEC: "200000" },
      });
      for (let count = 0; count < 3;) {
        const [bytes] = await manager.socket.receive();
        if (new TextDecoder().decode(bytes) === "WATCHDOG=1\n") count++;
      }
    });
    await t.step("sockets of a unit", async () => {
      // As systemd does, it sets the id of the process that it starts.
      await using command = await Command.start({
        wrapper: [
          ...["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"],
        ],
      });
      const { error } = await command.event("service-manager");
      assertMatch(String(error), /^sockets that systemd has opened/);
    });
    await t.step("nobody there", async () => {
      const none = join(directory.path, "none");
      await using command = await Command.start({
        env: { NOTIFY_SOCKET: none },
      });
      const { level, error } = await command.event("service-manager");
      assertEquals(level, "warn");
      const why = `Cannot tell READY to NOTIFY_SOCKET "${none}": `;
      assertEquals(String(error).slice(0, why.length), why);
    });
  },
}));
