/**
 * The load generator, a process of its own: clients on its main thread, the
 * peer in a worker. Its first line on stdout is the {@linkcode PeerReady} of
 * its peer; after that it takes a {@linkcode LoadRequest} as a line of JSON on
 * stdin and answers with a {@linkcode LoadAnswer}. It ends with stdin.
 *
 * @module
 */

import { jsonLine, readLines } from "./lines.ts";
import { type LoadRequest, measure, type Measurement } from "./measure.ts";
import { PeerLink } from "./peer_link.ts";

/** A measurement, or why there is none. */
export type LoadAnswer =
  | { readonly measurement: Measurement }
  | { readonly error: string };

if (import.meta.main) {
  // An interrupt from the terminal reaches this process, too; the benchmark
  // ends it when it has cleaned up.
  Deno.addSignalListener("SIGINT", () => {});
  await main();
  Deno.exit(0);
}

async function main(): Promise<void> {
  const peer = await PeerLink.start();
  const output = Deno.stdout.writable.getWriter();
  await output.write(jsonLine(peer.ready));
  for await (const line of readLines(Deno.stdin.readable)) {
    await output.write(jsonLine(await answer(JSON.parse(line), peer)));
  }
}

async function answer(
  request: LoadRequest,
  peer: PeerLink,
): Promise<LoadAnswer> {
  try {
    return { measurement: await measure(request, peer) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
