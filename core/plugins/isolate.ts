/**
 * The interface of what a plugin runs in: it takes calls, gives answers, and
 * ends.
 *
 * @module
 */

import type { Call } from "./messages.ts";

/** What an isolate is started with. */
export interface IsolateOptions {
  /** Name of the plugin. */
  readonly name: string;
  /** What it may do. */
  readonly permissions: Deno.PermissionOptionsObject;
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** Milliseconds that the plugin may be busy without an answer. */
  readonly timeout: number;
  /** Takes what comes back, which is not trusted. */
  readonly onAnswers: (answers: unknown) => void;
  /** Takes a line that the plugin wrote; it is not trusted either. */
  readonly onOutput: (line: string) => void;
  /** Called once if the isolate ends without being asked to. */
  readonly onEnd: (why: string) => void;
}

/** Where a plugin runs. */
export interface Isolate {
  /**
   * Sends calls. Their bytes are copied before it returns.
   *
   * @param calls The calls.
   */
  post(calls: readonly Call[]): void;
  /**
   * Ends it.
   *
   * @returns A promise that resolves when it is gone.
   */
  end(): Promise<void>;
}

/** Starts an isolate. */
export type StartIsolate = (options: IsolateOptions) => Isolate;
