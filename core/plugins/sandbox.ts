/**
 * What runs in a plugin's sandbox: it imports the plugin and makes the calls
 * that come from the server. `./sandbox_worker.ts` and `./child.ts` receive
 * them.
 *
 * The plugin's own code runs beside it, so the server trusts nothing that comes
 * from here.
 *
 * @module
 */

import { peerFields, refusalFields } from "../accept/answer_fields.ts";
import type { Backend, BackendQuery } from "../api.ts";
import { type CloseError, describeError } from "../errors.ts";
import type { EncodedMessages } from "../bridge/message_encoder.ts";
import { MessageFramer } from "../bridge/message_framer.ts";
import { smallestSize, tailroom } from "../memory/buffer_pool.ts";
import { checkBackend, checkExports, type PluginExports } from "./exports.ts";
import { ListingFramer } from "./listing_framer.ts";
import { raiseFence } from "./fence.ts";
import { MemoryModules } from "./hooks.ts";
import { mayImportNode, openNodeModules } from "./node_modules.ts";
import { stripTypes } from "./strip_types.ts";
import type {
  Answer,
  Bulk,
  BulkFailure,
  Call,
  CallName,
  LoadedExports,
  ModuleSources,
  OpenedFramer,
  OpeningGrant,
  SandboxCalls,
} from "./messages.ts";

const mostErrorText = 1000;

/** Options for {@linkcode createSandbox}. */
export interface SandboxOptions {
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** What the plugin is granted anything of. */
  readonly grants: readonly OpeningGrant[];
  /** Whether it may use WebAssembly. */
  readonly wasm: boolean;
  /** Names of globals that stay. */
  readonly kept?: readonly string[];
  /** Takes each line that the plugin writes. */
  readonly onLine: (line: string) => void;
  /** Takes each answer. */
  readonly onAnswer: (answer: Answer) => void;
  /** Called with an error that no code caught. */
  readonly onFailure: (why: string) => void;
}

/** The framer of a connection. */
interface OpenFramer {
  readonly framer: MessageFramer;
  readonly list: ListingFramer;
}

/**
 * Makes the sandbox of this thread.
 *
 * @param options Where answers go.
 * @returns Makes a call.
 */
export function createSandbox(
  options: SandboxOptions,
): (call: Call) => void {
  const { maxMessage, onLine, onAnswer, onFailure } = options;
  let plugin: PluginExports | undefined;
  const backends = new Map<number, Backend>();
  const framers = new Map<number, OpenFramer>();
  const queries = new Map<number, AbortController>();
  /**
   * The built-in modules that are loaded. Once the fence is up, Deno could not
   * load them.
   */
  const loaded = new Set<string>();
  const modules = new MemoryModules({ mayImport: (name) => loaded.has(name) });
  const importing = new Map<number, PromiseWithResolvers<ModuleSources>>();
  let lastImport = 0;

  const calls: {
    readonly [Name in CallName]: (
      ...args: Parameters<SandboxCalls[Name]>
    ) =>
      | ReturnType<SandboxCalls[Name]>
      | Promise<ReturnType<SandboxCalls[Name]>>;
  } = {
    load,
    create,
    configure,
    start,
    query,
    abort,
    cleanup,
    open,
    push,
    end,
    encode,
    close,
    imported,
    strip: stripTypes,
    ping,
  };

  async function load(sources: ModuleSources): Promise<LoadedExports> {
    await loadNodeModules(sources);
    raiseFence({ ...options, print: limitLines(onLine), importFor });
    modules.add(sources);
    plugin = checkExports(await modules.import(sources.entry));
    return {
      backend: plugin.createBackend !== undefined,
      framings: Object.keys(plugin.framings),
    };
  }

  /** Loads those that the plugin's modules name, also those in an `import()`. */
  async function loadNodeModules({ modules }: ModuleSources): Promise<void> {
    const sources = [...modules.values()];
    for (const name of openNodeModules) {
      if (!sources.some((source) => source.includes(name))) continue;
      loaded.add(name);
      await import(name);
    }
  }

  async function create(number: number): Promise<boolean> {
    const created: unknown = await plugin!.createBackend!();
    checkBackend(created);
    backends.set(number, created);
    return created.needsAllowPeer === true;
  }

  async function configure(
    number: number,
    option: string,
    value: string,
  ): Promise<void> {
    const backend = backends.get(number)!;
    if (backend.configure === undefined) {
      throw new TypeError(`unknown option "${option}": the backend takes none`);
    }
    await backend.configure(option, value);
  }

  async function start(number: number): Promise<unknown> {
    return toPlainAnswer(await backends.get(number)!.start?.());
  }

  async function query(
    backend: number,
    number: number,
    request: Omit<BackendQuery, "signal">,
  ): Promise<unknown> {
    const controller = new AbortController();
    queries.set(number, controller);
    try {
      const { signal } = controller;
      return toPlainAnswer(
        await backends.get(backend)!.query({ ...request, signal }),
      );
    } finally {
      queries.delete(number);
    }
  }

  function abort(number: number): void {
    queries.get(number)?.abort();
  }

  async function cleanup(number: number): Promise<void> {
    const ending = backends.get(number);
    backends.delete(number);
    await ending?.cleanup?.();
  }

  function open(id: number, framing: string, config: string): OpenedFramer {
    const created = plugin!.framings[framing]!(config);
    const list = new ListingFramer(created, maxMessage);
    const framer = new MessageFramer(list, { maxMessage });
    framers.set(id, { list, framer });
    return list.encode === undefined && list.append !== undefined
      ? { encodes: false, append: [...list.append] }
      : { encodes: list.encode !== undefined };
  }

  function push(id: number, bytes: Uint8Array<ArrayBuffer>): Bulk {
    const { framer, list } = framers.get(id)!;
    framer.room(roomFor(bytes.length)).set(bytes);
    const { failure } = framer.push(bytes.length);
    return { ...list.take(), failure: toFailure(failure) };
  }

  function end(id: number): Bulk {
    const { framer, list } = framers.get(id)!;
    const { failure } = framer.end();
    return { ...list.take(), failure: toFailure(failure) };
  }

  function encode(
    id: number,
    data: Uint8Array<ArrayBuffer>,
    ends: readonly number[],
    turns: readonly number[],
  ): Bulk {
    const { encoder } = framers.get(id)!.framer;
    // It answers at once because it runs here.
    const encoded = encoder!.encode({ data, ends, turns }) as EncodedMessages;
    const bytes = encoded.data.slice();
    encoder!.written();
    const { ends: numbers, failure } = encoded;
    return { numbers, bytes, failure: toFailure(failure) };
  }

  function close(id: number): void {
    const open = framers.get(id);
    framers.delete(id);
    open?.framer.close();
  }

  /** Replaces `import()` in the plugin's modules. */
  async function importFor(
    importer: string,
    specifier: unknown,
  ): Promise<unknown> {
    // Converted once: an object could give another text the next time.
    const name = `${specifier}`;
    if (loaded.has(name)) return await import(name);
    if (mayImportNode(name)) {
      throw new TypeError(
        `Cannot import "${name}" now: a module that the plugin starts with has to name it`,
      );
    }
    let url = modules.find(name, importer);
    if (url === undefined) {
      const sources = await ask(name, importer);
      modules.add(sources);
      url = sources.entry;
    }
    return await modules.import(url);
  }

  function ask(specifier: string, importer: string): Promise<ModuleSources> {
    const number = ++lastImport;
    const asked = Promise.withResolvers<ModuleSources>();
    importing.set(number, asked);
    onAnswer([0, { number, specifier, importer }]);
    return asked.promise;
  }

  function imported(
    number: number,
    sources: ModuleSources | null,
    why?: string,
  ): void {
    const asked = importing.get(number);
    importing.delete(number);
    if (sources !== null) asked?.resolve(sources);
    else asked?.reject(new TypeError(why));
  }

  /** Its answer says all. */
  function ping(): void {}

  function perform([id, name, args]: Call): void {
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
    // A call without a number has no answer.
    if (answer[0] !== 0) onAnswer(answer);
  }

  /** An error that nothing caught leaves the plugin in a state that is not known. */
  function fail(event: Event, error: unknown): void {
    event.preventDefault();
    onFailure(`an error was not caught: ${toText(error)}`);
  }

  addEventListener("error", (event) => fail(event, event.error));
  addEventListener(
    "unhandledrejection",
    (event) => fail(event, event.reason),
  );
  return perform;
}

function toFailure(failure: CloseError | undefined): BulkFailure | undefined {
  if (failure === undefined) return undefined;
  const tooLarge = failure.code === 1009;
  return { tooLarge, why: toText(tooLarge ? failure : failure.cause) };
}

/**
 * Most lines in a second that are sent to the server, which limits them itself,
 * too.
 */
const mostLines = 100;
const mostLine = 1000;

/** Drops the lines of a plugin that writes too many. */
function limitLines(onLine: (line: string) => void): (line: string) => void {
  const now = performance.now.bind(performance);
  let since = -Infinity;
  let count = 0;
  return function print(line): void {
    if (now() - since >= 1000) {
      since = now();
      count = 0;
    }
    if (++count <= mostLines) onLine(line.slice(0, mostLine));
  };
}

/** Room of a size that is kept for the next read. */
function roomFor(count: number): number {
  let size = smallestSize;
  while (size + tailroom < count) size *= 4;
  return size;
}

/**
 * Most characters of a text in an answer, as those of all public authorities in
 * `tlsCa`, and most texts in a list: what the server looks at takes its time.
 */
const mostText = 512 * 1024;
const mostItems = 1000;

const answerFields = [...peerFields, "expires", "user", ...refusalFields];

/** Copies what may leave the sandbox: strings, numbers, and lists of strings. */
function toPlainAnswer(info: unknown): unknown {
  if (info === undefined || info === null) return undefined;
  const fields = info as Record<string, unknown>;
  const answer: Record<string, unknown> = {};
  for (const name of answerFields) {
    const value = fields[name];
    // The server reports a value of another type.
    if (value !== undefined) answer[name] = toPlain(value) ?? null;
  }
  return answer;
}

function toPlain(value: unknown): unknown {
  if (typeof value === "number") return value;
  if (typeof value === "string") return checkLength(value);
  if (!Array.isArray(value)) return undefined;
  if (value.length > mostItems) {
    throw new RangeError(`its answer has a list of ${value.length} items`);
  }
  const items = [...value];
  return items.every((item) => typeof item === "string")
    ? items.map(checkLength)
    : undefined;
}

function checkLength(text: string): string {
  if (text.length <= mostText) return text;
  throw new RangeError(`its answer has a text of ${text.length} characters`);
}

/**
 * Describes what was thrown, whatever it is.
 *
 * @param error What was thrown.
 */
export function toText(error: unknown): string {
  try {
    return describeError(error).slice(0, mostErrorText);
  } catch {
    return "it threw what cannot be shown";
  }
}
