/**
 * The sandbox of a plugin that runs in a worker: see `./worker.ts` for how it is
 * started.
 *
 * @module
 */

import { Script } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import type { Answer, Call } from "./messages.ts";
import { createSandbox, toText } from "./sandbox.ts";
import {
  copiedBytes,
  type WorkerAnswers,
  type WorkerStart,
} from "./worker_messages.ts";

/** Milliseconds after which answers no longer wait for the rest of their batch. */
const answerWait = 20;

const { port, maxMessage, timeout, grants } = workerData as WorkerStart;
const post = port.postMessage.bind(port);
const tellWorker = parentPort!.postMessage.bind(parentPort);
const now = performance.now.bind(performance);
const perform = createSandbox({
  maxMessage,
  grants,
  // Nothing limits its memory here.
  wasm: false,
  kept: ["performCalls"],
  onLine: (line) => tellWorker({ line }),
  onAnswer: answer,
  onFailure: (why) => tellWorker({ why }),
});

let answers: Answer[] = [];
/** Memory that came with calls, and is of use for the next ones. */
let spares: ArrayBuffer[] = [];
let flushIsDue = false;

/**
 * Makes calls, and gives up on one that does not return. The server has done so
 * before, but Deno (2.9) does not end a thread that is caught in a loop: it would
 * take a processor for good. What loops after an `await` still does.
 */
function receive(batch: readonly Call[]): void {
  pending = batch;
  next = 0;
  try {
    while (next < batch.length) guarded.runInThisContext({ timeout: longest });
  } catch (error) {
    port.onmessage = null;
    const { code } = Object(error);
    tellWorker({ why: code === timedOut ? tooLong : toText(error) });
  }
}

let pending: readonly Call[] = [];
let next = 0;
/** The server looks at the time itself, and is to be the first to tell. */
const longest = Math.ceil(timeout * 1.5);
const timedOut = "ERR_SCRIPT_EXECUTION_TIMEOUT";
const tooLong = `it did not answer for ${timeout / 1000} seconds`;
const guarded = new Script("performCalls()");

/** Makes the calls that are next, until answers have waited for long enough. */
function performCalls(): void {
  const began = now();
  do {
    const call = pending[next++]!;
    perform(call);
    const bytes = call[1] === "push" ? call[2][1].buffer : undefined;
    if (bytes !== undefined && bytes.byteLength > copiedBytes) {
      spares.push(bytes);
    }
  } while (next < pending.length && now() - began <= answerWait);
  flush();
}

Object.defineProperty(globalThis, "performCalls", { value: performCalls });

function answer(answer: Answer): void {
  answers.push(answer);
  if (flushIsDue) return;
  flushIsDue = true;
  queueMicrotask(flush);
}

function flush(): void {
  flushIsDue = false;
  if (answers.length === 0) return;
  const batch = answers;
  answers = [];
  const transfers = spares;
  if (transfers.length === 0) return post(batch);
  spares = [];
  const message: WorkerAnswers = { answers: batch, spares: transfers };
  post(message, transfers);
}

// Not port.on("message"), as Node has it: Deno looks there for ports in every
// byte of a message.
port.onmessage = ({ data }: MessageEvent<readonly Call[]>): void =>
  receive(data);
