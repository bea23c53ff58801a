/**
 * Stand-in for `@std/streams/text-line-stream`.
 *
 * @module
 */

/** Cuts text into lines, at `\n` or `\r\n`. */
export class TextLineStream extends TransformStream<string, string> {
  /** Constructs a new instance. */
  constructor() {
    let held = "";
    super({
      transform(chunk, controller): void {
        const lines = chunk.split("\n");
        const rest = lines.pop()!;
        for (const piece of lines) {
          const line = held + piece;
          held = "";
          controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
        }
        held += rest;
      },
      flush(controller): void {
        if (held !== "") controller.enqueue(held);
      },
    });
  }
}
