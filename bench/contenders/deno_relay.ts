/**
 * A plain TCP relay in Deno, to be measured beside websocksy: the cost of reads
 * and writes of `Deno.Conn` alone.
 *
 *     deno run --allow-net deno_relay.ts PORT PEER-PORT [CERTIFICATE KEY]
 *
 * @module
 */

import { writeAll } from "../peer.ts";

const hostname = "127.0.0.1";
/** Size of the buffer for reads, in bytes. */
const READ_SIZE = 256 * 1024;

const [port, peerPort] = Deno.args.map(Number);
const [certificate, key] = Deno.args.slice(2);
const address = { hostname, port: port! };
const listener: Deno.Listener = certificate === undefined
  ? Deno.listen(address)
  : Deno.listenTls({
    ...address,
    cert: Deno.readTextFileSync(certificate),
    key: Deno.readTextFileSync(key!),
  });
for await (const client of listener) serve(client);

async function serve(client: Deno.Conn): Promise<void> {
  const peer = await Deno.connect({ hostname, port: peerPort! });
  if ("setNoDelay" in client) (client as Deno.TcpConn).setNoDelay(true);
  peer.setNoDelay(true);
  await Promise.allSettled([pass(client, peer), pass(peer, client)]);
  client.close();
  peer.close();
}

async function pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(READ_SIZE);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) return await to.closeWrite();
    await writeAll(to, buffer.subarray(0, count));
  }
}
