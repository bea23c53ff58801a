/**
 * What runs in a plugin's sandbox: it imports the plugin and makes the calls
 * that come from the server. See {@link "./worker.ts"} for how it is started.
 *
 * The plugin's own code runs beside it and may change whatever both can reach;
 * the server therefore trusts nothing that comes from here.
 *
 * @module
 */

import { Script } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import type { Backend, BackendQuery, PeerInfo } from "../api.ts";
import { describeError } from "../errors.ts";
import { type FramedRead, MessageFramer } from "../bridge/message_framer.ts";
import { checkBackend, checkExports, type PluginExports } from "./exports.ts";
import { importFromMemory } from "./hooks.ts";
import {
  type Answer,
  type Call,
  type CallName,
  copiedBytes,
  type LoadedExports,
  type SandboxCalls,
  type SandboxFrames,
  type WorkerStart,
} from "./messages.ts";

/** Milliseconds after which answers no longer wait for the rest of their batch. */
const answerWait = 20;
const mostErrorText = 1000;

const { port, sources, maxMessage, timeout } = workerData as WorkerStart;
const post = port.postMessage.bind(port);
const tellWorker = parentPort!.postMessage.bind(parentPort);

let plugin: PluginExports | undefined;
let backend: Backend | undefined;
const framers = new Map<number, MessageFramer>();
let answers: Answer[] = [];
let transfers: ArrayBuffer[] = [];
let flushIsDue = false;

const calls: {
  readonly [Name in CallName]: (
    ...args: Parameters<SandboxCalls[Name]>
  ) => ReturnType<SandboxCalls[Name]> | Promise<ReturnType<SandboxCalls[Name]>>;
} = {
  load,
  create,
  configure,
  start,
  query,
  cleanup,
  open,
  push,
  end,
  close,
  ping,
};

async function load(): Promise<LoadedExports> {
  plugin = checkExports(await importFromMemory(sources, { confined: true }));
  return {
    backend: plugin.createBackend !== undefined,
    framings: Object.keys(plugin.framings),
  };
}

async function create(): Promise<void> {
  backend = undefined;
  const created: unknown = await plugin!.createBackend!();
  checkBackend(created);
  backend = created;
}

async function configure(option: string, value: string): Promise<void> {
  if (backend!.configure === undefined) {
    throw new TypeError(`unknown option "${option}": the backend takes none`);
  }
  await backend!.configure(option, value);
}

async function start(): Promise<PeerInfo | undefined> {
  return toPeerInfo(await backend!.start?.());
}

function query(
  request: BackendQuery,
): PeerInfo | undefined | Promise<PeerInfo | undefined> {
  const answer = backend!.query(request);
  return answer instanceof Promise
    ? answer.then(toPeerInfo)
    : toPeerInfo(answer);
}

async function cleanup(): Promise<void> {
  const ending = backend;
  backend = undefined;
  await ending?.cleanup?.();
}

function open(id: number, framing: string, config: string): void {
  const framer = plugin!.framings[framing]!(config);
  if (typeof framer?.frame !== "function") {
    throw new TypeError("it made nothing that has a frame()");
  }
  framers.set(id, new MessageFramer(framer, { maxMessage }));
}

function push(
  id: number,
  bytes: Uint8Array<ArrayBuffer>,
  count: number,
): SandboxFrames {
  const framer = framers.get(id)!;
  framer.room(count).set(bytes.subarray(0, count));
  return toFrames(framer.push(count), bytes);
}

function end(id: number): SandboxFrames {
  return toFrames(framers.get(id)!.end());
}

function close(id: number): void {
  const framer = framers.get(id);
  framers.delete(id);
  framer?.close();
}

/** Its answer says all. */
function ping(): void {}

/** The bytes of messages lie in memory that is used again: they are copied out. */
function toFrames(
  { data, messages, failure }: FramedRead,
  spare?: Uint8Array<ArrayBuffer>,
): SandboxFrames {
  const first = messages[0]?.start ?? 0;
  const last = messages[messages.length - 1]?.end ?? 0;
  const length = last - first;
  const fits = spare !== undefined && length > copiedBytes &&
    spare.length >= length;
  const bytes = fits ? spare : new Uint8Array(length);
  bytes.set(data.subarray(first, last));
  if (length > copiedBytes) transfers.push(bytes.buffer);
  const places = messages.length <= 4
    ? new Array<number>(messages.length * 3)
    : new Uint32Array(messages.length * 3);
  let index = 0;
  for (const { start, end, text } of messages) {
    places[index++] = start - first;
    places[index++] = end - first;
    places[index++] = text ? 1 : 0;
  }
  if (places instanceof Uint32Array) transfers.push(places.buffer);
  if (failure === undefined) return { data: bytes, places };
  const { code, message, cause } = failure;
  return {
    data: bytes,
    places,
    failure: { code, message, cause: code === 1011 ? toText(cause) : "" },
  };
}

const peerFields = [
  "address",
  "framing",
  "framingConfig",
  "protocol",
  "proxyProtocol",
  "tlsCa",
  "tlsFingerprint",
  "tlsName",
  "warning",
];

/** Only what the server may use leaves the sandbox: strings, and no others. */
function toPeerInfo(info: unknown): PeerInfo | undefined {
  if (info === undefined || info === null) return undefined;
  const fields = info as Record<string, unknown>;
  const answer: Record<string, string | null> = {};
  for (const name of peerFields) {
    const value = fields[name];
    // The server will say that it is no string.
    if (value !== undefined) {
      answer[name] = typeof value === "string" ? value : null;
    }
  }
  return answer as unknown as PeerInfo;
}

function toText(error: unknown): string {
  try {
    return describeError(error).slice(0, mostErrorText);
  } catch {
    return "it threw what cannot be shown";
  }
}

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
    tellWorker(code === timedOut ? tooLong : toText(error));
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
  const began = performance.now();
  do {
    const [id, name, args] = pending[next++]!;
    perform(id, name, args);
  } while (
    next < pending.length && performance.now() - began <= answerWait
  );
  flush();
}

Object.defineProperty(globalThis, "performCalls", { value: performCalls });

function perform(id: number, name: CallName, args: readonly unknown[]): void {
  try {
    const call = calls[name] as (...args: readonly unknown[]) => unknown;
    const value = call(...args);
    if (!(value instanceof Promise)) return answer([id, value]);
    value.then(
      (value) => answer([id, value]),
      (error) => answer([id, undefined, toText(error)]),
    );
  } catch (error) {
    answer([id, undefined, toText(error)]);
  }
}

function answer(answer: Answer): void {
  // Nobody waits for those without a number.
  if (answer[0] === 0) return;
  answers.push(answer);
  if (flushIsDue) return;
  flushIsDue = true;
  queueMicrotask(flush);
}

function flush(): void {
  flushIsDue = false;
  if (answers.length === 0) return;
  const batch = answers;
  const transfer = transfers;
  answers = [];
  transfers = [];
  post(batch, transfer);
}

/** An error that nobody caught leaves the plugin in a state that nobody knows. */
function fail(event: Event, error: unknown): void {
  event.preventDefault();
  tellWorker(`an error was not caught: ${toText(error)}`);
}

addEventListener("error", (event) => fail(event, event.error));
addEventListener("unhandledrejection", (event) => fail(event, event.reason));
// What a plugin has no use for, and could only disturb the server with.
for (
  const name of [
    "postMessage",
    "close",
    "onmessage",
    "onmessageerror",
    "BroadcastChannel",
    "Worker",
  ]
) Reflect.deleteProperty(globalThis, name);
for (const name of ["port", "sources"]) {
  Reflect.deleteProperty(workerData, name);
}
// Not port.on("message"), as Node has it: Deno looks there for ports in every
// byte of a message.
port.onmessage = ({ data }: MessageEvent<readonly Call[]>): void =>
  receive(data);
