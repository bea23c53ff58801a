/**
 * Holds a message from a client until all of its bytes have arrived.
 *
 * @module
 */

/** Buffers up to this many bytes are kept for the next message. */
const KEEP_LIMIT = 0x2_0000;

/** The smallest buffer, in bytes: one size serves all small messages. */
const MIN_CAPACITY = 256;

const NONE = new DataView(new ArrayBuffer(0));

/**
 * The bytes of one message. It allocates at most twice as many as have come,
 * whatever the header claims. It keeps two buffers of at most 128 KiB, which
 * messages use in turn: one can still be in use elsewhere while the next
 * message begins.
 */
export class MessageAssembly {
  /** The buffer; its first {@linkcode length} bytes are those of the message. */
  view: DataView = NONE;
  /** How many bytes of the message have come. */
  length = 0;

  #spare: DataView = NONE;

  /** Bytes allocated, for the message and for the next ones. */
  get capacity(): number {
    return this.view.byteLength + this.#spare.byteLength;
  }

  /**
   * Appends bytes.
   *
   * @param bytes Of them, those from `start` to `end` are appended.
   * @param start Offset of the first one.
   * @param end Offset after the last one.
   * @param limit What the message comes to at most, in bytes.
   */
  append(bytes: Uint8Array, start: number, end: number, limit: number): void {
    const needed = this.length + end - start;
    if (needed > this.view.byteLength) {
      const capacity = Math.max(Math.min(2 * needed, limit), MIN_CAPACITY);
      const grown = new Uint8Array(capacity);
      grown.set(this.bytes());
      this.view = new DataView(grown.buffer);
    }
    const target = new Uint8Array(this.view.buffer, this.length);
    target.set(bytes.subarray(start, end));
    this.length = needed;
  }

  /** The message as far as it has come. */
  bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, 0, this.length);
  }

  /**
   * Hands the message out, and starts another one in the other buffer.
   *
   * @returns The message. Its bytes are valid until the next call, after which
   * its buffer is used again.
   */
  take(): Uint8Array {
    const message = this.bytes();
    const used = this.view;
    this.view = this.#spare;
    this.#spare = used.byteLength <= KEEP_LIMIT ? used : NONE;
    this.length = 0;
    return message;
  }

  /** Drops the buffers that are kept for later. */
  trim(): void {
    this.#spare = NONE;
    if (this.length === 0) this.view = NONE;
  }

  /** Drops the message and all buffers. */
  drop(): void {
    this.length = 0;
    this.trim();
  }
}
