/**
 * The pings that Deno sends to a client of `Deno.upgradeWebSocket` by itself.
 *
 * @module
 */

/**
 * Keeps Deno from giving a slow client up. Deno sends a ping after a time
 * without a message or a pong, and closes the WebSocket if none comes in as
 * long again: too soon for a client whose pong waits behind what it is sent.
 * After each ping, this class makes Deno start its time again, as a pong would.
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
   * Postpones the next ping: a pong after our close frame would make Deno drop
   * the connection, and lose what the client has not read yet.
   */
  postpone(): void {
    restart?.call(this.#socket);
    this.#timer = this.#readTimer();
  }

  /**
   * Gives the client more time to answer. It must be called more often than
   * Deno sends pings.
   */
  hold(): void {
    // While a ping waits to be written, a second one would lose the timer that
    // Deno starts after the first.
    const timer = this.#readTimer();
    if (timer !== undefined && timer !== this.#timer) this.postpone();
  }

  #readTimer(): unknown {
    const symbol = findSymbol(this.#socket, "[[idleTimeoutTimeout]]");
    return symbol && Reflect.get(this.#socket, symbol);
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
