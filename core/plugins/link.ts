/**
 * The server's end of a running plugin: calls, their answers, and a watch on
 * whether answers still come.
 *
 * @module
 */

import {
  type Answer,
  type Call,
  type CallName,
  isAnsweredAtOnce,
  isAnswers,
  type SandboxCalls,
  type WorkerEnd,
  type WorkerStart,
} from "./messages.ts";
import type { ModuleSources } from "./hooks.ts";

/** Options for {@linkcode PluginLink}. */
export interface PluginLinkOptions {
  /** Name of the plugin. */
  readonly name: string;
  /** Its modules. */
  readonly sources: ModuleSources;
  /** What it may do. */
  readonly permissions: Deno.PermissionOptionsObject;
  /** Bytes: most that a framing function may hold back. */
  readonly maxMessage: number;
  /** Milliseconds that the plugin may be busy without an answer. */
  readonly timeout: number;
  /** Learns, once, that the plugin has failed and will answer nothing any more. */
  readonly onFailure: (why: string) => void;
}

/** A call that has no answer yet. */
interface Pending {
  readonly name: CallName;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The watch looks so many times during the time that a plugin may be busy. */
const looks = 4;
/** Milliseconds that ending a worker may take until it is ended by force. */
const endTimeout = 1000;

/** A plugin that runs in a worker of its own. */
export class PluginLink {
  #options: PluginLinkOptions;
  #worker: Worker;
  #port: MessagePort;
  #pending = new Map<number, Pending>();
  /** How many of these the plugin owes before it may turn to anything else. */
  #owed = 0;
  #lastId = 0;
  #batch: Call[] = [];
  #transfers: ArrayBuffer[] = [];
  #failure: Error | undefined;
  #ended = Promise.withResolvers<void>();
  #ending: Promise<void> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  /** How often the watch has looked since the last answer. */
  #silentLooks = 0;

  /**
   * Starts the worker.
   *
   * @param options The plugin, and its limits.
   * @throws {Deno.errors.NotCapable} If the program lacks the permissions.
   */
  constructor(options: PluginLinkOptions) {
    this.#options = options;
    this.#worker = new Worker(
      new URL("./worker.ts", import.meta.url).href,
      {
        type: "module",
        name: `plugin ${options.name}`,
        deno: { permissions: options.permissions },
      },
    );
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerEnd>): void => {
      if (data.why === "") this.#ended.resolve();
      else this.#fail(data.why);
    };
    this.#worker.onerror = (event): void => {
      event.preventDefault();
      this.#fail(event.message);
    };
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }): void => this.#receive(data);
    const { sources, maxMessage, timeout } = options;
    const start: WorkerStart = { sources, port: port2, maxMessage, timeout };
    this.#worker.postMessage(start, [port2]);
  }

  /** Why the plugin answers no more, if it has failed. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Calls the plugin. Calls are made in order.
   *
   * @param name What for.
   * @param args Arguments.
   * @param transfer What is given away with them.
   * @returns The answer, which is not checked.
   * @throws {Error} If the plugin throws or has failed.
   */
  call<Name extends CallName>(
    name: Name,
    args: Parameters<SandboxCalls[Name]>,
    transfer?: ArrayBuffer,
  ): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { name, resolve, reject });
    if (isAnsweredAtOnce(name)) this.#owed++;
    this.#post([id, name, args] as unknown as Call, transfer);
    // How long a plugin takes to start is not known, and limited elsewhere.
    if (name !== "load") {
      this.#watch ??= this.#startWatch();
      if (this.#owed === 0) this.#ping();
    }
    return promise;
  }

  /**
   * Tells the plugin something for which there is no answer.
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
   * Ends the worker; what has no answer fails. A second call waits for the first.
   *
   * @returns A promise that resolves when the worker is gone.
   */
  end(): Promise<void> {
    this.#close(new Error(this.#describe("it was ended")));
    return this.#ending ??= this.#endWorker();
  }

  async #endWorker(): Promise<void> {
    const timer = setTimeout(this.#ended.resolve, endTimeout);
    this.#worker.postMessage("end");
    await this.#ended.promise;
    clearTimeout(timer);
    this.#worker.terminate();
  }

  /** All that was called since the event loop's last turn goes out as one message. */
  #post(call: Call, transfer?: ArrayBuffer): void {
    if (this.#batch.length === 0) queueMicrotask(() => this.#flush());
    this.#batch.push(call);
    if (transfer !== undefined) this.#transfers.push(transfer);
  }

  #flush(): void {
    const batch = this.#batch;
    const transfers = this.#transfers;
    this.#batch = [];
    this.#transfers = [];
    if (this.#failure === undefined) this.#port.postMessage(batch, transfers);
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

  #settle([id, value, error]: Answer): boolean {
    const pending = this.#pending.get(id);
    if (pending === undefined) return false;
    this.#pending.delete(id);
    if (isAnsweredAtOnce(pending.name)) this.#owed--;
    if (error === undefined) pending.resolve(value);
    else pending.reject(new Error(this.#describe(error)));
    return true;
  }

  /**
   * Looks from time to time whether the plugin still answers. Looks are counted
   * instead of time: a server that could not look is not the plugin's fault.
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

  /** A plugin need not answer a query at once, but has to be able to. */
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
    this.#port.close();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #describe(why: string): string {
    return `plugin "${this.#options.name}": ${why}`;
  }
}
