/**
 * The loads: what clients do to a bridge while it is measured. Each counts its
 * units (bytes, messages, round trips, connections) where they arrive: at the
 * far end, never where they are sent.
 *
 * @module
 */

import { Client, type Target } from "./client.ts";
import { BLOCK_SIZE, maskedFrame, repeat } from "./frames.ts";
import type { PeerLink } from "./peer_link.ts";

/** Name of a load. */
export type LoadName =
  | "receive-bytes"
  | "receive-messages"
  | "send"
  | "round-trips"
  | "connections";

/** What a load needs to know. */
export interface LoadOptions extends Target {
  /** Which load. */
  readonly load: LoadName;
  /** Clients that act at the same time. */
  readonly clients: number;
  /** Bytes in a message that a client sends. */
  readonly size: number;
}

/**
 * Bytes that may be on their way from a client to the peer. An engine that
 * cannot pause its client would be ended by `max-buffer` without such a limit;
 * it is the same for all. Small messages get less, or a slow bridge would
 * still have to work off seconds of them after its run.
 */
const WINDOW = 8 * 1024 * 1024;
const SMALL_WINDOW = 1024 * 1024;
const SMALL = 4096;
/** Milliseconds that what was sent has to arrive after a load has ended. */
const DRAIN_TIMEOUT = 5000;

/** A load that is running. */
export class RunningLoad {
  readonly #options: LoadOptions;
  readonly #peer: PeerLink;
  readonly #clients = new Set<Client>();
  readonly #leaving = new Set<Promise<void>>();
  #tasks: Promise<void>[] = [];
  #stopping = false;
  #count = 0;
  #onCount: (() => void) | undefined;

  private constructor(options: LoadOptions, peer: PeerLink) {
    this.#options = options;
    this.#peer = peer;
  }

  /** Opens the clients, and sets them to work. */
  static async start(
    options: LoadOptions,
    peer: PeerLink,
  ): Promise<RunningLoad> {
    const load = new RunningLoad(options, peer);
    try {
      if (options.load === "connections") {
        load.#tasks = Array.from(
          { length: options.clients },
          () => load.#connect(),
        );
        return load;
      }
      // One after another: some bridges lose connections that come in a burst.
      for (let i = 0; i < options.clients; i++) await load.#open();
      load.#tasks = [...load.#clients].map((client) => load.#work(client));
      return load;
    } catch (error) {
      load.close();
      throw error;
    }
  }

  /** Units that have arrived since the load was started. */
  count(): number {
    return this.#options.load === "send" ? this.#peer.received() : this.#count;
  }

  /**
   * Lets the load run.
   *
   * @throws {Error} If one of its clients fails.
   */
  async run(seconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, seconds * 1000);
    await this.#unlessFailed(promise).finally(() => clearTimeout(timer));
  }

  /**
   * Waits until the count of messages or bytes that a client receives has
   * grown: what is counted between two such moments has been paid for between
   * them, however large a message is.
   *
   * @throws {Error} If one of the clients fails.
   */
  async grows(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onCount = resolve;
    await this.#unlessFailed(promise);
  }

  /** Ends the load when what is on its way has arrived, and closes the clients. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const timer = setTimeout(() => this.close(), DRAIN_TIMEOUT);
    try {
      await Promise.all(this.#tasks);
      await Promise.all(this.#leaving);
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Ends all connections at once. */
  close(): void {
    this.#stopping = true;
    for (const client of this.#clients) client.close();
  }

  async #unlessFailed(event: Promise<void>): Promise<void> {
    const failed = Promise.all(this.#tasks).then(() => event);
    await Promise.race([event, failed]);
  }

  async #open(): Promise<Client> {
    const client = await Client.open(this.#options);
    this.#clients.add(client);
    return client;
  }

  #work(client: Client): Promise<void> {
    switch (this.#options.load) {
      case "receive-bytes":
        return this.#receive(client, () => client.counter.bytes);
      case "receive-messages":
        return this.#receive(client, () => client.counter.messages);
      case "send":
        return this.#send(client);
      case "round-trips":
        return this.#roundTrips(client);
      case "connections":
        return this.#connect();
    }
  }

  async #receive(client: Client, count: () => number): Promise<void> {
    const buffer = new Uint8Array(BLOCK_SIZE);
    while (!this.#stopping) {
      await client.read(buffer);
      if (count() === this.#count) continue;
      this.#count = count();
      this.#onCount?.();
    }
  }

  async #send(client: Client): Promise<void> {
    const { size } = this.#options;
    const block = repeat(this.#message(), BLOCK_SIZE);
    const payload = block.length / this.#message().length * size;
    const window = size <= SMALL ? SMALL_WINDOW : WINDOW;
    const before = this.#peer.received();
    const watch = this.#watch(client);
    let sent = 0;
    while (!this.#stopping) {
      await Promise.race([
        this.#peer.receives(before + sent + payload - window),
        watch,
      ]);
      await client.write(block);
      sent += payload;
    }
    await Promise.race([this.#peer.receives(before + sent), watch]);
    const missing = before + sent - this.#peer.received();
    if (missing > 0) {
      throw new Error(`Cannot end the load: ${missing} bytes did not arrive`);
    }
  }

  /** Reads what a bridge sends to a client that only sends: pings, or that it gave up. */
  async #watch(client: Client): Promise<void> {
    const buffer = new Uint8Array(256);
    while (true) {
      try {
        await client.read(buffer);
      } catch (error) {
        if (this.#stopping) return;
        throw error;
      }
    }
  }

  async #roundTrips(client: Client): Promise<void> {
    const message = this.#message();
    const buffer = new Uint8Array(4096);
    const { counter } = client;
    let expected = counter.bytes;
    while (!this.#stopping) {
      expected += this.#options.size;
      await client.write(message);
      while (counter.bytes < expected) await client.read(buffer);
      this.#count++;
    }
  }

  /**
   * Opens connections one after another. One counts when the peer's first
   * byte has come through it: the handshake alone may be answered before the
   * peer's connection is even tried.
   */
  async #connect(): Promise<void> {
    const buffer = new Uint8Array(256);
    while (!this.#stopping) {
      const client = await this.#open();
      while (client.counter.bytes === 0) await client.read(buffer);
      this.#count++;
      const leaving = client.leave().finally(() => {
        this.#clients.delete(client);
        this.#leaving.delete(leaving);
      });
      this.#leaving.add(leaving);
    }
  }

  #message(): Uint8Array {
    const payload = new Uint8Array(this.#options.size).fill(0x6d);
    return this.#options.websocket ? maskedFrame(payload) : payload;
  }
}
