// deno-lint-ignore-file explicit-function-return-type no-console -- Node.js takes no types

/**
 * Measures what compressing takes npm's `ws` under Node.js, without sockets:
 * lines of a file, each a message. See `deflate.ts`.
 *
 *     node bench/contenders/ws_deflate.mjs FOLDER FILE [LEVEL]
 *
 * `FOLDER` is where `node_modules` is.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import process from "node:process";

const [folder, file, level = "6"] = process.argv.slice(2);
const require = createRequire(resolve(folder, "x"));
const PerMessageDeflate = require(
  resolve(folder, "node_modules/ws/lib/permessage-deflate.js"),
);

function* linesOf(bytes) {
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

const deflate = new PerMessageDeflate({
  zlibDeflateOptions: { level: Number(level) },
}, true);
deflate.accept([{}]);

function compress(line) {
  return new Promise((resolve, reject) =>
    deflate.compress(
      line,
      true,
      (error, bytes) => error ? reject(error) : resolve(bytes.length),
    )
  );
}

const lines = [...linesOf(readFileSync(file))];
const length = lines.reduce((sum, line) => sum + line.length, 0);
let least = Infinity;
let size = 0;
for (let round = 0; round < 5; round++) {
  size = 0;
  const before = process.cpuUsage();
  for (const line of lines) size += await compress(line);
  const { user, system } = process.cpuUsage(before);
  least = Math.min(least, user + system);
}
console.log(
  `ws: ${lines.length} lines of ${Math.round(length / lines.length)} bytes,` +
    ` ${(length / least).toFixed(1)} MB per processor second,` +
    ` ${(size / length).toFixed(4)} of their size`,
);
