/**
 * A peer as a process of its own, which nothing slows down that a test does:
 * it prints its port, takes one connection, and prints what came over it.
 *
 * @module
 */

import { createHash } from "node:crypto";

if (import.meta.main) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  print(`listening ${listener.addr.port}`);
  using connection = await listener.accept();
  const hash = createHash("sha256");
  const buffer = new Uint8Array(256 * 1024);
  let bytes = 0;
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) break;
    hash.update(buffer.subarray(0, count));
    bytes += count;
  }
  print(`received ${bytes} ${hash.digest("hex")}`);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
