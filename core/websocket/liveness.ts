/**
 * Decides whether a client is still there: what counts as a sign of life, and
 * how long to wait for one.
 *
 * @module
 */

/** Milliseconds without progress after which a close no longer waits for the client. */
export const closeTimeout = 10_000;

/** Milliseconds that a client has to read why it was refused, or failed. */
export const lastTimeout = 2_000;

/** The lowest rate at which a client may read, in bytes per second. */
export const slowest = 1024;

/**
 * Most bytes that the systems of both sides are assumed to hold of what was
 * sent: 4 MiB to be sent and 6 MiB to be read, which are Linux's limits. A ping
 * behind them reaches a slow client after all of them.
 */
export const mostHeld = 10 * 1024 * 1024;

/**
 * From this many bytes on that the client may not have read, a ping is sent to
 * find out.
 */
const worthAPing = 64 * 1024;

/**
 * Tells how long a client may need to take what was sent to it.
 *
 * @param bytes Bytes that the system was given, and that it may not have taken.
 * @returns Milliseconds, at a kilobyte a second.
 */
export function timeToTake(bytes: number): number {
  return Math.min(bytes, mostHeld) / slowest * 1000;
}

/**
 * Tells whether a close waits until even a slow client has read all messages
 * before it, so that nothing is lost of what the peer sent before its end. A
 * shutdown, or an operator's close, does not wait for slow clients.
 *
 * @param code The close code.
 */
export function isPatient(code: number): boolean {
  return code !== 1001 && code !== 1008;
}

/** How much was written to a client. */
export interface Written {
  /** Bytes that the system has taken so far. */
  readonly sent: number;
  /** Bytes that wait to be. */
  readonly pending: number;
}

/** What to do about a client: send a ping, give it up, or nothing. */
export interface Verdict {
  /** What to do at once. */
  readonly action: "ping" | "giveUp" | "nothing";
  /** Milliseconds until the next look. */
  readonly wait: number;
}

/**
 * Watches a client. A sign of life is whatever it sends, and that the system
 * takes more for it after it had no room: both come late from a slow client,
 * whose system tells of progress in steps of a megabyte, and whose pong waits
 * behind all that was sent before the ping. So a client is given up only after
 * the time of a ping without a sign, and the time that it would need, at a
 * kilobyte a second, for what it may not have taken.
 */
export class Liveness {
  #period: number;
  /** When the client last sent something, and when the last sign of life was. */
  #heard: number;
  #signed: number;
  /** What was written at the last look. */
  #last: Written;
  /** Bytes, from the first, that the client has certainly read. */
  #taken: number;
  /** The ping that is not answered yet. */
  #ping: { readonly time: number; readonly position: number } | undefined;

  /**
   * Constructs a new instance.
   *
   * @param period Milliseconds without a message after which a ping is due.
   * @param now The time, in milliseconds.
   * @param written What was written so far; the client has taken it.
   */
  constructor(period: number, now: number, written: Written) {
    this.#period = period;
    this.#heard = this.#signed = now;
    this.#last = written;
    this.#taken = written.sent + written.pending;
  }

  /**
   * The client has sent something.
   *
   * @param now The time.
   */
  hear(now: number): void {
    this.#heard = this.#signed = now;
  }

  /** The client has sent a pong: it has taken what was sent before the ping. */
  hearPong(): void {
    this.#taken = this.#ping?.position ?? this.#taken;
    this.#ping = undefined;
  }

  /**
   * Excuses the silence of a client that is not read at the moment: its pong
   * would not be seen.
   *
   * @param now The time.
   */
  excuse(now: number): void {
    this.#signed = now;
    this.#ping = undefined;
  }

  /**
   * Looks at the client.
   *
   * @param now The time.
   * @param written What was written so far.
   * @returns What to do; a ping that is due counts as written at once.
   */
  look(now: number, written: Written): Verdict {
    const last = this.#last;
    this.#last = written;
    // The system had no room at the last look, and has taken more since.
    if (last.pending > 0 && written.sent > last.sent) this.#signed = now;
    const period = this.#period;
    if (this.#ping === undefined) {
      const silence = now - this.#heard;
      const unknown = this.unknown(written);
      if (silence < period && unknown < worthAPing) {
        return { action: "nothing", wait: period - silence };
      }
      const position = written.sent + written.pending;
      this.#ping = { time: now, position };
      return { action: "ping", wait: period };
    }
    const since = Math.max(this.#signed, this.#ping.time);
    const rest = since + this.patience(written) - now;
    return rest > 0
      ? { action: "nothing", wait: Math.min(period, rest) }
      : { action: "giveUp", wait: 0 };
  }

  /**
   * How long to wait for a sign of life.
   *
   * @param written What was written so far.
   * @returns Milliseconds.
   */
  patience(written: Written): number {
    return this.#period + timeToTake(this.unknown(written));
  }

  /**
   * Counts the bytes that the client may not have read.
   *
   * @param written What was written so far.
   * @returns Bytes.
   */
  unknown({ sent, pending }: Written): number {
    return sent + pending - this.#taken;
  }
}
