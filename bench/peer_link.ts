/**
 * The load generator's side of the peer's worker: its services, and how much
 * has arrived there.
 *
 * @module
 */

import {
  PeerCounter,
  type PeerMessage,
  type PeerReady,
  type PeerStart,
} from "./peer.ts";
import type { Service, ServiceAddress } from "./services.ts";

/** The peer's services, running in a worker of this process. */
export class PeerLink {
  readonly #worker: Worker;
  readonly #counters: BigInt64Array;
  readonly #services = new Map<string, ServiceAddress>();
  #wake: (() => void) | undefined;
  #answer: ((message: Exclude<PeerMessage, null>) => void) | undefined;
  /** On which thread the services run. */
  readonly thread: number;

  private constructor(
    worker: Worker,
    counters: BigInt64Array,
    thread: number,
  ) {
    this.#worker = worker;
    this.#counters = counters;
    this.thread = thread;
    worker.onmessage = ({ data }: MessageEvent<PeerMessage>) => {
      if (data === null) this.#wake?.();
      else this.#answer?.(data);
    };
  }

  /**
   * Starts the worker.
   *
   * @param directory A directory for its files.
   */
  static async start(directory: string): Promise<PeerLink> {
    const counters = new SharedArrayBuffer(
      PeerCounter.Count * BigInt64Array.BYTES_PER_ELEMENT,
    );
    const worker = new Worker(new URL("./peer.ts", import.meta.url), {
      type: "module",
    });
    const { thread } = await new Promise<PeerReady>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.postMessage({ counters, directory } satisfies PeerStart);
    });
    return new PeerLink(worker, new BigInt64Array(counters), thread);
  }

  /**
   * Starts a service, or finds it if it has been started. One at a time.
   *
   * @throws {Error} If it cannot listen.
   */
  async serve(service: Service): Promise<ServiceAddress> {
    const key = JSON.stringify(service);
    const known = this.#services.get(key);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<PeerMessage>();
    this.#answer = resolve;
    this.#worker.postMessage(service);
    const message = await promise as ServiceAddress | { error: string };
    if ("error" in message) throw new Error(message.error);
    this.#services.set(key, message);
    return message;
  }

  /** Bytes that services of the kind `sink` have received so far. */
  received(): number {
    return Number(Atomics.load(this.#counters, PeerCounter.Received));
  }

  /**
   * Waits until services of the kind `sink` have received so many bytes. One
   * wait at a time: another call takes the place of the one before.
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
