/**
 * The header fields of a request of `node:http`.
 *
 * @module
 */

import type { RequestHeaders } from "../engine.ts";

/**
 * Header fields as they came. Few of them are ever asked for: a `Headers` is
 * made of them only for one who wants them all.
 */
export class RawHeaders implements RequestHeaders {
  #raw: readonly string[];

  /**
   * Constructs a new instance.
   *
   * @param raw Names and values in turn.
   */
  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  get(name: string): string | null {
    let found: string | null = null;
    for (let index = 0; index < this.#raw.length; index += 2) {
      const field = this.#raw[index]!;
      if (field.length !== name.length || field.toLowerCase() !== name) {
        continue;
      }
      const value = this.#raw[index + 1]!;
      found = found === null ? value : found + separatorOf(name) + value;
    }
    return found;
  }

  [Symbol.iterator](): Iterator<[name: string, value: string]> {
    const headers = new Headers();
    for (let index = 0; index < this.#raw.length; index += 2) {
      headers.append(this.#raw[index]!, this.#raw[index + 1]!);
    }
    const cookies = this.get("cookie");
    if (cookies !== null) headers.set("cookie", cookies);
    return headers.entries();
  }
}

/** What joins the values of a field that has come more than once. */
function separatorOf(name: string): string {
  return name === "cookie" ? "; " : ", ";
}
