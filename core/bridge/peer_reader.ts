/**
 * How a peer is read, so that what it wrote at once stays together.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Peer } from "../peers/peer.ts";
import type { StreamFramer } from "./message_framer.ts";

/**
 * Milliseconds that the rest of what seems to be cut is waited for. It is nearly
 * always there at once; but a peer may be interrupted while it writes, and tokio
 * lets no more than 128 reads and writes end in a turn of the event loop.
 */
const patience = 1;

/**
 * Reads a peer into the memory of a framer.
 *
 * An idle connection waits with little room. Where a read has filled it, or may
 * have brought only part of what lies there, another one follows before anything
 * is framed. A read cannot be taken back: one that finds nothing is the next.
 */
export class PeerReader {
  #peer: Peer;
  #framer: StreamFramer;
  /** Room that the read under way, or the last one, was given. */
  #room = 0;
  /** A read that found nothing when it began. */
  #begun: Promise<number | null> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param peer Who is read.
   * @param framer Offers the memory.
   */
  constructor(peer: Peer, framer: StreamFramer) {
    this.#peer = peer;
    this.#framer = framer;
  }

  /**
   * Reads, waiting until something has come.
   *
   * @returns Number of bytes read, or `null` at the end of the stream.
   * @throws {Error} If the connection failed or was closed.
   */
  read(): Promise<number | null> {
    const begun = this.#begun;
    if (begun !== undefined) {
      this.#begun = undefined;
      return begun;
    }
    const room = this.#framer.room(this.#peer.minimumRead);
    this.#room = room.length;
    return this.#peer.read(room);
  }

  /**
   * Reads what else lies there, after {@linkcode read}.
   *
   * @param count Bytes that were read.
   * @returns Bytes that were read together, which are to be framed now.
   */
  together(count: number): number | Promise<number> {
    const { isDatagram, readsAll } = this.#peer;
    return isDatagram || (readsAll && !this.#isCut(count, count))
      ? count
      : this.#readOn(count);
  }

  /** Waits until no read is under way: once the peer is closed. */
  async settled(): Promise<void> {
    // Why it failed is known: the peer is closed, or has failed before.
    await this.#begun?.catch(() => {});
  }

  /** Whether there is a reason to wait for more. */
  #isCut(count: number, total: number): boolean {
    return count === this.#room || total % this.#peer.pieceSize === 0;
  }

  async #readOn(count: number): Promise<number> {
    let total = count;
    for (;;) {
      const isCut = this.#isCut(count, total);
      const room = isCut || !this.#peer.readsAll
        ? this.#framer.more(total)
        : undefined;
      if (room === undefined) return total;
      this.#room = room.length;
      const reading = this.#peer.read(room);
      const more = await soon(reading, isCut);
      if (!more) {
        this.#begun = reading;
        return total;
      }
      count = more;
      total += more;
    }
  }
}

/**
 * Waits a little for a read.
 *
 * @param reading The read.
 * @param isPatient Whether to wait for it if it has not ended already.
 * @returns What it has brought; `undefined` if it has not ended, or has failed.
 */
async function soon(
  reading: Promise<number | null>,
  isPatient: boolean,
): Promise<number | null | undefined> {
  let result: number | null | undefined;
  let hasFailed = false;
  const ended = reading.then(
    (count) => {
      result = count;
    },
    () => {
      hasFailed = true;
    },
  );
  // A read of Deno that need not wait has ended after two of these.
  for (let turn = 0; turn < 4 && result === undefined; turn++) await null;
  if (result !== undefined || hasFailed || !isPatient) return result;
  const wait = Promise.withResolvers<void>();
  // Where the loop is late, timers come before the reads that ended meanwhile.
  const timer = setTimeout(() => setImmediate(wait.resolve), patience);
  await Promise.race([ended, wait.promise]);
  clearTimeout(timer);
  return result;
}
