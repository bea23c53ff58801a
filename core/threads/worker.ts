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
import type { Answers } from "../server/questions.ts";
import type { MetricsSnapshot } from "../telemetry/snapshot.ts";
import type { FromThread, ThreadOrder, ToThread } from "./messages.ts";

/** The members of a worker's global object that are needed. */
interface ThreadScope {
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
  postMessage(message: FromThread): void;
  close(): void;
}

/** Milliseconds that the end waits for the last lines of the log. */
const flushTimeout = 300;

/** Whether another thread has started this one. */
export function isThread(): boolean {
  return "DedicatedWorkerGlobalScope" in globalThis;
}

/**
 * Carries out the orders of the first thread.
 *
 * @param parts What the program can load.
 */
export function runThread(
  parts: ProgramParts & { readonly log: LogOutput },
): void {
  const scope = globalThis as unknown as ThreadScope;
  let program: Program | undefined;
  let lastGather = 0;
  const gathering = new Map<
    number,
    PromiseWithResolvers<readonly MetricsSnapshot[]>
  >();

  /** Has the first thread ask all of them. */
  function gatherMetrics(): Promise<readonly MetricsSnapshot[]> {
    const gather = ++lastGather;
    const gathered = Promise.withResolvers<readonly MetricsSnapshot[]>();
    gathering.set(gather, gathered);
    scope.postMessage({ gather });
    return gathered.promise;
  }

  async function carryOut(
    order: ThreadOrder,
  ): Promise<Answers[keyof Answers] | undefined> {
    switch (order.kind) {
      case "start": {
        const { options, port, memory, sockets, place } = order;
        const { accessMemory, peerMemory } = order;
        program = await Program.load(options, parts);
        outliveErrors(program.log);
        const counts = new SharedCounts(memory);
        await program.listen({
          port,
          counts,
          sockets: new SharedCounts(sockets),
          accessMemory,
          peerMemory,
          thread: place,
          gatherMetrics,
        });
        return undefined;
      }
      case "reload":
        // If it fails here, the log says so, and this thread keeps its
        // configuration.
        await program?.reload(() => order.options);
        return undefined;
      case "reopen":
        await program?.reopenLogs();
        return undefined;
      case "ask":
        return await program!.answer(order.question);
      case "leave":
        await program?.leave();
        return undefined;
      case "end":
        try {
          await program?.end();
        } finally {
          await parts.log.flush(flushTimeout);
        }
        return undefined;
    }
  }

  scope.onmessage = async ({ data }): Promise<void> => {
    if ("gathered" in data) {
      const gathered = gathering.get(data.gathered)!;
      gathering.delete(data.gathered);
      if (data.metrics !== undefined) gathered.resolve(data.metrics);
      else gathered.reject(new Error("a thread has failed"));
      return;
    }
    const { id, order } = data;
    try {
      scope.postMessage({ id, answer: await carryOut(order) });
    } catch (error) {
      scope.postMessage({ id, failure: describeFailure(error) });
    }
    if (order.kind === "end") scope.close();
  };
}
