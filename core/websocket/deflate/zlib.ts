/**
 * Raw DEFLATE (RFC 1951) by the zlib of `node:zlib`, with a context that is kept
 * from one call to the next, and without a turn of the event loop.
 *
 * The methods of a `zlib` stream can do the one or the other: `write()` answers
 * by an event, and `deflateRawSync()` starts again each time. What they call can
 * do both: the stream's handle, as Node and Deno have it, writes to memory of
 * ours. {@linkcode assertUsable} tells if a runtime no longer has it.
 *
 * @module
 */

import process from "node:process";
import type { Zlib, ZlibReset } from "node:zlib";

/** What a stream of `node:zlib` keeps its state in. */
interface Stream extends Zlib, ZlibReset {
  /** The context. */
  readonly _handle: Handle | null;
  /** What is left after a call: room for output, then input. */
  readonly _writeState: Uint32Array;
}

/** A context of zlib. */
interface Handle {
  /** Called by `writeSync()` if the input is not valid. */
  onerror: () => void;
  /** Compresses or decompresses from one place to another. */
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void;
}

/** `Z_SYNC_FLUSH`: all output that there can be is made, and ends at a byte. */
const syncFlush = 2;

/** The module is loaded when a client first agrees to compress. */
function load(): typeof import("node:zlib") {
  return process.getBuiltinModule("node:zlib");
}

/** A context, for one direction. */
class Context {
  /** Bytes of input that the last call did not take. */
  inputLeft = 0;
  /** Bytes of room that the last call did not use. */
  roomLeft = 0;
  /** Whether its input was not valid: then it is of no use any more. */
  isBroken = false;
  #stream: Stream;

  /** Takes ownership of a stream. */
  constructor(stream: Stream) {
    this.#stream = stream;
    stream._handle!.onerror = () => {
      this.isBroken = true;
    };
  }

  /**
   * Compresses or decompresses.
   *
   * @param input What there is.
   * @param output Where to.
   * @param at Offset in `output` at which to begin.
   * @param room Bytes that may be written there.
   */
  write(
    input: Uint8Array,
    output: Uint8Array,
    at: number,
    room: number,
  ): void {
    const { _handle: handle, _writeState: state } = this.#stream;
    handle!.writeSync(syncFlush, input, 0, input.length, output, at, room);
    this.roomLeft = state[0]!;
    this.inputLeft = state[1]!;
  }

  /** Forgets what went through. */
  reset(): void {
    this.#stream.reset();
  }

  /** Gives the memory back. */
  close(): void {
    this.#stream.close();
  }
}

export type { Context };

/** The stream's own buffer, which is not used: as small as it can be. */
const chunkSize = 64;

/**
 * The level of zlib-ng, which is the runtime's zlib, by the level of zlib, which
 * users know: the fastest one that makes text no larger than zlib does, or by a
 * hundredth (5). Level 1 stays the fastest there is. Level 9 of zlib-ng makes
 * some text larger than its level 8, and takes seconds for two megabytes of
 * other text.
 */
const levels = [0, 1, 3, 4, 4, 6, 7, 7, 8, 8] as const;

/**
 * Makes a context that compresses.
 *
 * @param windowBits Base-2 logarithm of its window, 9 to 15.
 * @param memLevel 1 to 9.
 * @param zlibLevel 1, the fastest, to 9, the smallest, as zlib has them.
 */
export function createDeflater(
  windowBits: number,
  memLevel: number,
  zlibLevel: number,
): Context {
  const level = levels[zlibLevel]!;
  const options = { windowBits, memLevel, level, chunkSize };
  return new Context(load().createDeflateRaw(options) as unknown as Stream);
}

/**
 * Makes a context that decompresses.
 *
 * @param windowBits Base-2 logarithm of its window, 8 to 15.
 */
export function createInflater(windowBits: number): Context {
  const options = { windowBits, chunkSize };
  return new Context(load().createInflateRaw(options) as unknown as Stream);
}

/**
 * Asserts that the runtime's zlib can be used so.
 *
 * @throws {TypeError} If it cannot.
 */
export function assertUsable(): void {
  try {
    using stack = new DisposableStack();
    const deflater = stack.adopt(createDeflater(9, 1, 1), close);
    const inflater = stack.adopt(createInflater(15), close);
    const text = new Uint8Array(100).fill(0x61);
    const between = new Uint8Array(100);
    deflater.write(text, between, 0, between.length);
    const compressed = between.subarray(0, between.length - deflater.roomLeft);
    const result = new Uint8Array(101);
    inflater.write(compressed, result, 0, result.length);
    if (inflater.roomLeft !== 1 || result.indexOf(0) !== text.length) {
      throw new TypeError("zlib gave back something else");
    }
  } catch (error) {
    throw new TypeError(
      "Cannot compress: node:zlib of this Deno does not work as expected",
      { cause: error },
    );
  }
}

function close(context: Context): void {
  context.close();
}
