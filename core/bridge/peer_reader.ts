/**
 * Reads a peer so that one write of the peer stays together.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Peer } from "../peers/peer.ts";
import type { StreamFramer } from "./message_framer.ts";

/**
 * Milliseconds to wait for the rest of a write that seems to be cut. It nearly
 * always arrives at once; but a peer may be interrupted while it writes, and
 * tokio completes at most 128 reads and writes in a turn of the event loop.
 */
const patience = 1;

/**
 * Reads a peer into the memory of a framer.
 *
 * An idle connection waits with little room. If a read has filled it, or may
 * have returned only a part of the available bytes, another read follows before
 * anything is framed. A read cannot be cancelled: if it finds nothing, it
 * becomes the next read.
 */
export class PeerReader {
  #peer: Peer;
  #framer: StreamFramer;
  #most: number;
  /** Room that the read under way, or the last one, was given. */
  #room = 0;
  /** A read that found nothing when it began. */
  #begun: Promise<number | null> | undefined;

  /**
   * Constructs a new instance.
   *
   * @param peer The peer.
   * @param framer Offers the memory.
   * @param most Most bytes of a read.
   */
  constructor(peer: Peer, framer: StreamFramer, most = Infinity) {
    this.#peer = peer;
    this.#framer = framer;
    this.#most = most;
  }

  /**
   * Reads, or waits for bytes.
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
    const offered = this.#framer.room(this.#peer.minimumRead);
    const room = offered.length > this.#most
      ? offered.subarray(0, this.#most)
      : offered;
    this.#room = room.length;
    return this.#peer.read(room);
  }

  /**
   * Reads further available bytes, after {@linkcode read}.
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

  /** Waits until no read is pending, after the peer was closed. */
  async settled(): Promise<void> {
    // The reason is known: the peer is closed, or has failed before.
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
  // A read of Deno that does not wait has completed after two of these.
  for (let turn = 0; turn < 4 && result === undefined; turn++) await null;
  if (result !== undefined || hasFailed || !isPatient) return result;
  const wait = Promise.withResolvers<void>();
  // If the event loop is late, timers fire before the reads that have
  // completed.
  const timer = setTimeout(() => setImmediate(wait.resolve), patience);
  await Promise.race([ended, wait.promise]);
  clearTimeout(timer);
  return result;
}
