/**
 * Reading a connection by lines and counts, for tests.
 *
 * @module
 */

/** What can be read; a `Deno.Conn` for one. */
export interface ByteSource {
  /** Reads what has arrived; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** Reads bytes in portions of any size. */
export class ByteReader {
  readonly #source: ByteSource;
  #buffer = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;

  /** @param source Where they come from. */
  constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * Waits until so many bytes have arrived.
   *
   * @param count How many.
   * @returns False if the source has ended and nothing is left.
   * @throws {Deno.errors.UnexpectedEof} If it has ended and too little is left.
   */
  async has(count: number): Promise<boolean> {
    while (this.#end - this.#start < count) {
      this.#makeRoom(count);
      const read = await this.#source.read(this.#buffer.subarray(this.#end));
      if (read === null) {
        if (this.#end === this.#start) return false;
        throw new Deno.errors.UnexpectedEof(
          `The connection ended after ${
            this.#end - this.#start
          } of ${count} bytes`,
        );
      }
      this.#end += read;
    }
    return true;
  }

  /**
   * Reads so many bytes.
   *
   * @param count How many.
   * @returns The bytes; a copy.
   * @throws {Deno.errors.UnexpectedEof} If the source ends before.
   */
  async exactly(count: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#end - this.#start < count && !await this.has(count)) {
      throw new Deno.errors.UnexpectedEof(
        `The connection ended before ${count} bytes`,
      );
    }
    const bytes = this.#buffer.slice(this.#start, this.#start + count);
    this.#start += count;
    return bytes;
  }

  /**
   * Reads a line.
   *
   * @returns The line, without its CR LF.
   * @throws {Deno.errors.UnexpectedEof} If the source ends before.
   */
  async line(): Promise<string> {
    for (let length = 0;; length++) {
      if (!await this.has(length + 1)) {
        throw new Deno.errors.UnexpectedEof(
          "The connection ended before a line",
        );
      }
      if (this.#buffer[this.#start + length] !== 10) continue;
      const bytes = await this.exactly(length + 1);
      return new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
    }
  }

  #makeRoom(count: number): void {
    const held = this.#buffer.subarray(this.#start, this.#end);
    if (held.length === 0) this.#start = this.#end = 0;
    if (this.#buffer.length - this.#start >= count) {
      if (this.#end < this.#buffer.length) return;
    }
    const size = Math.max(this.#buffer.length, 2 * count);
    const buffer = size === this.#buffer.length
      ? this.#buffer
      : new Uint8Array(size);
    buffer.set(held);
    this.#buffer = buffer;
    this.#end = held.length;
    this.#start = 0;
  }
}
