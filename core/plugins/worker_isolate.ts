/**
 * A plugin in a worker of this process.
 *
 * @module
 */

import type { Isolate, IsolateOptions } from "./isolate.ts";
import type { Call } from "./messages.ts";
import { openingGrants } from "./permissions.ts";
import type { FromWorker, WorkerStart } from "./worker_messages.ts";

/** Up to so many bytes are copied into a message; more are transferred with it. */
const copiedBytes = 16 * 1024;
/** Milliseconds that ending a worker may take until it is ended by force. */
const endTimeout = 1000;

/** A plugin's worker. */
export class WorkerIsolate implements Isolate {
  #worker: Worker;
  #port: MessagePort;
  #ended = Promise.withResolvers<void>();
  #isEnding = false;

  /**
   * Starts the worker.
   *
   * @param options The plugin, and its limits.
   * @throws {Deno.errors.NotCapable} If the program lacks the permissions.
   */
  constructor(options: IsolateOptions) {
    this.#worker = new Worker(
      new URL("./worker.ts", import.meta.url).href,
      {
        type: "module",
        name: `plugin ${options.name}`,
        deno: { permissions: options.permissions },
      },
    );
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>): void => {
      if ("line" in data) options.onOutput(data.line);
      else if (data.why === "") this.#ended.resolve();
      else if (!this.#isEnding) options.onEnd(data.why);
    };
    this.#worker.onerror = (event): void => {
      event.preventDefault();
      if (!this.#isEnding) options.onEnd(event.message);
    };
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }): void => options.onAnswers(data);
    const { maxMessage, timeout } = options;
    const grants = openingGrants(options.permissions);
    const start: WorkerStart = { port: port2, maxMessage, timeout, grants };
    this.#worker.postMessage(start, [port2]);
  }

  post(calls: readonly Call[]): void {
    const transfers: ArrayBuffer[] = [];
    // A view takes all of the memory along in which it lies.
    const copies = calls.map((call): Call => {
      const [id, name, args] = call;
      if (name !== "push" && name !== "encode") return call;
      const [framer, bytes, ...others] = args;
      const copy = bytes.slice();
      if (copy.length > copiedBytes) transfers.push(copy.buffer);
      return [id, name, [framer, copy, ...others]] as unknown as Call;
    });
    this.#port.postMessage(copies, transfers);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#port.close();
    const timer = setTimeout(this.#ended.resolve, endTimeout);
    this.#worker.postMessage("end");
    await this.#ended.promise;
    clearTimeout(timer);
    this.#worker.terminate();
  }
}
