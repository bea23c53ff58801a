// deno-lint-ignore-file no-console -- a program that prints its results

/**
 * Measures what compressing takes without sockets: lines of a file, each a
 * message, by websocksy's own code and by the zlib of Deno.
 *
 *     deno run -A bench/deflate.ts FILE [LEVEL]
 *
 * `contenders/ws_deflate.mjs` measures npm's `ws` in the same way.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { createDeflateRaw } from "node:zlib";
import { Deflater } from "../core/websocket/deflate/deflater.ts";

/** Compresses a message, and answers the size. */
type Compress = (line: Uint8Array) => number;

const target = new Uint8Array(4 * 1024 * 1024);

function ours(level: number): Compress {
  const deflater = new Deflater(15);
  return (line) =>
    deflater.deflate(line, 0, line.length, target, 0, target.length, level);
}

/** The zlib of `node:zlib`, called without a turn of the event loop, too. */
function zlib(level: number): Compress {
  const { _handle: handle, _writeState: state } = createDeflateRaw({
    level,
  }) as unknown as {
    readonly _handle: { writeSync(...values: unknown[]): void };
    readonly _writeState: Uint32Array;
  };
  return (line) => {
    const whole = [target, 0, target.length];
    handle.writeSync(2, line, 0, line.length, ...whole);
    return target.length - state[0]! - 4;
  };
}

/** Microseconds of processor time that a pass takes: the least of some. */
function measure(pass: () => void): number {
  let least = Infinity;
  for (let round = 0; round < 12; round++) {
    const before = cpuUsage();
    pass();
    const { user, system } = cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}

function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

if (import.meta.main) {
  const [file, level = "6"] = Deno.args;
  const lines = linesOf(await Deno.readFile(file!));
  const length = lines.reduce((sum, line) => sum + line.length, 0);
  for (const [name, make] of Object.entries({ ours, zlib })) {
    const compress = make(Number(level));
    let size = 0;
    const took = measure(() => {
      size = 0;
      for (const line of lines) size += compress(line);
    });
    console.log(
      `${name}: ${lines.length} lines of ${Math.round(length / lines.length)}` +
        ` bytes, ${(length / took).toFixed(1)} MB per processor second,` +
        ` ${(size / length).toFixed(4)} of their size`,
    );
  }
}
