/**
 * The framing function of a plugin that runs in a worker.
 *
 * @module
 */

import { CloseError } from "../errors.ts";
import {
  type FramedRead,
  mostFramed,
  type StreamFramer,
} from "../bridge/message_framer.ts";
import type { PluginLink } from "./link.ts";
import { asFrames, copiedBytes, type SandboxFrames } from "./messages.ts";
import type { PluginProcess } from "./process.ts";
import { tailroom } from "../memory/buffer_pool.ts";
import { largestTogether } from "../memory/read_buffer.ts";
import { ReadSize } from "../memory/read_size.ts";
import type { OutgoingMessage } from "../websocket/engine.ts";

let lastId = 0;

/**
 * Frames what is read from one peer in a plugin's worker. Large reads change
 * hands without being copied, and their memory comes back with the messages.
 */
export class PluginFramer implements StreamFramer {
  #process: PluginProcess;
  #link: PluginLink;
  #id: number;
  #memory = new Uint8Array(0);
  /** Offset at which bytes begin that were not yet handed over. */
  #start = 0;
  /** Offset at which the room offered last begins. */
  #roomStart = 0;
  #readSize = new ReadSize();
  #closed = false;

  private constructor(process: PluginProcess, link: PluginLink, id: number) {
    this.#process = process;
    this.#link = link;
    this.#id = id;
  }

  /**
   * Lets a plugin make the framer of a connection.
   *
   * @param process The plugin.
   * @param framing Name of the framing function.
   * @param config Its configuration.
   * @returns The framer.
   * @throws {Error} If the plugin does not run, or does not take the configuration.
   */
  static async open(
    process: PluginProcess,
    framing: string,
    config: string,
  ): Promise<PluginFramer> {
    const link = await process.running();
    const id = ++lastId;
    await link.call("open", [id, framing, config]);
    process.retain();
    return new PluginFramer(process, link, id);
  }

  room(minimum: number): Uint8Array<ArrayBuffer> {
    const size = Math.max(this.#readSize.bytes, minimum) + tailroom;
    // Also gives up memory that is much larger than what is read.
    const { length } = this.#memory;
    if (length < size || length > 4 * size) this.#memory = new Uint8Array(size);
    this.#start = this.#roomStart = 0;
    return this.#memory.subarray(0, size);
  }

  more(count: number): Uint8Array<ArrayBuffer> | undefined {
    const left = largestTogether - count;
    if (left <= 0) return undefined;
    const end = this.#start + count;
    const least = Math.min(this.#readSize.bytes / 2, left);
    if (this.#memory.length - end < least) {
      const bytes = this.#memory.subarray(this.#start, end);
      this.#readSize.grow(largestTogether);
      const size = Math.max(this.#readSize.bytes, 2 * count);
      this.#memory = new Uint8Array(size + tailroom);
      this.#memory.set(bytes);
      this.#start = 0;
    }
    this.#roomStart = this.#start + count;
    return this.#memory.subarray(this.#roomStart);
  }

  async push(count: number): Promise<FramedRead> {
    const start = this.#start;
    const end = this.#start += count;
    // Memory is not handed over while a read goes on in the rest of it.
    const isReading = end === this.#roomStart;
    const isHandedOver = count > copiedBytes && start === 0 && !isReading;
    const bytes = isHandedOver ? this.#memory : this.#memory.slice(start, end);
    this.#readSize.follow(count);
    const frames = await this.#call(() =>
      this.#link.call(
        "push",
        [this.#id, bytes, count],
        ...isHandedOver ? [bytes.buffer] : [],
      )
    );
    if (!isReading && frames.data.byteLength >= this.#readSize.bytes) {
      this.#memory = frames.data;
    }
    return this.#toRead(frames);
  }

  async end(): Promise<FramedRead> {
    return this.#toRead(
      await this.#call(() => this.#link.call("end", [this.#id])),
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readSize.release();
    this.#link.tell("close", [this.#id]);
    this.#process.release();
  }

  async #call(call: () => Promise<unknown>): Promise<SandboxFrames> {
    try {
      const most = mostFramed(this.#process.options.maxMessage);
      return asFrames(await call(), most);
    } catch (cause) {
      throw new CloseError(1011, "framing function failed", { cause });
    }
  }

  #toRead({ data, places, failure }: SandboxFrames): FramedRead {
    const messages: OutgoingMessage[] = [];
    for (let index = 0; index < places.length; index += 3) {
      const start = places[index]!;
      const end = places[index + 1]!;
      messages.push({ start, end, text: places[index + 2] === 1 });
    }
    if (failure === undefined) return { data, messages };
    const { code, message, cause } = failure;
    const options = cause === ""
      ? {}
      : { cause: new Error(`plugin "${this.#process.name}": ${cause}`) };
    return { data, messages, failure: new CloseError(code, message, options) };
  }
}
