/** What `node:http` is kept from, beside what it is used for. */

import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { HttpConnection } from "../../../../core/websocket/stream/http_connection.ts";
import { createStreamServer } from "../../../../core/websocket/stream/http_server.ts";

/** Lets this thread do nothing else. */
function block(milliseconds: number): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, milliseconds);
}

Deno.test("createStreamServer() reads what came while the process stood still before it looks at the clock", async () => {
  const http = createStreamServer({
    headTimeout: 2,
    handle: () => Promise.resolve(new Response("refused", { status: 408 })),
  });
  http.server.on("request", (_, response) => response.end("served"));
  const isHalf = Promise.withResolvers<void>();
  const rest = Promise.withResolvers<string>();
  const answered = Promise.withResolvers<string>();
  const parts = ["GET / HTTP/1.1\r\nHost: localhost\r\n", rest.promise];
  const connection = new HttpConnection({
    connection: {
      async read(buffer: Uint8Array): Promise<number | null> {
        const part = parts.shift();
        if (part === undefined) return null;
        return new TextEncoder().encodeInto(await part, buffer).written;
      },
      write(bytes: Uint8Array): Promise<number> {
        answered.resolve(new TextDecoder().decode(bytes));
        return Promise.resolve(bytes.length);
      },
      close(): void {},
      remoteAddr: { transport: "unix" },
      localAddr: { transport: "unix" },
    } as unknown as Deno.Conn,
    keepAlive: undefined,
    reader: { used: 0, quick: 0 },
    onReleased: () => {},
  });
  http.accept(connection);
  // The parser listens before this, and has it then.
  connection.once("data", () => isHalf.resolve());
  await isHalf.promise;
  // The server looks at the clock each half second, and what arrives is read
  // after all timers that are due.
  setTimeout(() => setImmediate(() => rest.resolve("\r\n")), 600);
  block(2300);
  const [line] = (await answered.promise).split("\r\n");
  assertEquals(line, "HTTP/1.1 200 OK");
  await http.close();
});
