/**
 * Estimates, without pongs, whether a client reads what it is sent.
 *
 * @module
 */

import { mostHeld, slowest, timeToTake, type Written } from "../liveness.ts";

/**
 * The state of a client: `sent`, something was sent lately or waits; `taking`,
 * it may still be reading what was sent before; `idle`; or `gone`, it has taken
 * nothing for too long and is to be given up.
 */
export type ClientState = "sent" | "taking" | "idle" | "gone";

/**
 * Estimates what the systems of both sides may hold for a client: all that was
 * given to them, less a kilobyte for each second. While they may hold
 * something, Deno's ping may wait behind it.
 */
export class ClientProgress {
  #least: number;
  /** When the client last took something, and when the last look was. */
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
    // The system had no room and has taken more since, or has no room from now
    // on.
    if (handed > 0 || last.pending === 0) this.#taken = now;
    const patience = this.#least + this.timeToTake;
    return now - this.#taken < patience ? "sent" : "gone";
  }
}
