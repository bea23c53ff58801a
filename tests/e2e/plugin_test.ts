/**
 * Plugins of the real command: replaced while it serves, and dying in the middle
 * of traffic.
 */

import { assert, assertEquals } from "@std/assert";
import { pathToFileURL } from "node:url";
import { opcodes, RawClient } from "../support/client.ts";
import { Command, testEngines } from "../support/command.ts";
import { echo, TestPeer } from "../support/peer.ts";
import { TemporaryDirectory } from "../support/service.ts";
import { framingPlugin, plugin } from "../support/plugin_bed.ts";
import {
  countDescriptors,
  countWorkers,
  descriptorsReturn,
  eventually,
} from "../support/process_resources.ts";

/** A backend whose connections are framed as one type, and which holds a line as long as it lives. */
function lifelinePlugin(lifeline: TestPeer, type: "text" | "binary"): string {
  const port = Number(new URL(lifeline.host).port);
  return plugin(`
    await Deno.connect({ hostname: "127.0.0.1", port: ${port} });
    export function createBackend() {
      let address;
      return {
        configure(option, value) { address = value; },
        query() { return { address, framing: "whole" }; },
      };
    }
    export const framings = {
      whole: () => ({
        frame: (data) => ({ length: data.length, type: "${type}" }),
      }),
    };
  `);
}

/** Waits until the other side ends. */
async function ended(connection: Deno.Conn): Promise<void> {
  assertEquals(await connection.read(new Uint8Array(1)), null);
}

testEngines(
  "websocksy replaces a plugin on SIGHUP, and ends the old one with its last connection",
  async (_, engine) => {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    await using lifeline = TestPeer.tcp();
    const old = lifelinePlugin(lifeline, "text");
    const module = await directory.write("plugin.js", old);
    const file = await directory.write(
      "a.ini",
      `
[core]
backend = mine
[plugin mine]
url = ${pathToFileURL(module)}
net = ${lifeline.host.slice("tcp://".length)}
[backend]
address = ${peer.host}
`,
    );
    await using command = await Command.start({ file, engine });
    const oldLife = await lifeline.next();
    using first = await RawClient.open(command.port);
    using second = await RawClient.open(command.port);

    async function reload(level: string): Promise<void> {
      command.kill("SIGHUP");
      await command.event("reload", (entry) => entry.level === level);
    }
    // One that cannot be loaded changes nothing.
    await directory.write("plugin.js", "export const apiVersion = 1;");
    await reload("error");
    using third = await RawClient.open(command.port);
    await directory.write("plugin.js", lifelinePlugin(lifeline, "binary"));
    await reload("info");
    const newLife = await lifeline.next();

    using renewed = await RawClient.open(command.port);
    await renewed.send("new");
    assertEquals(await renewed.read(), new TextEncoder().encode("new"));
    // The old one serves its connections to the end of the last one.
    let isOver = false;
    const over = ended(oldLife).then(() => isOver = true);
    for (const client of [first, second, third]) {
      await client.send("old");
      assertEquals(await client.read(), "old");
      assert(!isOver);
      await client.sendClose(1000);
      assertEquals((await client.readClose()).code, 1000);
    }
    await over;
    await renewed.send("on");
    assertEquals(await renewed.read(), new TextEncoder().encode("on"));
    command.kill("SIGTERM");
    assertEquals((await renewed.readClose()).code, 1001);
    await renewed.sendClose(1001);
    await ended(newLife);
    assertEquals((await command.status).code, 0);
  },
);

/** Connections that are framed by the plugin that dies. */
const victims = 20;

/** What ends a plugin within a call. */
const deaths: Readonly<Record<string, string>> = {
  "ends itself": `Deno.exit(3)`,
  "runs out of memory":
    `for (const all = [];;) all.push(new Array(100_000).fill(0.5))`,
  "never returns": `for (;;)`,
};

/** Sends and gets back messages until the WebSocket is closed. */
async function exchangeToEnd(client: RawClient): Promise<number> {
  for (;;) {
    await client.send("x".repeat(1000));
    let echoed = 0;
    while (echoed < 1000) {
      const frame = await client.readFrame();
      if (frame?.opcode === opcodes.close) {
        await client.sendClose(1011);
        return frame.payload[0]! << 8 | frame.payload[1]!;
      }
      echoed += frame!.payload.length;
    }
  }
}

testEngines(
  "websocksy outlives a plugin's worker that dies in the middle of traffic",
  async (t, engine) => {
    await using directory = new TemporaryDirectory();
    await using peer = TestPeer.tcp(echo);
    for (const [name, death] of Object.entries(deaths)) {
      await t.step(name, async () => {
        const module = await directory.write(
          "plugin.js",
          framingPlugin(`
            if (data[0] === 33) { ${death}; }
            return { length: data.length, type: "binary" };
          `),
        );
        await directory.write("builtin", `${peer.host} *`);
        await directory.write("plugin", `${peer.host} * test`);
        await using command = await Command.start({
          engine,
          args: [
            ...["--plugin", `mine=${module}`, "--plugin-timeout", "1"],
            ...["-b", "file", "-c", `path=${directory.path}`],
            ...["-c", "expression=%endpoint%"],
          ],
        });
        const { port, pid } = command;
        const target = "/plugin";
        const descriptors = countDescriptors(pid);
        const workers = countWorkers(pid);
        assert(workers > 0);
        using stack = new DisposableStack();
        const open = async (target: string): Promise<RawClient> =>
          stack.use(await RawClient.open(port, { target }));
        const bystander = await open("/builtin");
        const codes: Promise<number>[] = [];
        while (codes.length < victims) {
          codes.push(exchangeToEnd(await open(target)));
        }
        await (await open(target)).send("!");
        assertEquals(await Promise.all(codes), Array(victims).fill(1011));
        for (let closed = 0; closed < victims; closed++) {
          const { code, reason } = await command.event("close");
          assertEquals([code, reason], [1011, "framing function failed"]);
        }
        await bystander.send("untouched");
        assertEquals(await bystander.read(), "untouched");
        await command.event(
          "plugin",
          ({ text }) => /runs again/.test(`${text}`),
        );
        const again = await open(target);
        await again.send("again");
        assertEquals(
          await again.read(),
          new TextEncoder().encode("again"),
        );
        stack.dispose();
        await descriptorsReturn(pid, descriptors);
        await eventually(
          `the workers return to ${workers}`,
          () => countWorkers(pid),
          (count) => count === workers,
        );
      });
    }
  },
  { needs: ["linux"], timeout: 60_000 },
);
