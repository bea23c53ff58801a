/**
 * One instance of the command takes over from another, under clients that connect
 * all the time. It runs in a network of its own, prints how many connections
 * there were, and fails if one of them did.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { RawClient } from "./client.ts";
import { Command } from "./command.ts";
import { echo, TestPeer } from "./peer.ts";

/** How many come after the old instance was told to leave, at least. */
const later = Number(Deno.args[0] ?? 300);

await using peer = TestPeer.tcp(echo);
const { host } = peer;
const args = ["--reuse-port", "true", "--drain-timeout", "60", "-k", "0"];
await using old = await Command.start({
  host,
  args: [...args, "--threads", "2"],
});
const { port } = old;
using kept = await RawClient.open(port);
let isOver = false;
let made = 0;

async function connect(): Promise<void> {
  while (!isOver) {
    using client = await RawClient.open(port);
    await client.send("a");
    assertEquals(await client.read(), "a");
    made++;
  }
}

const connecting = Promise.all(Array.from({ length: 8 }, connect));
// Of two ports, the later one counts.
await using next = await Command.start({
  host,
  args: [...args, "-p", `${port}`],
});
await next.event("open");
old.kill("SIGUSR2");
await old.event("leave");
const before = made;
while (made < before + later) await next.event("close");
isOver = true;
await connecting;

// What is open goes on, and the old one ends with it.
await kept.send("still here");
assertEquals(await kept.read(), "still here");
await kept.sendClose(1000);
assertEquals((await kept.readClose()).code, 1000);
kept[Symbol.dispose]();
assertEquals((await old.status).code, 0);
using last = await RawClient.open(port);
await last.send("new");
assertEquals(await last.read(), "new");
// deno-lint-ignore no-console -- It is for the test that has started it.
console.log(`${made} connections`);
