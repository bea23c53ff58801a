/**
 * The server's side of a running plugin: it sends calls, receives their
 * answers, and checks that answers keep arriving.
 *
 * @module
 */

import { describeError } from "../errors.ts";
import type { Isolate, IsolateOptions, StartIsolate } from "./isolate.ts";
import {
  type Answer,
  asImportRequest,
  type Call,
  type CallName,
  type ImportRequest,
  isAnsweredAtOnce,
  isAnswers,
  type ModuleSources,
  type SandboxCalls,
} from "./messages.ts";

/** Options for {@linkcode PluginLink}. */
export interface PluginLinkOptions
  extends Omit<IsolateOptions, "onAnswers" | "onEnd"> {
  /** Starts what the plugin runs in. */
  readonly startIsolate: StartIsolate;
  /** Reads modules that the plugin imports while it runs. */
  readonly onImport: (request: ImportRequest) => Promise<ModuleSources>;
  /** Called once when the plugin has failed and will not answer any more. */
  readonly onFailure: (why: string) => void;
}

/** Imports that a plugin may wait for at a time. */
const mostImports = 64;

/** A call that has no answer yet. */
interface Pending {
  readonly name: CallName;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** How often the watch looks during the time that a plugin may be busy. */
const looks = 4;

/** A plugin that runs in an isolate of its own. */
export class PluginLink {
  #options: PluginLinkOptions;
  #isolate: Isolate;
  #pending = new Map<number, Pending>();
  /** Calls that the plugin has to answer before it does anything else. */
  #owed = 0;
  #lastId = 0;
  #batch: Call[] = [];
  #failure: Error | undefined;
  #ending: Promise<void> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #imports = 0;
  /** How often the watch has looked since the last answer. */
  #silentLooks = 0;

  /**
   * Starts the isolate.
   *
   * @param options The plugin, and its limits.
   * @throws {Error} If it cannot be started.
   */
  constructor(options: PluginLinkOptions) {
    this.#options = options;
    this.#isolate = options.startIsolate({
      ...options,
      onAnswers: (answers) => this.#receive(answers),
      onEnd: (why) => this.#fail(why),
    });
  }

  /** Why the plugin has failed; absent: it has not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Calls the plugin. Calls are made in order.
   *
   * @param name What for.
   * @param args Arguments.
   * @returns The answer, which is not checked.
   * @throws {Error} If the plugin throws or has failed.
   */
  call<Name extends CallName>(
    name: Name,
    args: Parameters<SandboxCalls[Name]>,
  ): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { name, resolve, reject });
    if (isAnsweredAtOnce(name)) this.#owed++;
    this.#post([id, name, args] as unknown as Call);
    // The supervisor limits the time that a plugin takes to start.
    if (name !== "load") {
      this.#watch ??= this.#startWatch();
      if (this.#owed === 0) this.#ping();
    }
    return promise;
  }

  /**
   * Sends the plugin a call that has no answer.
   *
   * @param name What.
   * @param args Arguments.
   */
  tell<Name extends CallName>(
    name: Name,
    args: Parameters<SandboxCalls[Name]>,
  ): void {
    if (this.#failure !== undefined) return;
    this.#post([0, name, args] as unknown as Call);
  }

  /**
   * Ends the isolate; what has no answer fails. A second call waits for the first.
   *
   * @returns A promise that resolves when it is gone.
   */
  end(): Promise<void> {
    this.#close(new Error(this.#describe("it was ended")));
    return this.#ending ??= this.#isolate.end();
  }

  /** Sends all calls since the last turn of the event loop as one message. */
  #post(call: Call): void {
    if (this.#batch.length === 0) queueMicrotask(() => this.#flush());
    this.#batch.push(call);
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    if (this.#failure === undefined) this.#isolate.post(batch);
  }

  #receive(message: unknown): void {
    if (this.#failure !== undefined) return;
    if (!isAnswers(message)) return this.#fail("it sent what is no answer");
    this.#silentLooks = 0;
    for (const answer of message) {
      if (!this.#settle(answer)) {
        return this.#fail("it answered what it was not asked");
      }
    }
  }

  /**
   * Answers a sandbox that asks for modules; `onImport` decides what it may
   * have.
   */
  async #import(value: unknown): Promise<void> {
    if (++this.#imports > mostImports) {
      return this.#fail("it imports too much at a time");
    }
    const request = asImportRequest(value);
    try {
      const sources = await this.#options.onImport(request);
      this.tell("imported", [request.number, sources]);
    } catch (error) {
      this.tell("imported", [request.number, null, describeError(error)]);
    } finally {
      this.#imports--;
    }
  }

  #settle([id, value, error]: Answer): boolean {
    if (id === 0) {
      this.#import(value).catch((error) => this.#fail(describeError(error)));
      return true;
    }
    const pending = this.#pending.get(id);
    if (pending === undefined) return false;
    this.#pending.delete(id);
    if (isAnsweredAtOnce(pending.name)) this.#owed--;
    if (error === undefined) pending.resolve(value);
    else pending.reject(new Error(this.#describe(error)));
    return true;
  }

  /**
   * Checks periodically that the plugin still answers. It counts checks instead
   * of time, because the plugin is not to blame for a server that was too busy
   * to check.
   */
  #startWatch(): ReturnType<typeof setTimeout> {
    this.#silentLooks = 0;
    return setTimeout(() => this.#look(), this.#options.timeout / looks);
  }

  #look(): void {
    this.#watch = undefined;
    if (this.#pending.size === 0) return;
    if (this.#silentLooks++ >= looks) {
      const seconds = this.#options.timeout / 1000;
      return this.#fail(`it did not answer for ${seconds} seconds`);
    }
    this.#watch = setTimeout(() => this.#look(), this.#options.timeout / looks);
    if (this.#owed === 0) this.#ping();
  }

  /** A plugin may take its time for a query, but must not block. */
  #ping(): void {
    this.call("ping", []).catch(() => {});
  }

  #fail(why: string): void {
    if (this.#failure !== undefined) return;
    this.#close(new Error(this.#describe(why)));
    this.#options.onFailure(why);
  }

  #close(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#watch);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #describe(why: string): string {
    return `plugin "${this.#options.name}": ${why}`;
  }
}
