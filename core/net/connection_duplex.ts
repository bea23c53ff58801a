/**
 * A connection of Deno as a stream of Node.js.
 *
 * @module
 */

import { Duplex, type DuplexOptions } from "node:stream";

/** What is used of a `Deno.Conn`. */
type Connection = Pick<Deno.Conn, "write" | "closeWrite">;

/** A `Deno.Conn` as a `Duplex`; how it is read is up to the class that extends it. */
export abstract class ConnectionDuplex<Conn extends Connection> extends Duplex {
  /** The connection. */
  protected readonly conn: Conn;

  /**
   * Constructs a new instance.
   *
   * @param conn The connection; a class that extends this one closes it.
   * @param options Options of the stream.
   */
  protected constructor(conn: Conn, options: DuplexOptions = {}) {
    super({ ...options, allowHalfOpen: true });
    this.conn = conn;
  }

  /**
   * Writes bytes once.
   *
   * @param bytes The bytes.
   * @returns How many were written.
   */
  protected writeOnce(bytes: Uint8Array): Promise<number> {
    return this.conn.write(bytes);
  }

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#writeAll(chunk).then(() => done(), done);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      rest = rest.subarray(await this.writeOnce(rest));
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.conn.closeWrite().then(() => done(), done);
  }
}
