/**
 * Collects lines of the log into few writes.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/**
 * Most characters of one write: up to 4096 bytes, a write to a pipe is not
 * mixed with those of other threads.
 */
const limit = 2048;

/**
 * Collects lines, and writes those of one turn of the event loop together, as a
 * write costs more than making a line.
 */
export class LineBuffer {
  #write: (text: string) => void;
  #text = "";
  #isWaiting = false;

  /**
   * Constructs a new instance.
   *
   * @param write Takes one or more lines, with their ends.
   */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /**
   * Adds a line.
   *
   * @param line The line, with its end.
   */
  add(line: string): void {
    if (this.#text.length + line.length > limit) this.flush();
    this.#text += line;
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    setImmediate(() => {
      this.#isWaiting = false;
      this.flush();
    });
  }

  /**
   * Writes the collected lines, before the end of the process or of the thread.
   */
  flush(): void {
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.#write(text);
  }
}
