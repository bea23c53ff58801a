/**
 * The process of a plugin: calls come over stdin, answers go out over stdout.
 * It ends when stdin does, or when the server is gone, and ends itself when it
 * takes too much memory.
 *
 * @module
 */

import { createSandbox, toText } from "./sandbox.ts";
import type { Call } from "./messages.ts";
import {
  decodeCall,
  encodeAnswers,
  FrameSplitter,
  type FromProcess,
  type ProcessStart,
} from "./wire.ts";

/** Bytes of memory that the process may take, code and stacks included. */
const memoryLimit = 640 * 1024 * 1024;
/** Milliseconds between two looks at it. */
const lookEvery = 100;
/** Milliseconds after which answers no longer wait for the rest of their batch. */
const answerWait = 20;
const mostCallBytes = 2 ** 31;
const readSize = 256 * 1024;

const { stdin, stdout } = Deno;
const exit: (status: number) => never = Deno.exit.bind(Deno);
const now = performance.now.bind(performance);
const later = queueMicrotask;

let waiting: FromProcess[] = [];
let flushIsDue = false;

/** Looks from a thread of its own, which no endless loop holds up. */
function startWatch(server: number): void {
  const watch = `
    const server = ${server}, most = ${memoryLimit}, unix = Deno.build.os !== "windows";
    setInterval(() => {
      const orphan = unix && Deno.ppid !== server;
      if (orphan || Deno.memoryUsage().rss > most) Deno.kill(Deno.pid, "SIGKILL");
    }, ${lookEvery});
  `;
  new Worker(`data:text/javascript,${encodeURIComponent(watch)}`, {
    type: "module",
  });
}

async function serve(): Promise<void> {
  const splitter = new FrameSplitter(mostCallBytes);
  const memory = new Uint8Array(readSize);
  let perform: ((call: Call) => void) | undefined;
  for (;;) {
    // The rest of a frame is on its way. Deno reads a pipe in another thread, a
    // change to and fro for each 64 KiB, except where it is waited for.
    const { missing } = splitter;
    const count = missing === 0
      ? await stdin.read(memory)
      : stdin.readSync(memory.subarray(0, missing));
    if (count === null) exit(0);
    let began = now();
    for (const payload of splitter.add(memory.subarray(0, count))) {
      const message = decodeCall(payload);
      if (message.kind === "start") perform = start(message.start);
      else perform!(message.call);
      if (now() - began <= answerWait) continue;
      flush();
      began = now();
    }
    flush();
  }
}

function start({ maxMessage, grants }: ProcessStart): (call: Call) => void {
  return createSandbox({
    maxMessage,
    grants,
    // Its memory is limited with that of the process.
    wasm: true,
    onLine: (line) => say({ kind: "line", line }),
    onAnswer: (answer) => say({ kind: "answer", answer }),
    onFailure(why): void {
      say({ kind: "failure", why });
      flush();
      exit(1);
    },
  });
}

function say(message: FromProcess): void {
  waiting.push(message);
  if (flushIsDue) return;
  flushIsDue = true;
  later(flush);
}

function flush(): void {
  flushIsDue = false;
  if (waiting.length === 0) return;
  const messages = waiting;
  waiting = [];
  let rest: Uint8Array = encodeAnswers(messages);
  while (rest.length > 0) rest = rest.subarray(stdout.writeSync(rest));
}

if (import.meta.main) {
  startWatch(Number(Deno.args[0]));
  // Not awaited: Deno imports nothing while the main module waits.
  serve().catch((error) => {
    say({ kind: "failure", why: toText(error) });
    flush();
    exit(1);
  });
}
