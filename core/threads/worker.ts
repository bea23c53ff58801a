/**
 * A thread that serves clients beside the first one.
 *
 * @module
 */

import { describeFailure } from "../cli/describe.ts";
import type { LogOutput } from "../log/output.ts";
import { outliveErrors } from "../log/uncaught_errors.ts";
import { Program, type ProgramParts } from "../program.ts";
import { SharedCounts } from "./shared_counts.ts";
import type { FromThread, ThreadOrder, ToThread } from "./messages.ts";

/** The global object of a worker, as far as it is needed. */
interface ThreadScope {
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
  postMessage(message: FromThread): void;
  close(): void;
}

/** Milliseconds in which the last lines of the log have to be written. */
const flushTimeout = 300;

/** Whether this is a thread that another one has started. */
export function isThread(): boolean {
  return "DedicatedWorkerGlobalScope" in globalThis;
}

/**
 * Does what the first thread orders.
 *
 * @param parts What there is to load.
 */
export function runThread(
  parts: ProgramParts & { readonly log: LogOutput },
): void {
  const scope = globalThis as unknown as ThreadScope;
  let program: Program | undefined;

  async function carryOut(order: ThreadOrder): Promise<void> {
    switch (order.kind) {
      case "start": {
        const { settings, port, memory, sockets, place } = order;
        program = await Program.load(settings, parts);
        outliveErrors(program.log);
        const counts = new SharedCounts(memory);
        await program.listen({
          port,
          counts,
          sockets: new SharedCounts(sockets),
          thread: place,
        });
        return;
      }
      case "reload":
        // If it fails here, the log has been told, and this thread goes on as
        // it was.
        await program?.reload(() => order.settings);
        return;
      case "reopen":
        await parts.log.reopen();
        return;
      case "end":
        try {
          await program?.end();
        } finally {
          await parts.log.flush(flushTimeout);
        }
    }
  }

  scope.onmessage = async ({ data: { id, order } }): Promise<void> => {
    try {
      await carryOut(order);
      scope.postMessage({ id });
    } catch (error) {
      scope.postMessage({ id, failure: describeFailure(error) });
    }
    if (order.kind === "end") scope.close();
  };
}
