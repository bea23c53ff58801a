/**
 * Whether a client takes what it is sent, as far as can be told without pongs.
 *
 * @module
 */

import { mostHeld, slowest, timeToTake, type Written } from "../liveness.ts";

/**
 * What is known of a client: it was `sent` something lately, or something waits
 * for it; it may still be `taking` what it was sent before; it is `idle`; or it
 * has taken nothing for so long that it is to be given up, and is `gone`.
 */
export type ClientState = "sent" | "taking" | "idle" | "gone";

/**
 * Counts what the systems of both sides may hold for a client: all that was
 * handed to them, less a kilobyte for each second. As long as they may hold
 * something, Deno's ping may wait behind it.
 */
export class ClientProgress {
  #least: number;
  /** When the client has last taken something, and when it was looked at last. */
  #taken: number;
  #looked: number;
  #last: Written = { sent: 0, pending: 0 };
  /** Bytes that the systems may hold. */
  #held = 0;

  /**
   * Constructs a new instance.
   *
   * @param least Milliseconds that a client which takes nothing is waited for at
   * the least.
   * @param now The time, in milliseconds.
   */
  constructor(least: number, now: number) {
    this.#least = least;
    this.#taken = this.#looked = now;
  }

  /** Milliseconds that the client may need for what waits, and what the systems hold. */
  get timeToTake(): number {
    return timeToTake(this.#held + this.#last.pending);
  }

  /**
   * Looks at the client.
   *
   * @param now The time.
   * @param written What was written so far.
   * @returns What is known.
   */
  look(now: number, written: Written): ClientState {
    const last = this.#last;
    const seconds = (now - this.#looked) / 1000;
    this.#last = written;
    this.#looked = now;
    if (last.pending === 0) {
      this.#held = Math.max(0, this.#held - seconds * slowest);
    }
    const handed = written.sent - last.sent;
    this.#held = Math.min(this.#held + handed, mostHeld);
    if (written.pending === 0) {
      if (handed > 0) return "sent";
      return this.#held > 0 ? "taking" : "idle";
    }
    // It had no room, and has made some; or it has none from now on.
    if (handed > 0 || last.pending === 0) this.#taken = now;
    const patience = this.#least + this.timeToTake;
    return now - this.#taken < patience ? "sent" : "gone";
  }
}
