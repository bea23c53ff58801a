/**
 * The messages between the server and a plugin's sandbox.
 *
 * The server sends batches of {@linkcode Call}s, and the sandbox sends batches
 * of {@linkcode Answer}s, so that many busy connections share the cost of a
 * message.
 *
 * @module
 */

import type { BackendQuery } from "../api.ts";

/** The calls of the sandbox, with arguments and answers. */
export interface SandboxCalls {
  /** Convert TypeScript to JavaScript; no plugin needs to be loaded. */
  strip(text: string, url: string): string;
  /** Import the plugin's module. */
  load(sources: ModuleSources): LoadedExports;
  /**
   * Make a backend, under a number: there may be one for each route. Answers
   * whether it needs `allow-peer`.
   */
  create(backend: number): unknown;
  /** Pass an option to a backend. */
  configure(backend: number, option: string, value: string): void;
  /** Start a backend. */
  start(backend: number): unknown;
  /** Ask a backend, under a number of the server's. */
  query(
    backend: number,
    number: number,
    request: Omit<BackendQuery, "signal">,
  ): unknown;
  /** Abort the signal of a query. */
  abort(number: number): void;
  /** End a backend. */
  cleanup(backend: number): void;
  /** Make the framer of a connection, under a number. */
  open(framer: number, framing: string, config: string): OpenedFramer;
  /** Say which messages these bytes complete, after the bytes that are held. */
  push(framer: number, bytes: Uint8Array<ArrayBuffer>): Bulk;
  /** Say what happens to the bytes that are held at the end. */
  end(framer: number): Bulk;
  /** Say what messages of the client become: where each ends, and which change the type. */
  encode(
    framer: number,
    bytes: Uint8Array<ArrayBuffer>,
    ends: readonly number[],
    turns: readonly number[],
  ): Bulk;
  /** Release a framer. */
  close(framer: number): void;
  /** Give the modules of an import that the sandbox asked for, or say why not. */
  imported(number: number, sources: ModuleSources | null, why?: string): void;
  /** Show that the sandbox is not busy with something else. */
  ping(): void;
}

/** The modules of a plugin, in memory. */
export interface ModuleSources {
  /** URL of the module that is imported first. */
  readonly entry: string;
  /** Their JavaScript, by URL. */
  readonly modules: ReadonlyMap<string, string>;
  /** URLs that lead to another one, which has the module. */
  readonly redirects: ReadonlyMap<string, string>;
}

/** What a plugin's module exports. */
export interface LoadedExports {
  /** Whether it makes a backend. */
  readonly backend: boolean;
  /** Names of its framing functions. */
  readonly framings: readonly string[];
}

/** How the framer of a connection treats the client's messages. */
export interface OpenedFramer {
  /** Whether it encodes them. */
  readonly encodes: boolean;
  /** The bytes that are added to messages that lack them. */
  readonly append?: readonly number[];
}

/**
 * What a framing function answered, in numbers and bytes: about a read, its
 * frames, as `./listing_framer.ts` lists them; about messages, their bytes and
 * where each ends.
 */
export interface Bulk {
  readonly numbers: readonly number[] | Uint32Array;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  /** Why it failed, after these. */
  readonly failure?: BulkFailure | undefined;
}

/** Why a framing function failed. */
export interface BulkFailure {
  /** Whether a message is larger than it may be. */
  readonly tooLarge: boolean;
  /** In words. */
  readonly why: string;
}

/** Name of a call. */
export type CallName = keyof SandboxCalls;

/** A call: a number for its answer, its name, its arguments. */
export type Call<Name extends CallName = CallName> = {
  [N in Name]: readonly [
    id: number,
    name: N,
    args: Parameters<SandboxCalls[N]>,
  ];
}[Name];

/** An answer: the number of the call, and what came of it, or what it threw. */
export type Answer = readonly [id: number, value: unknown, error?: string];

/** Modules that the sandbox asks for: the value of an answer of number 0. */
export interface ImportRequest {
  /** Its number, given by the sandbox. */
  readonly number: number;
  /** What is to be imported. */
  readonly specifier: string;
  /** URL of the module that imports it. */
  readonly importer: string;
}

/** A kind of permission that opens names in the sandbox. */
export type OpeningGrant = "net" | "read" | "write" | "env";

/** The global function that `import()` becomes: given the importer's URL, and what to import. */
export const importFunction = "websocksyImport";

const mostSpecifier = 4096;

/**
 * Checks what the sandbox asks for.
 *
 * @param value What it says.
 * @throws {TypeError} If it is no request.
 */
export function asImportRequest(value: unknown): ImportRequest {
  const { number, specifier, importer } = Object(value);
  if (
    typeof number !== "number" || typeof specifier !== "string" ||
    typeof importer !== "string" || specifier.length > mostSpecifier ||
    importer.length > mostSpecifier
  ) throw new TypeError("Cannot import for the plugin: it asks for nothing");
  return { number, specifier, importer };
}

/** Whether the sandbox answers a call without waiting for anything. */
export function isAnsweredAtOnce(name: CallName): boolean {
  return name === "ping" || name === "push" || name === "open" ||
    name === "end" || name === "encode";
}

/**
 * Checks a message from a sandbox, which is not trusted.
 *
 * @param message The message.
 * @returns Whether it is a batch of answers, as far as their values.
 */
export function isAnswers(message: unknown): message is readonly Answer[] {
  return Array.isArray(message) && message.length > 0 &&
    message.every((answer) =>
      Array.isArray(answer) && typeof answer[0] === "number" &&
      (answer[2] === undefined || typeof answer[2] === "string")
    );
}

/**
 * Checks the answer to `load`.
 *
 * @param value The answer.
 * @throws {TypeError} If it is malformed.
 */
export function asExports(value: unknown): LoadedExports {
  const { backend, framings } = Object(value) as Partial<LoadedExports>;
  if (
    typeof backend !== "boolean" || !Array.isArray(framings) ||
    !framings.every((name) => typeof name === "string")
  ) throw new TypeError("Cannot use the plugin's exports: they are malformed");
  return { backend, framings };
}

const mostAppended = 4096;

/**
 * Checks the answer to `open`.
 *
 * @param value The answer.
 * @throws {TypeError} If it is malformed.
 */
export function asOpened(value: unknown): OpenedFramer {
  const { encodes, append } = Object(value) as Partial<OpenedFramer>;
  if (
    typeof encodes === "boolean" &&
    (append === undefined ||
      Array.isArray(append) && append.length <= mostAppended &&
        append.every(isByte))
  ) return { encodes, ...append && { append } };
  throw new TypeError("Cannot use the plugin's framing: it is malformed");
}

function isByte(value: unknown): boolean {
  return typeof value === "number" && (value & 255) === value;
}

/**
 * Checks the answer to `push`, `end` and `encode`. What its numbers mean is not
 * checked here.
 *
 * @param value The answer.
 * @throws {TypeError} If it is malformed.
 */
export function asBulk(value: unknown): Bulk {
  const { numbers, bytes, failure } = Object(value) as Partial<Bulk>;
  const areNumbers = numbers instanceof Uint32Array ||
    Array.isArray(numbers) &&
      numbers.every((number) => number >>> 0 === number);
  const areBytes = bytes === undefined ||
    bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer;
  if (areNumbers && areBytes && isFailure(failure)) {
    return { numbers, failure, ...bytes && { bytes } };
  }
  throw new TypeError("Cannot use what the plugin framed: it is malformed");
}

function isFailure(failure: unknown): failure is BulkFailure | undefined {
  if (failure === undefined) return true;
  const { tooLarge, why } = Object(failure);
  return typeof tooLarge === "boolean" && typeof why === "string";
}
