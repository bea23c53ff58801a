/**
 * The load generator's side of the peer's worker: its ports, and how much has
 * arrived there.
 *
 * @module
 */

import { PeerCounter, type PeerReady } from "./peer.ts";

/** The peer's services, running in a worker of this process. */
export class PeerLink {
  readonly #counters: BigInt64Array;
  #wake: (() => void) | undefined;
  /** Where the services listen, and on which thread they run. */
  readonly ready: PeerReady;

  private constructor(
    worker: Worker,
    counters: BigInt64Array,
    ready: PeerReady,
  ) {
    this.#counters = counters;
    this.ready = ready;
    worker.onmessage = () => this.#wake?.();
  }

  /** Starts the worker, and waits until its services listen. */
  static async start(): Promise<PeerLink> {
    const shared = new SharedArrayBuffer(
      PeerCounter.Count * BigInt64Array.BYTES_PER_ELEMENT,
    );
    const worker = new Worker(new URL("./peer.ts", import.meta.url), {
      type: "module",
    });
    const ready = await new Promise<PeerReady>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.postMessage(shared);
    });
    return new PeerLink(worker, new BigInt64Array(shared), ready);
  }

  /** Bytes that the service `sink` has received so far. */
  received(): number {
    return Number(Atomics.load(this.#counters, PeerCounter.Received));
  }

  /**
   * Waits until the service `sink` has received so many bytes. One wait at a
   * time: another call takes the place of the one before.
   */
  async receives(bytes: number): Promise<void> {
    while (this.received() < bytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      Atomics.store(this.#counters, PeerCounter.Wanted, BigInt(bytes));
      // They may have arrived before the worker could see that they are wanted.
      if (this.received() >= bytes) return;
      await promise;
    }
  }
}
