/**
 * Streams bytes of a file as the body of a response.
 *
 * @module
 */

/** Bytes: most that are read at once. */
const mostRead = 64 * 1024;

/** Options for {@linkcode streamFile}. */
export interface FileStreamOptions {
  /** How many bytes are wanted. */
  readonly length: number;
  /**
   * Aborted when the rest is not needed, as the client has left or the server
   * ends: a stream that was never read would not be cancelled.
   */
  readonly signals: readonly AbortSignal[];
  /**
   * Milliseconds that the client has to take what was read.
   *
   * @default {60000}
   */
  readonly patience?: number;
}

/**
 * Reads a file no faster than the client takes it.
 *
 * @param file The file, at the first byte that is wanted; it is closed at its
 * end, and when the rest is not needed.
 * @param options What to read of it.
 * @returns The bytes. An error if the file has fewer.
 */
export function streamFile(
  file: Deno.FsFile,
  { length, signals, patience = 60_000 }: FileStreamOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  let isClosed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let leave = (): void => {};
  let giveUp = (): void => {};
  function close(): void {
    if (isClosed) return;
    isClosed = true;
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", leave);
    file.close();
  }
  return new ReadableStream({
    start(controller): void {
      leave = () => {
        close();
        // Deno may write an error to stderr, with its stack. The end of the
        // connection tells a client that is there that bytes are missing.
        controller.close();
      };
      giveUp = () => {
        close();
        controller.error(
          new Error("The client did not take the rest of the file"),
        );
      };
      if (signals.some(({ aborted }) => aborted)) return leave();
      for (const signal of signals) signal.addEventListener("abort", leave);
    },
    async pull(controller): Promise<void> {
      clearTimeout(timer);
      try {
        if (left > 0) {
          const chunk = new Uint8Array(Math.min(mostRead, left));
          const count = await file.read(chunk);
          // The head has already announced the length.
          if (count === null) throw new Error("The file was cut off");
          if (isClosed) return;
          left -= count;
          controller.enqueue(chunk.subarray(0, count));
        }
        if (left > 0) {
          timer = setTimeout(giveUp, patience);
        } else {
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
