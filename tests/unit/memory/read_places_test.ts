/** A connection that reads much frees its place when it ends. */

import { assertEquals } from "@std/assert";
import { once } from "node:events";
import { HttpConnection } from "../../../core/websocket/stream/http_connection.ts";
import { PluginFramer } from "../../../core/plugins/framer.ts";
import type { PluginSupervisor } from "../../../core/plugins/supervisor.ts";
import { ReadSize } from "../../../core/memory/read_buffer.ts";

/** More than there are places. */
const many = 70;

/** Fails if there is no place left. */
function assertPlace(): void {
  const size = new ReadSize();
  for (let turn = 0; turn < 5; turn++) size.follow(size.bytes + 1);
  size.follow(size.bytes - 1);
  assertEquals(size.bytes, 256 * 1024);
  size.release();
}

Deno.test("HttpConnection leaves its place for large reads when it ends", async () => {
  for (let turn = 0; turn < many; turn++) {
    let reads = 0;
    const connection = new HttpConnection({
      connection: {
        read: (buffer: Uint8Array) => {
          reads++;
          if (reads < 6) return Promise.resolve(buffer.length);
          return Promise.resolve(reads === 6 ? 60_000 : null);
        },
        close: () => {},
        remoteAddr: { transport: "unix" },
        localAddr: { transport: "unix" },
      } as unknown as Deno.Conn,
      keepAlive: undefined,
      reader: { used: 0, quick: 0 },
      onReleased: () => {},
    });
    connection.resume();
    await once(connection, "end");
    connection.destroy();
  }
  assertPlace();
});

Deno.test("PluginFramer leaves its place for large reads when it ends", async () => {
  const link = {
    call: (name: string) =>
      Promise.resolve(name === "open" ? { encodes: false } : { numbers: [] }),
    tell: () => {},
  };
  const process = {
    running: () => Promise.resolve(link),
    retain: () => {},
    release: () => {},
    options: { maxMessage: 1 },
  } as unknown as PluginSupervisor;
  for (let turn = 0; turn < many; turn++) {
    const framer = await PluginFramer.open(process, "test", "");
    for (let read = 0; read < 4; read++) {
      await framer.push(framer.room(1).length);
    }
    await framer.push(framer.room(1).length - 1);
    framer.close();
  }
  assertPlace();
});
