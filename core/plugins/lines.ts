/**
 * Reads the lines that a plugin's process writes.
 *
 * @module
 */

/** Bytes that are read in a second; a process that writes more has to wait. */
const mostBytes = 64 * 1024;
const second = 1000;

/**
 * Reads lines, at a limited rate: a process that writes more has to wait.
 *
 * @param stream What to read.
 * @yields Each line without its end, or as much of it as is read at once.
 */
export async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncIterable<string> {
  let since = performance.now();
  let count = 0;
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    count += chunk.length;
    const lines = (rest + decoder.decode(chunk, { stream: true }))
      .split(/\r\n|\n|\r/);
    rest = lines.pop()!;
    yield* lines.filter((line) => line !== "");
    if (rest.length > mostBytes) {
      yield rest;
      rest = "";
    }
    if (count < mostBytes) continue;
    const left = second - (performance.now() - since);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    since = performance.now();
    count = 0;
  }
  if (rest !== "") yield rest;
}
