/**
 * Writes a plugin's output to the log.
 *
 * @module
 */

import type { Log } from "../log/log.ts";

/** Lines of a plugin that are logged in a second. */
const mostLines = 20;
/** Characters of a line that are logged. */
const mostCharacters = 1000;
const second = 1000;

/** Writes the output of one plugin to the log, up to a limit per second. */
export class PluginOutput {
  #name: string;
  #log: Log;
  #since = -Infinity;
  #count = 0;
  #dropped = 0;

  /**
   * Constructs a new instance.
   *
   * @param name Name of the plugin.
   * @param log The log, which escapes control characters.
   */
  constructor(name: string, log: Log) {
    this.#name = name;
    this.#log = log;
  }

  /**
   * Takes a line.
   *
   * @param line The line, of any length.
   */
  write(line: string): void {
    const now = performance.now();
    if (now - this.#since >= second) {
      this.#since = now;
      this.#count = 0;
      this.#tellDropped();
    }
    if (this.#count >= mostLines) {
      this.#dropped++;
      return;
    }
    this.#count++;
    this.#log("info", "plugin-output", {
      name: this.#name,
      text: line.slice(0, mostCharacters),
    });
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    this.#log("warn", "plugin-output", {
      name: this.#name,
      dropped: this.#dropped,
    });
    this.#dropped = 0;
  }
}
