/**
 * The worker of a plugin: it has the plugin's permissions, and starts the
 * sandbox, a thread of its own with the same permissions and a limit on its memory.
 *
 * Two are needed: Deno limits the permissions of a Web Worker but not its
 * memory, and a Web Worker that runs out of memory ends the whole process; with
 * a worker of node:worker_threads it is the reverse. And this one can still
 * answer, and end the sandbox, when the sandbox is caught in an endless loop.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { Worker } from "node:worker_threads";
import api from "../api.ts" with { type: "text" };
import errors from "../errors.ts" with { type: "text" };
import encoder from "../bridge/message_encoder.ts" with { type: "text" };
import framer from "../bridge/message_framer.ts" with { type: "text" };
import memory from "../memory/buffer_pool.ts" with { type: "text" };
import answerFields from "../accept/answer_fields.ts" with { type: "text" };
import exports from "./exports.ts" with { type: "text" };
import hooks from "./hooks.ts" with { type: "text" };
import fence from "./fence.ts" with { type: "text" };
import listingFramer from "./listing_framer.ts" with { type: "text" };
import messages from "./messages.ts" with { type: "text" };
import nodeModules from "./node_modules.ts" with { type: "text" };
import sandbox from "./sandbox.ts" with { type: "text" };
import stripTypes from "./strip_types.ts" with { type: "text" };
import workerMessages from "./worker_messages.ts" with { type: "text" };
import sandboxWorker from "./sandbox_worker.ts" with { type: "text" };
import readBuffer from "../memory/read_buffer.ts" with { type: "text" };
import ending from "../websocket/protocol/ending.ts" with { type: "text" };
import utf8 from "../websocket/utf8.ts" with { type: "text" };
import type { ModuleSources } from "./messages.ts";
import type { FromWorker, WorkerStart } from "./worker_messages.ts";

/**
 * Without permission to read, the sandbox cannot load its own modules: here they
 * are, by their path from this one.
 */
const sources: Readonly<Record<string, string>> = {
  "../accept/answer_fields.ts": answerFields,
  "../api.ts": api,
  "../errors.ts": errors,
  "../bridge/message_encoder.ts": encoder,
  "../bridge/message_framer.ts": framer,
  "../memory/buffer_pool.ts": memory,
  "./exports.ts": exports,
  "./hooks.ts": hooks,
  "./fence.ts": fence,
  "./listing_framer.ts": listingFramer,
  "./messages.ts": messages,
  "./node_modules.ts": nodeModules,
  "./sandbox.ts": sandbox,
  "./sandbox_worker.ts": sandboxWorker,
  "./strip_types.ts": stripTypes,
  "./worker_messages.ts": workerMessages,
  "../memory/read_buffer.ts": readBuffer,
  "../websocket/protocol/ending.ts": ending,
  "../websocket/utf8.ts": utf8,
};

/** Megabytes of objects that a plugin may hold. */
const memoryLimit = 256;

const base = "https://websocksy.invalid/core/plugins/";
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<WorkerStart | "end">) => void;
  postMessage(message: FromWorker): void;
};
let thread: Worker | undefined;
let reason: string | undefined;

scope.onmessage = async ({ data }): Promise<void> => {
  if (data !== "end") return start(data);
  reason ??= "";
  await thread?.terminate();
  scope.postMessage({ why: "" });
};

function start({ port, ...plugin }: WorkerStart): void {
  const boot = [
    stripTypeScriptTypes(hooks, { mode: "transform" }),
    `import { workerData } from "node:worker_threads";`,
    `const { core } = workerData;`,
    `delete workerData.core;`,
    `const modules = new MemoryModules();`,
    `modules.add(core);`,
    `await modules.import(core.entry);`,
  ].join("\n");
  thread = new Worker(
    new URL(`data:text/javascript,${encodeURIComponent(boot)}`),
    {
      workerData: { port, ...plugin, core: coreModules() },
      transferList: [port as never],
      env: {},
      resourceLimits: {
        maxOldGenerationSizeMb: memoryLimit,
        maxYoungGenerationSizeMb: 32,
      },
    },
  );
  // The sandbox sends what the plugin prints as messages; these streams stay
  // empty.
  thread.stdout.resume();
  thread.stderr.resume();
  thread.on("message", (message: FromWorker) => {
    if ("line" in message) return scope.postMessage(message);
    tellEnd(message.why);
    // It does not wait for the server to handle this: more may follow.
    thread?.terminate();
  });
  thread.on("error", (error) => tellEnd(error.message));
  thread.on(
    "exit",
    (status) => tellEnd(`it ended itself with status ${status}`),
  );
}

function coreModules(): ModuleSources {
  const modules = new Map(
    Object.entries(sources).map(([name, source]) => [
      new URL(name, base).href,
      stripTypeScriptTypes(source, { mode: "transform" }),
    ]),
  );
  return { entry: `${base}sandbox_worker.ts`, modules, redirects: new Map() };
}

/** The first reason counts; the others follow from it. */
function tellEnd(why: string): void {
  if (reason !== undefined) return;
  reason = why;
  scope.postMessage({ why: why.split("\n", 1)[0]!.slice(0, 1000) });
}
