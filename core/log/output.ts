/**
 * Where the lines of the log go: stderr or a file, written without waiting for
 * either.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { ConfigError, describeError } from "../errors.ts";

/**
 * Characters that are written at once, at the most: what goes into a pipe with
 * one write is not mixed with what other threads write, up to 4096 bytes.
 */
const chunkLimit = 2048;

/** Milliseconds before it is tried again to write where there was no room. */
const retryPause = 50;

/** Takes bytes, as `Deno.stderr` does. */
export interface LogWriter {
  /** Writes some of the bytes, and says how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Options for {@linkcode LogOutput}. */
export interface LogOutputOptions {
  /**
   * Characters that may wait; lines that come when there is no room for them are
   * dropped, and counted.
   *
   * @default {262144}
   */
  readonly room?: number;
}

/** Lines that are written together. */
interface Chunk {
  text: string;
  lines: number;
}

/**
 * Writes lines, those of one turn of the event loop together, with one write
 * under way at a time. Nobody waits for it: where nobody reads what it writes,
 * or a disk hangs, lines wait as far as there is room, and are dropped then.
 */
export class LogOutput implements AsyncDisposable {
  #writer: LogWriter;
  #file: { readonly path: string; handle: Deno.FsFile } | undefined;
  #room: number;
  #waiting: Chunk[] = [];
  #length = 0;
  #dropped = 0;
  #tell: (lines: number) => void = () => {};
  #isScheduled = false;
  /** Resolves when nothing waits any more; absent: nothing does. */
  #writing: Promise<void> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param writer Where the lines go.
   * @param options How much may wait.
   */
  constructor(writer: LogWriter, { room = 256 * 1024 }: LogOutputOptions = {}) {
    this.#writer = writer;
    this.#room = room;
  }

  /**
   * Lets the lines go to a file from now on, to its end.
   *
   * @param path The file; it is made if there is none.
   * @throws {ConfigError} If it cannot be written to.
   */
  async open(path: string): Promise<void> {
    // A configuration that is loaded again names the same one.
    if (this.#file !== undefined) return;
    let handle: Deno.FsFile;
    try {
      handle = await openFile(path);
    } catch (error) {
      throw new ConfigError(
        `cannot use log-file: cannot write to "${path}": ${
          describeError(error)
        }`,
        undefined,
        { cause: error },
      );
    }
    this.#file = { path, handle };
    this.#writer = handle;
  }

  /**
   * Opens the file again, for one that was moved away; without one, it does
   * nothing. The lines that came before go to the old one.
   *
   * @throws {Error} If it cannot be; the lines go on to the old one.
   */
  async reopen(): Promise<void> {
    if (this.#file === undefined) return;
    const handle = await openFile(this.#file.path);
    await this.#writing;
    const old = this.#file.handle;
    this.#file.handle = handle;
    this.#writer = handle;
    old.close();
  }

  /**
   * Sets who tells that lines were dropped, when there is room again.
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
   * Waits until what is there is written: before the end of the process, or of
   * the thread.
   *
   * @param milliseconds How long, at the most.
   */
  async flush(milliseconds: number): Promise<void> {
    this.#tellDropped();
    this.#start();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([this.#writing, timeout]);
    clearTimeout(timer);
  }

  /** Closes the file, after what is there. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    this.#file?.handle.close();
  }

  #start(): void {
    if (this.#waiting.length === 0) return;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
      // One may have come meanwhile.
      this.#start();
    });
  }

  async #writeAll(): Promise<void> {
    for (
      let chunk = this.#waiting.shift();
      chunk !== undefined;
      chunk = this.#waiting.shift()
    ) {
      const isWritten = await this.#write(chunk.text);
      this.#length -= chunk.text.length;
      if (!isWritten) this.#dropped += chunk.lines;
      else this.#tellDropped();
    }
  }

  /** Whether it could be written. */
  async #write(text: string): Promise<boolean> {
    let rest: Uint8Array = encoder.encode(text);
    while (rest.length > 0) {
      try {
        rest = rest.subarray(await this.#writer.write(rest));
      } catch (error) {
        // Nobody reads it any more, or the disk is full: there is nowhere to
        // say so but here, later.
        if (!(error instanceof Deno.errors.WouldBlock)) return false;
        await new Promise((resolve) => setTimeout(resolve, retryPause));
      }
    }
    return true;
  }

  /** Tells it once half of the room is free, so that the line for it fits. */
  #tellDropped(): void {
    if (this.#dropped === 0 || this.#length * 2 > this.#room) return;
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#tell(dropped);
  }
}

const encoder = new TextEncoder();

function openFile(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { append: true, create: true, mode: 0o640 });
}
