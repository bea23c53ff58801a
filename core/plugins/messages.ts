/**
 * What the server and a plugin's sandbox say to each other.
 *
 * A message to the sandbox is a batch of {@linkcode Call}s, and one from it a
 * batch of {@linkcode Answer}s: where many connections are busy at once, they
 * share the cost of a message.
 *
 * @module
 */

import type { BackendQuery, PeerInfo } from "../api.ts";

/** What the sandbox can be asked for, with arguments and answers. */
export interface SandboxCalls {
  /** Import the plugin's module. */
  load(): LoadedExports;
  /** Make a backend; the one made before is no longer used. */
  create(): void;
  /** Pass an option to the backend. */
  configure(option: string, value: string): void;
  /** Start the backend. */
  start(): PeerInfo | undefined;
  /** Ask the backend. */
  query(request: BackendQuery): PeerInfo | undefined;
  /** End the backend. */
  cleanup(): void;
  /** Make the framer of a connection, under a number. */
  open(framer: number, framing: string, config: string): void;
  /** Frame the first `count` of `bytes`, which were read. */
  push(
    framer: number,
    bytes: Uint8Array<ArrayBuffer>,
    count: number,
  ): SandboxFrames;
  /** Frame what is held back. */
  end(framer: number): SandboxFrames;
  /** Release a framer. */
  close(framer: number): void;
  /** Show that the sandbox is not busy with something else. */
  ping(): void;
}

/** What a plugin's module exports. */
export interface LoadedExports {
  /** Whether it makes a backend. */
  readonly backend: boolean;
  /** Names of its framing functions. */
  readonly framings: readonly string[];
}

/** The messages that a read has completed. */
export interface SandboxFrames {
  /** The bytes in which they lie. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** For each message three numbers: its start, its end, and 1 if it is text. */
  readonly places: readonly number[] | Uint32Array;
  /** Why nothing can be framed any more. */
  readonly failure?: {
    readonly code: number;
    readonly message: string;
    readonly cause: string;
  };
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

/** What a plugin's worker is started with. */
export interface WorkerStart {
  /** The plugin's modules. */
  readonly sources: import("./hooks.ts").ModuleSources;
  /** Where calls come from and answers go to. */
  readonly port: MessagePort;
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** Milliseconds that the plugin may be busy without an answer. */
  readonly timeout: number;
}

/** What a plugin's worker tells: that its sandbox has ended, and why. */
export interface WorkerEnd {
  /** In words, if it was not asked to end. */
  readonly why: string;
}

/** Up to so many bytes are copied into a message; more are transferred with it. */
export const copiedBytes = 16 * 1024;

/** Whether a call is answered as soon as the sandbox gets to it. */
export function isAnsweredAtOnce(name: CallName): boolean {
  return name === "ping" || name === "push" || name === "open" ||
    name === "end";
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
 * @throws {TypeError} If it is none.
 */
export function asExports(value: unknown): LoadedExports {
  const { backend, framings } = value as Partial<LoadedExports>;
  if (
    typeof backend !== "boolean" || !Array.isArray(framings) ||
    !framings.every((name) => typeof name === "string")
  ) throw new TypeError("Cannot use the plugin's exports: they are malformed");
  return { backend, framings };
}

/**
 * Checks the answer to `push` and `end`.
 *
 * @param value The answer.
 * @param most Most bytes that it may have.
 * @throws {TypeError} If it is none.
 */
export function asFrames(value: unknown, most: number): SandboxFrames {
  if (typeof value === "object" && value !== null) {
    const { data, places, failure } = value as Partial<SandboxFrames>;
    const isPlaces = Array.isArray(places) || places instanceof Uint32Array;
    if (
      data instanceof Uint8Array && data.buffer instanceof ArrayBuffer &&
      data.length <= most && isPlaces && arePlaces(places, data.length) &&
      (failure === undefined || isFailure(failure))
    ) return { data, places, ...(failure && { failure }) };
  }
  throw new TypeError("Cannot use what the plugin framed: it is malformed");
}

function arePlaces(
  places: readonly number[] | Uint32Array,
  length: number,
): boolean {
  let last = 0;
  for (let index = 0; index < places.length; index += 3) {
    const start = places[index]!;
    const end = places[index + 1]!;
    if (!(start >= last && end >= start && end <= length)) return false;
    if (!Number.isInteger(start) || !Number.isInteger(end)) return false;
    last = end;
  }
  return places.length % 3 === 0;
}

function isFailure(failure: unknown): boolean {
  const { code, message, cause } = failure as Record<string, unknown>;
  return (code === 1009 || code === 1011) && typeof message === "string" &&
    typeof cause === "string" && message.length <= 100;
}
