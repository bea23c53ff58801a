/**
 * Writes the lines of the log to stderr or a file, without blocking the server.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { describeError, FileConfigError } from "../errors.ts";

/**
 * Most characters of one write: up to 4096 bytes, a write to a pipe is not
 * mixed with those of other threads.
 */
const chunkLimit = 2048;

/**
 * Milliseconds after a write in which further lines are collected: a write costs
 * more than making ten lines, and a busy server makes thousands in a second.
 */
const gathering = 10;

/** Milliseconds before a write that failed is tried again. */
const retryPause = 50;

/** Milliseconds in which a file has to open: a pipe waits for its reader. */
const openTimeout = 3000;

/** Milliseconds that waiting lines have before a file is closed. */
const closeTimeout = 300;

/** Takes bytes, as `Deno.stderr` does. */
export interface LogWriter {
  /** Writes some of the bytes, and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Options for {@linkcode LogOutput}. */
export interface LogOutputOptions {
  /**
   * Characters that may wait; lines that come when there is no room for them are
   * dropped, and counted. It has room for thousands of connections that end in
   * one turn of the event loop.
   *
   * @default {2097152}
   */
  readonly room?: number;
  /**
   * The option that names the file, for errors.
   *
   * @default {"log-file"}
   */
  readonly option?: string;
  /**
   * Called when a write fails after one that did not, and not again as long as
   * they fail.
   */
  readonly onFailure?: (error: unknown) => void;
}

/** Lines that are written together. */
interface Chunk {
  text: string;
  lines: number;
}

/**
 * Writes lines: those of one turn of the event loop together, and those that
 * come soon after a write together, with one write at a time. It blocks no
 * caller: if the reader stops, or a disk hangs, lines wait as long as there is
 * room, and further ones are dropped.
 */
export class LogOutput implements AsyncDisposable {
  #writer: LogWriter;
  #file: { readonly path: string; handle: Deno.FsFile } | undefined;
  #room: number;
  #option: string;
  #onFailure: (error: unknown) => void;
  /** Whether the last write failed. */
  #isFailing = false;
  /** Whether a line was written in part, without its end. */
  #isCut = false;
  #waiting: Chunk[] = [];
  #length = 0;
  #dropped = 0;
  #tell: (lines: number) => void = () => {};
  #isScheduled = false;
  /** Resolves when no line waits any more, and none is collected; absent: that is so. */
  #writing: Promise<void> | undefined;
  /** Ends the collecting of lines. */
  #goOn: (() => void) | undefined;
  /** The lines are waited for. */
  #isHurried = false;

  /**
   * Constructs a new instance.
   *
   * @param writer Where the lines go.
   * @param options How much may wait.
   */
  constructor(writer: LogWriter, options: LogOutputOptions = {}) {
    const { room = 2 * 1024 * 1024, option = "log-file" } = options;
    this.#onFailure = options.onFailure ?? (() => {});
    this.#writer = writer;
    this.#room = room;
    this.#option = option;
  }

  /**
   * Appends the lines to a file from now on.
   *
   * @param path The file; it is created if there is none.
   * @throws {ConfigError} If it cannot be written to.
   */
  async open(path: string): Promise<void> {
    // A configuration that is loaded again names the same file.
    if (this.#file !== undefined) return;
    let handle: Deno.FsFile;
    try {
      handle = await openFile(path);
    } catch (error) {
      throw new FileConfigError(
        `cannot use ${this.#option}: cannot write to "${path}": ${
          describeError(error)
        }`,
        { cause: error, option: this.#option, file: path },
      );
    }
    this.#file = { path, handle };
    this.#writer = handle;
  }

  /**
   * Opens the file again, after it was moved away; without a file, it does
   * nothing. Lines that were added before go to the old file, unless that takes
   * them too slowly.
   *
   * @throws {Error} If it cannot be opened; lines still go to the old file.
   */
  async reopen(): Promise<void> {
    if (this.#file === undefined) return;
    const handle = await openFile(this.#file.path);
    await this.#finish(closeTimeout);
    const old = this.#file.handle;
    this.#file.handle = handle;
    this.#writer = handle;
    this.#isCut = false;
    old.close();
  }

  /**
   * Sets the function that reports dropped lines, when there is room again.
   *
   * @param tell Gets their number, and may add a line.
   */
  tellDropped(tell: (lines: number) => void): void {
    this.#tell = tell;
  }

  /**
   * Adds a line.
   *
   * @param line The line, with its end.
   */
  add(line: string): void {
    if (this.#length + line.length > this.#room) {
      this.#dropped++;
      return;
    }
    this.#length += line.length;
    const last = this.#waiting.at(-1);
    if (last !== undefined && last.text.length + line.length <= chunkLimit) {
      last.text += line;
      last.lines++;
    } else {
      this.#waiting.push({ text: line, lines: 1 });
    }
    if (this.#writing !== undefined || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#start();
    });
  }

  /**
   * Waits until all lines are written, before the end of the process or of the
   * thread.
   *
   * @param milliseconds The longest wait.
   */
  async flush(milliseconds: number): Promise<void> {
    this.#tellDropped();
    this.#start();
    await this.#finish(milliseconds);
  }

  /** Closes the file after the last write, unless that takes too long. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#finish(closeTimeout);
    this.#onFailure = () => {};
    this.#file?.handle.close();
  }

  /** Collects no lines until those that wait are written, or the time is over. */
  async #finish(milliseconds: number): Promise<void> {
    this.#isHurried = true;
    this.#goOn?.();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    await Promise.race([this.#writing, promise]);
    clearTimeout(timer);
    this.#isHurried = false;
  }

  #start(): void {
    if (this.#waiting.length === 0) return;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
      // A line may have been added in the meantime.
      this.#start();
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      for (const { text, lines } of this.#waiting.splice(0)) {
        const isWritten = await this.#write(text);
        this.#length -= text.length;
        if (!isWritten) this.#dropped += lines;
        else this.#tellDropped();
      }
      if (!this.#isHurried) await this.#gather();
    }
  }

  /** Waits while lines are collected. */
  async #gather(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#goOn = resolve;
    const timer = setTimeout(resolve, gathering);
    await promise;
    clearTimeout(timer);
    this.#goOn = undefined;
  }

  /** Writes a batch, and returns whether that succeeded. */
  async #write(text: string): Promise<boolean> {
    const writer = this.#writer;
    // What was written of a line must not become the beginning of another one.
    const bytes = encoder.encode(this.#isCut ? `\n${text}` : text);
    let rest: Uint8Array = bytes;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(await writer.write(rest));
      } catch (error) {
        if (error instanceof Deno.errors.WouldBlock) {
          await new Promise((resolve) => setTimeout(resolve, retryPause));
          continue;
        }
        if (writer === this.#writer) this.#fail(error, bytes, rest);
        return false;
      }
    }
    this.#isFailing = this.#isCut = false;
    return true;
  }

  /** The reader has closed the pipe, the disk is full, or the like. */
  #fail(error: unknown, bytes: Uint8Array, { length }: Uint8Array): void {
    const written = bytes.subarray(0, bytes.length - length);
    if (written.length > 0) this.#isCut = written.at(-1) !== lineEnd;
    if (!this.#isFailing) this.#onFailure(error);
    this.#isFailing = true;
  }

  /** Reports it when half of the room is free, so that the line fits. */
  #tellDropped(): void {
    if (this.#dropped === 0 || this.#length * 2 > this.#room) return;
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#tell(dropped);
  }
}

const encoder = new TextEncoder();

const lineEnd = 10;

async function openFile(path: string): Promise<Deno.FsFile> {
  const opening = Deno.open(path, { append: true, create: true, mode: 0o640 });
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error("it does not open; a pipe needs a reader"));
    opening.then((file) => file.close(), () => {});
  }, openTimeout);
  try {
    return await Promise.race([opening, promise]);
  } finally {
    clearTimeout(timer);
  }
}
