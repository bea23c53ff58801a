/**
 * A plugin in a worker of this process.
 *
 * @module
 */

import { tailroom } from "../memory/buffer_pool.ts";
import type { Isolate, IsolateOptions } from "./isolate.ts";
import type { Call } from "./messages.ts";
import { openingGrants } from "./permissions.ts";
import {
  copiedBytes,
  type FromWorker,
  type WorkerStart,
} from "./worker_messages.ts";

/** Pieces of memory that are kept for the next calls. */
const mostSpares = 4;
/** Most bytes of a piece that is kept. */
const mostSpareBytes = 2 * 1024 * 1024;
/** Milliseconds that ending a worker may take until it is ended by force. */
const endTimeout = 1000;

/** A plugin's worker. */
export class WorkerIsolate implements Isolate {
  #worker: Worker;
  #port: MessagePort;
  #ended = Promise.withResolvers<void>();
  #isEnding = false;
  #spares: ArrayBuffer[] = [];

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
    port1.onmessage = ({ data }): void => {
      options.onAnswers(this.#takeSpares(data));
    };
    const { maxMessage, timeout } = options;
    const grants = openingGrants(options.permissions);
    const start: WorkerStart = { port: port2, maxMessage, timeout, grants };
    this.#worker.postMessage(start, [port2]);
  }

  post(calls: readonly Call[]): void {
    const transfers: ArrayBuffer[] = [];
    // Posting a view would copy the whole buffer behind it.
    const copies = calls.map((call): Call => {
      const [id, name, args] = call;
      if (name !== "push" && name !== "encode") return call;
      const [framer, bytes, ...others] = args;
      const copy = this.#copy(bytes);
      if (copy.length > copiedBytes) transfers.push(copy.buffer);
      return [id, name, [framer, copy, ...others]] as unknown as Call;
    });
    this.#port.postMessage(copies, transfers);
  }

  /** Allocating memory costs more than copying into it. */
  #copy(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { length } = bytes;
    if (length <= copiedBytes) return bytes.slice();
    const index = this.#spares.findIndex((spare) => spare.byteLength >= length);
    const spare = index < 0
      ? new ArrayBuffer(roundUp(length))
      : this.#spares.splice(index, 1)[0]!;
    const copy = new Uint8Array(spare, 0, length);
    copy.set(bytes);
    return copy;
  }

  #takeSpares(message: unknown): unknown {
    if (Array.isArray(message)) return message;
    const { answers, spares } = Object(message);
    if (!Array.isArray(spares)) return answers;
    for (const spare of spares.slice(0, mostSpares)) {
      const isOne = spare instanceof ArrayBuffer &&
        spare.byteLength <= mostSpareBytes;
      if (isOne && this.#spares.length < mostSpares) this.#spares.push(spare);
    }
    return answers;
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

/** Its size suits other reads, too. */
function roundUp(length: number): number {
  let size = copiedBytes;
  while (size + tailroom < length) size *= 4;
  return size + tailroom;
}
