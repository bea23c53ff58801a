/**
 * The load generator, a process of its own: clients on its main thread, the
 * peer in a worker. Its argument is a directory for the peer's files. Each line
 * of JSON on stdin is a {@linkcode LoadOrder}, which it answers with a line on
 * stdout, a {@linkcode LoadAnswer}. It ends with stdin.
 *
 * @module
 */

import { jsonLine, readLines } from "./lines.ts";
import { type LoadRequest, measure, type Measurement } from "./measure.ts";
import { PeerLink } from "./peer_link.ts";
import type { Service, ServiceAddress } from "./services.ts";

/** What the generator is to do. */
export type LoadOrder =
  | { readonly serve: Service }
  | { readonly measure: LoadRequest };

/** What came of it. */
export type LoadAnswer =
  | { readonly served: ServiceAddress }
  | { readonly measured: Measurement }
  | { readonly error: string };

if (import.meta.main) {
  // An interrupt from the terminal reaches this process, too; the benchmark
  // ends it when it has cleaned up.
  Deno.addSignalListener("SIGINT", () => {});
  await main(Deno.args[0]!);
  Deno.exit(0);
}

async function main(directory: string): Promise<void> {
  const peer = await PeerLink.start(directory);
  const output = Deno.stdout.writable.getWriter();
  for await (const line of readLines(Deno.stdin.readable)) {
    await output.write(jsonLine(await answer(JSON.parse(line), peer)));
  }
}

async function answer(order: LoadOrder, peer: PeerLink): Promise<LoadAnswer> {
  try {
    return "serve" in order
      ? { served: await peer.serve(order.serve) }
      : { measured: await measure(order.measure, peer) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
