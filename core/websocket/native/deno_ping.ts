/**
 * The pings that Deno sends to a client of `Deno.upgradeWebSocket` by itself.
 *
 * @module
 */

/**
 * Holds back Deno's judgement of a client. Deno sends a ping after a time
 * without a message or a pong, and closes the WebSocket if none comes in as long
 * again: too soon for a client whose pong waits behind what it is sent. After
 * each ping it is made to begin anew, as a pong would.
 *
 * Nothing in Deno's documentation does that. Two properties do, under symbols
 * that a version of Deno may not have: it judges as ever then.
 */
export class DenoPing {
  #socket: WebSocket;
  /** Deno's timer until the next ping, while that is not yet sent. */
  #timer: unknown;

  /** @param socket The WebSocket. */
  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /**
   * Gives the client a further time to answer. To be called more often than Deno
   * sends pings.
   */
  hold(): void {
    if (restart === undefined) return;
    const timerSymbol = findSymbol(this.#socket, "[[idleTimeoutTimeout]]");
    if (timerSymbol === undefined) return;
    // While a ping waits to be written, a second one would lose the timer that
    // Deno starts after the first.
    if (Reflect.get(this.#socket, timerSymbol) === this.#timer) return;
    restart.call(this.#socket);
    this.#timer = Reflect.get(this.#socket, timerSymbol);
  }
}

const restart = findRestart();

function findRestart(): ((this: WebSocket) => void) | undefined {
  const { prototype } = WebSocket;
  const symbol = findSymbol(prototype, "[[serverHandleIdleTimeout]]");
  const restart: unknown = symbol && Reflect.get(prototype, symbol);
  return typeof restart === "function"
    ? restart as (this: WebSocket) => void
    : undefined;
}

function findSymbol(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object)
    .find((symbol) => symbol.description === description);
}
