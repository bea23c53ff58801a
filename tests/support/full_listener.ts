/**
 * A service that takes no more connections.
 *
 * @module
 */

/**
 * A listener that accepts nothing and whose queue is full. On Linux, who
 * connects to it waits until the system gives up, after two minutes; other
 * systems may refuse.
 */
export class FullListener implements Disposable {
  /** Its port, on 127.0.0.1. */
  readonly port: number;
  #stack: DisposableStack;

  private constructor(port: number, stack: DisposableStack) {
    this.port = port;
    this.#stack = stack;
  }

  /** Listens, and fills the queue. */
  static async start(): Promise<FullListener> {
    const hostname = "127.0.0.1";
    const stack = new DisposableStack();
    const listener = stack.use(
      Deno.listen({ hostname, port: 0, tcpBacklog: 1 }),
    );
    const { port } = listener.addr;
    for (let count = 0; count < 2; count++) {
      stack.use(await Deno.connect({ hostname, port }));
    }
    return new FullListener(port, stack);
  }

  /** It as the address of a peer. */
  get host(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
