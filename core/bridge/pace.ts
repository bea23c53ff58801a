/**
 * Reading no faster than a bandwidth allows: what was read is passed on at once,
 * and the next read waits.
 *
 * @module
 */

/**
 * Tells how long to wait after bytes, before the next ones.
 *
 * @param bytes How many there were.
 * @returns Milliseconds; 0: not at all.
 */
export type Throttle = (bytes: number) => number;

/** The throttles of a connection. */
export interface Throttles {
  /** Of what the client sends. */
  readonly toPeer: Throttle;
  /** Of what the peer sends. */
  readonly toClient: Throttle;
}

/** Waits as a throttle says, until it is stopped. */
export class Pace {
  #throttle: Throttle | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: (() => void) | undefined;

  /**
   * Constructs a new instance.
   *
   * @param throttle Says how long.
   */
  constructor(throttle: Throttle) {
    this.#throttle = throttle;
  }

  /**
   * Waits after bytes.
   *
   * @param bytes How many there were.
   * @returns Nothing if there is no need to.
   */
  spend(bytes: number): void | Promise<void> {
    const wait = this.#throttle?.(bytes) ?? 0;
    if (wait === 0) return;
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#timer = setTimeout(resolve, Math.ceil(wait));
    });
  }

  /** Ends the wait, and waits no more. */
  stop(): void {
    this.#throttle = undefined;
    clearTimeout(this.#timer);
    this.#waiting?.();
  }
}
