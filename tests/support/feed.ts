/**
 * Things that come one after another and are waited for, for tests.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";

/** Someone who waits for an item. */
interface Waiter<T> {
  readonly matches: (item: T) => boolean;
  readonly resolve: (item: T) => void;
  readonly reject: (error: Error) => void;
}

/** The lines of a program's output, to be waited for in any order. */
export class Feed<T> {
  /** Everything that has come so far. */
  readonly all: T[] = [];
  /** Resolves when nothing more will come. */
  readonly ended: Promise<void>;
  #lines: string[] = [];
  #untaken: T[] = [];
  #waiters = new Set<Waiter<T>>();
  #hasEnded = false;

  /**
   * @param lines Where the items come from; read to its end.
   * @param parse Makes an item of a line.
   */
  constructor(lines: ReadableStream<string>, parse: (line: string) => T) {
    this.ended = this.#read(lines, parse);
  }

  /**
   * Waits for an item. Each item is given once.
   *
   * @param matches Whether it is the one.
   * @returns The first one that matches, past or to come.
   * @throws {Error} If the feed ends without it.
   */
  take(matches: (item: T) => boolean = () => true): Promise<T> {
    const index = this.#untaken.findIndex(matches);
    if (index >= 0) return Promise.resolve(this.#untaken.splice(index, 1)[0]!);
    if (this.#hasEnded) return Promise.reject(this.#missing());
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiters.add({ matches, resolve, reject });
    return promise;
  }

  async #read(
    lines: ReadableStream<string>,
    parse: (line: string) => T,
  ): Promise<void> {
    for await (const line of lines) {
      this.#lines.push(line);
      this.#add(parse(line));
    }
    this.#hasEnded = true;
    for (const { reject } of this.#waiters) reject(this.#missing());
  }

  #add(item: T): void {
    this.all.push(item);
    for (const waiter of this.#waiters) {
      if (!waiter.matches(item)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(item);
      return;
    }
    this.#untaken.push(item);
  }

  #missing(): Error {
    const last = this.#lines.slice(-20).join("\n");
    return new Error(
      `The program ended without the line; its last ones:\n${last}`,
    );
  }
}

/**
 * The lines of a program's output.
 *
 * @param stream Its bytes.
 */
export function linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): ReadableStream<string> {
  return stream
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
}
