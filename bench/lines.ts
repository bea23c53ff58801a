/**
 * Lines of JSON between the benchmark and its load generator.
 *
 * @module
 */

/**
 * Reads lines.
 *
 * @param stream Bytes, UTF-8.
 * @returns The lines, without their ends; an unterminated last one is dropped.
 */
export async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** Encodes a value as a line of JSON. */
export function jsonLine(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value) + "\n");
}
