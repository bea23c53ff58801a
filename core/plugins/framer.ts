/**
 * The framing function of a plugin that runs elsewhere.
 *
 * @module
 */

import {
  type EncodedMessages,
  openEncoder,
  type StreamEncoder,
} from "../bridge/message_encoder.ts";
import {
  type FramedRead,
  MessageFramer,
  type StreamFramer,
} from "../bridge/message_framer.ts";
import { CloseError } from "../errors.ts";
import type { IncomingMessages } from "../websocket/engine.ts";
import type { PluginLink } from "./link.ts";
import { ListedFramer, toError } from "./listing_framer.ts";
import {
  asBulk,
  asOpened,
  type Bulk,
  type CallName,
  type OpenedFramer,
  type SandboxCalls,
} from "./messages.ts";
import type { PluginSupervisor } from "./supervisor.ts";

let lastId = 0;

/**
 * Frames the data of one peer with a plugin's framing function. The plugin gets
 * a copy of each read and answers with lengths; the server checks them and cuts
 * the peer's own bytes, as for a built-in framing function.
 */
export class PluginFramer implements StreamFramer {
  readonly encoder: StreamEncoder | undefined;
  #process: PluginSupervisor;
  #link: PluginLink;
  #id: number;
  #answers: ListedFramer;
  #framer: MessageFramer;
  #closed = false;

  private constructor(
    process: PluginSupervisor,
    link: PluginLink,
    id: number,
    { encodes, append }: OpenedFramer,
  ) {
    this.#process = process;
    this.#link = link;
    this.#id = id;
    this.#answers = new ListedFramer(process.name);
    const { maxMessage } = process.options;
    this.#framer = new MessageFramer(this.#answers, { maxMessage });
    this.encoder = encodes
      ? {
        encode: (messages) => this.#encode(messages),
        written: (): void => {},
      }
      : append &&
        openEncoder({ append: Uint8Array.from(append) }, { maxMessage });
  }

  /**
   * Lets a plugin make the framer of a connection.
   *
   * @param process The plugin.
   * @param framing Name of the framing function.
   * @param config Its configuration.
   * @returns The framer.
   * @throws {Error} If the plugin does not run, or refuses the configuration.
   */
  static async open(
    process: PluginSupervisor,
    framing: string,
    config: string,
  ): Promise<PluginFramer> {
    const link = await process.running();
    const id = ++lastId;
    const opened = asOpened(await link.call("open", [id, framing, config]));
    process.retain();
    return new PluginFramer(process, link, id, opened);
  }

  room(minimum: number): Uint8Array<ArrayBuffer> {
    return this.#framer.room(minimum);
  }

  more(count: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#framer.more(count);
  }

  async push(count: number): Promise<FramedRead> {
    const read = this.#framer.fresh(count);
    this.#answers.give(await this.#ask("push", [this.#id, read]));
    return this.#closed ? nothing : this.#framer.push(count);
  }

  async end(): Promise<FramedRead> {
    this.#answers.give(await this.#ask("end", [this.#id]));
    return this.#closed ? nothing : this.#framer.end();
  }

  async #encode(
    { data, ends, turns = [] }: IncomingMessages,
  ): Promise<EncodedMessages> {
    // Only a buffer that belongs to no pool can be transferred.
    const bytes = data as Uint8Array<ArrayBuffer>;
    const answer = await this.#ask("encode", [this.#id, bytes, ends, turns]);
    const { numbers, bytes: encoded = nothing.data, failure } = answer;
    const { maxMessage } = this.#process.options;
    if (!areEnds(numbers, encoded.length, ends.length, maxMessage)) {
      throw framingFailed(
        new TypeError("Cannot use what the plugin encoded: it is malformed"),
      );
    }
    return {
      data: encoded,
      ends: [...numbers],
      ...failure && { failure: this.#toCloseError(failure) },
    };
  }

  #toCloseError(failure: NonNullable<Bulk["failure"]>): CloseError {
    const error = toError(this.#process.name, failure);
    return error instanceof CloseError ? error : framingFailed(error);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#framer.close();
    this.#link.tell("close", [this.#id]);
    this.#process.release();
  }

  async #ask<Name extends CallName>(
    name: Name,
    args: Parameters<SandboxCalls[Name]>,
  ): Promise<Bulk> {
    try {
      return asBulk(await this.#link.call(name, args));
    } catch (cause) {
      throw framingFailed(cause);
    }
  }
}

const nothing = { data: new Uint8Array(0), messages: [] };

function framingFailed(cause: unknown): CloseError {
  return new CloseError(1011, "framing function failed", { cause });
}

/** Whether numbers say where each of some messages ends. */
function areEnds(
  numbers: Bulk["numbers"],
  length: number,
  count: number,
  most: number,
): boolean {
  let start = 0;
  for (const end of numbers) {
    if (end < start || end - start > most) return false;
    start = end;
  }
  return start === length && numbers.length <= count;
}
