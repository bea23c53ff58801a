/**
 * A service or a client that runs as a process of its own, on another host than
 * the bridge: `deno run -A tests/support/far_host.ts ROLE ...`.
 *
 * @module
 */

import { RawClient } from "./client.ts";
import { connectionsOf, echo } from "./peer.ts";

const roles: Readonly<
  Record<string, (hostname: string, port: number) => Promise<void>>
> = { service, deaf, client };

/** Sends back what it gets. */
async function service(hostname: string, port: number): Promise<void> {
  const listener = Deno.listen({ hostname, port });
  say(`ready ${listener.addr.port}`);
  for await (const connection of connectionsOf(listener)) {
    echo(connection).catch(() => {});
  }
}

/** Listens with a backlog of 5, and accepts nobody. */
async function deaf(hostname: string, port: number): Promise<void> {
  const listener = Deno.listen({ hostname, port, tcpBacklog: 5 });
  say(`ready ${listener.addr.port}`);
  await forever();
}

/** Opens a WebSocket, sends a message, and says nothing more. */
async function client(hostname: string, port: number): Promise<void> {
  const client = new RawClient(await Deno.connect({ hostname, port }));
  await client.upgrade();
  await client.send("served");
  say("ready");
  await forever();
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Until the test ends this process. */
function forever(): Promise<never> {
  setInterval(() => {}, 60_000);
  return new Promise(() => {});
}

if (import.meta.main) {
  const [role = "", hostname = "", port = "0"] = Deno.args;
  await roles[role]!(hostname, Number(port));
}
