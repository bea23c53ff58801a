/**
 * A plugin in a process of its own.
 *
 * @module
 */

import { mostFramed } from "../bridge/message_framer.ts";
import { largestSize } from "../memory/buffer_pool.ts";
import type { Isolate, IsolateOptions } from "./isolate.ts";
import { readLines } from "./lines.ts";
import type { Call } from "./messages.ts";
import { openingGrants } from "./permissions.ts";
import type { ProcessProgram } from "./process_program.ts";
import {
  decodeAnswer,
  encodeCalls,
  encodeStart,
  FrameSplitter,
  type FromProcess,
} from "./wire.ts";

/** Bytes of an answer beside those about a framing function's messages, at the most. */
const mostAnswer = 8 * 1024 * 1024 + 4096;
/**
 * Most lines in a second; a plugin that writes more has failed, because reading
 * them costs the server time.
 */
const mostLines = 10_000;
const second = 1000;
/** Calls with more bytes than this use memory that is not kept. */
const smallBatch = 16 * 1024;
/** Bytes of memory that is kept: for the largest read. */
const spareSize = largestSize + 64 * 1024;

/** A plugin's process. */
export class ProcessIsolate implements Isolate {
  #options: IsolateOptions;
  #child: Deno.ChildProcess;
  #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #directory: string | undefined;
  #spares: Uint8Array<ArrayBuffer>[] = [];
  #gone: Promise<void>;
  #isOver = false;
  #linesSince = 0;
  #lines = 0;

  /**
   * Starts the process.
   *
   * @param options The plugin, and its limits.
   * @param program What is run.
   * @throws {Error} If it cannot be started.
   */
  constructor(options: IsolateOptions, program: ProcessProgram) {
    this.#options = options;
    this.#directory = makeDirectory();
    try {
      this.#child = new Deno.Command(program.command, {
        args: [...program.toArguments(options.permissions)],
        cwd: this.#directory ?? "/",
        clearEnv: true,
        env: { ...program.toEnvironment(options.permissions) },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        // Ctrl-C in a terminal is meant for the server, which ends the process
        // itself.
        detached: true,
      }).spawn();
    } catch (error) {
      removeDirectory(this.#directory);
      throw error;
    }
    this.#writer = this.#child.stdin.getWriter();
    this.#gone = this.#wait([this.#readAnswers(), this.#readOutput()]);
    const grants = openingGrants(options.permissions);
    this.#write(encodeStart({ maxMessage: options.maxMessage, grants }));
  }

  post(calls: readonly Call[]): void {
    let memory: Uint8Array<ArrayBuffer> | undefined;
    const bytes = encodeCalls(calls, (size) => memory = this.#takeSpare(size));
    this.#write(bytes).then(() => this.#keep(memory));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#kill();
    await this.#gone;
  }

  async #write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    // The process's status tells that it has ended, and why.
    await this.#writer.write(bytes).catch(() => {});
  }

  /** Allocating memory costs more than copying into it. */
  #takeSpare(size: number): Uint8Array<ArrayBuffer> {
    if (size <= smallBatch) return new Uint8Array(size);
    const index = this.#spares.findIndex(({ length }) => length >= size);
    return index < 0
      ? new Uint8Array(Math.max(size, spareSize))
      : this.#spares.splice(index, 1)[0]!;
  }

  #keep(memory: Uint8Array<ArrayBuffer> | undefined): void {
    if (memory === undefined || memory.length < spareSize) return;
    if (memory.length > 2 * spareSize || this.#spares.length >= 2) return;
    this.#spares.push(memory);
  }

  async #wait(reads: readonly Promise<void>[]): Promise<void> {
    const { code, signal } = await this.#child.status;
    // The pipe has a descriptor until then. What was not written is lost.
    await this.#writer.abort().catch(() => {});
    // It may have said why.
    await Promise.all(reads);
    this.#fail(
      signal === null
        ? `it ended itself with status ${code}`
        : `it was ended by ${signal}`,
    );
    removeDirectory(this.#directory);
  }

  async #readAnswers(): Promise<void> {
    const { maxMessage, onAnswers } = this.#options;
    // Each byte that is held may be a message of its own, beside bytes in its place.
    const most = mostAnswer + 16 * (maxMessage + largestSize) +
      mostFramed(maxMessage);
    const splitter = new FrameSplitter(most);
    try {
      for await (const chunk of this.#child.stdout) {
        this.#leaveDirectory();
        const answers = [];
        for (const payload of splitter.add(chunk)) {
          const message = decodeAnswer(payload);
          if (message.kind === "answer") answers.push(message.answer);
          else this.#take(message);
        }
        if (this.#isOver) return;
        if (answers.length > 0) onAnswers(answers);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#fail(`it sent what is no answer: ${why}`);
    }
  }

  /**
   * Removes the directory of a process as soon as it has started. On Unix the
   * process stays in the removed directory, in which it cannot create anything,
   * and a server that is killed leaves no directory behind.
   */
  #leaveDirectory(): void {
    if (this.#directory === undefined || Deno.build.os === "windows") return;
    removeDirectory(this.#directory);
    this.#directory = undefined;
  }

  #take(message: Exclude<FromProcess, { kind: "answer" }>): void {
    if (message.kind === "failure") {
      this.#fail(message.why.split("\n", 1)[0]!.slice(0, 1000));
    } else {
      this.#takeLine(message.line);
    }
  }

  #takeLine(line: string): void {
    const now = performance.now();
    if (now - this.#linesSince >= second) {
      this.#linesSince = now;
      this.#lines = 0;
    }
    if (++this.#lines > mostLines) this.#fail("it writes without end");
    else if (!this.#isOver) this.#options.onOutput(line);
  }

  async #readOutput(): Promise<void> {
    for await (const line of readLines(this.#child.stderr)) {
      this.#takeLine(line);
      if (this.#isOver) return;
    }
  }

  /** The first reason counts; the others follow from it. */
  #fail(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#kill();
    this.#options.onEnd(why);
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

/** An empty directory, if the program may make one. */
function makeDirectory(): string | undefined {
  try {
    return Deno.makeTempDirSync({ prefix: "websocksy-plugin-" });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

function removeDirectory(path: string | undefined): void {
  if (path === undefined) return;
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    // Another program that cleans the temporary directory was faster.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
