/**
 * Bytes of a file as the body of a response.
 *
 * @module
 */

/** Bytes: most that are read at once. */
const mostRead = 64 * 1024;

/**
 * Reads a file no faster than what was read is taken.
 *
 * @param file The file, at the first byte that is wanted; it is closed at the
 * end, and when nobody wants the rest.
 * @param length How many bytes are wanted.
 * @param signal Aborted when nobody wants the rest, too: a body that was never
 * asked for its first byte is not told.
 * @returns The bytes. An error if the file has fewer.
 */
export function streamFile(
  file: Deno.FsFile,
  length: number,
  signal: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  let isClosed = false;
  function close(): void {
    if (isClosed) return;
    isClosed = true;
    signal.removeEventListener("abort", close);
    file.close();
  }
  signal.addEventListener("abort", close);
  if (signal.aborted) close();
  return new ReadableStream({
    async pull(controller): Promise<void> {
      try {
        if (left > 0) {
          const chunk = new Uint8Array(Math.min(mostRead, left));
          const count = await file.read(chunk);
          // What its head has promised cannot be taken back.
          if (count === null) throw new Error("The file was cut off");
          left -= count;
          controller.enqueue(chunk.subarray(0, count));
        }
        if (left === 0) {
          close();
          controller.close();
        }
      } catch (error) {
        close();
        controller.error(error);
      }
    },
    cancel: close,
  }, { highWaterMark: 0 });
}
