/**
 * Reads and writes a client's connection directly.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { giveWay, type Reader } from "../../memory/read_budget.ts";
import { giveMemory, headroom, takeMemory } from "../../memory/buffer_pool.ts";
import { ReadSize } from "../../memory/read_buffer.ts";
import {
  cancelSharedTimer,
  type SharedTimer,
} from "../../time/shared_timers.ts";
import {
  type ByteStream,
  type ByteStreamHandler,
  highWaterMark,
} from "./byte_stream.ts";
import type { ClientConnection } from "./client_connection.ts";
import type { BegunRead, DetachedConnection } from "./http_connection.ts";

/** Waiting writes are joined up to this many bytes. */
const joinLimit = 16 * 1024;

const nothing = new Uint8Array();

/** A write that waits. */
interface Write {
  readonly bytes: Uint8Array;
  readonly sent: (() => void) | undefined;
}

/**
 * What comes from the client:
 *
 * ```
 * open ── drop() ──► dropping
 *   └───────────────────┴── the client has ended it, or close() ──► ended
 * ```
 */
type Input =
  /** It is read, one chunk ahead. */
  | "open"
  /** It is read, and dropped. */
  | "dropping"
  /** Nothing more arrives. */
  | "ended";

/**
 * Our side. From every state but the last, {@linkcode ConnectionStream.close}
 * leads to `closed`, and so does a failure.
 *
 * ```
 * open ── end() ──► ending ── all is sent, and so is our end ──► ended
 *   │                  │                                           │
 *   │ closeSoon()      │ closeSoon()           the client has ended, or closeSoon()
 *   ▼                  ▼                                           ▼
 * closing ─────────────┴──── all is sent ───────────────────────► closed
 * ```
 */
type Output =
  /** Bytes are accepted. */
  | "open"
  /** Our end is sent after what was written. */
  | "ending"
  /** Our end is sent; the client's end is still to come. */
  | "ended"
  /** The connection is released after what was written; if nothing is being sent, at once. */
  | "closing"
  /** The connection is released. */
  | "closed";

/**
 * Whether bytes are being sent; `full`: more than the limit, until all of them
 * are sent.
 */
type Writer = "idle" | "writing" | "full";

/**
 * A connection as a {@linkcode ByteStream}. It reads into pooled memory whose
 * size follows the traffic: one buffer, and a second one while chunks arrive
 * faster than they are taken.
 */
export class ConnectionStream implements ByteStream {
  pending = 0;
  sent = 0;
  readonly reader: Reader;
  #connection: ClientConnection;
  #onReleased: () => void;
  #handler: ByteStreamHandler | undefined;
  #begun: BegunRead | undefined;
  #keepAlive: SharedTimer | undefined;
  /** Resolves when the read that has begun has ended. */
  #reading: Promise<void> | undefined;
  #readSize = new ReadSize();
  /** The memory of that read, and of the chunk that waits. */
  #memory: Uint8Array<ArrayBuffer> = nothing;
  /** What came with the request, and the chunk that was read: they wait. */
  #head: Uint8Array | undefined;
  #chunk: Uint8Array | undefined;
  /** Memory of the chunk that was taken last. */
  #lent: Uint8Array<ArrayBuffer> | undefined;
  #writes: Write[] = [];
  /** What is being sent and was not queued. */
  #transferred: Uint8Array = nothing;
  /** How many writes are being sent. */
  #joined = 0;
  #input: Input = "open";
  #output: Output = "open";
  #writer: Writer = "idle";

  /**
   * Constructs a new instance.
   *
   * @param detached The connection, which it owns from then on.
   * @param head What was read of it before.
   */
  constructor(detached: DetachedConnection, head: Uint8Array) {
    const { connection, begun, keepAlive, reader, onReleased } = detached;
    this.#connection = connection;
    this.reader = reader;
    this.#keepAlive = keepAlive;
    this.#onReleased = onReleased;
    this.#begun = begun;
    if (head.length > 0) this.#head = head;
  }

  get isFull(): boolean {
    return this.#writer === "full";
  }

  get isClosed(): boolean {
    return this.#output === "closed";
  }

  get hasEnded(): boolean {
    return this.#input === "ended";
  }

  /** Whether bytes are still accepted. */
  get #isWritable(): boolean {
    return this.#output === "open" || this.#output === "closing";
  }

  get isWaiting(): boolean {
    return this.#chunk !== undefined || this.#head !== undefined;
  }

  start(handler: ByteStreamHandler): void {
    this.#handler = handler;
    this.#reading = this.#read();
  }

  next(): Uint8Array | undefined {
    if (this.#lent !== undefined) giveMemory(this.#lent);
    this.#lent = undefined;
    const head = this.#head;
    if (head !== undefined) {
      this.#head = undefined;
      return head;
    }
    const chunk = this.#chunk;
    if (chunk !== undefined) {
      this.#chunk = undefined;
      this.#lent = this.#memory;
    }
    return chunk;
  }

  more(): Promise<void> {
    this.readAhead();
    return this.#reading ?? Promise.resolve();
  }

  readAhead(): void {
    if (this.#reading || this.hasEnded || this.isWaiting) return;
    this.#reading = this.#read();
  }

  drop(): void {
    if (this.#input === "open") this.#input = "dropping";
    this.#head = this.#chunk = undefined;
    this.readAhead();
  }

  write(bytes: Uint8Array): boolean {
    this.#queue(bytes, undefined);
    return !this.isFull;
  }

  transfer(bytes: Uint8Array): Promise<void> {
    if (this.#writer !== "idle" || !this.#isWritable) {
      return new Promise((resolve) => this.#queue(bytes, resolve));
    }
    this.#count(bytes.length);
    if (this.#writer === "idle") this.#writer = "writing";
    this.#transferred = bytes;
    return this.#connection.write(bytes)
      .then(this.#onTransferred, this.#onTransferFailed);
  }

  /** Nearly always, the system has taken all, and nothing else waits. */
  #onTransferred = (count: number): void | Promise<void> => {
    const { length } = this.#transferred;
    const isDone = count === length && this.#writer === "writing" &&
      this.#writes.length === 0 && this.#output === "open";
    const bytes = this.#transferred;
    this.#transferred = nothing;
    if (!isDone) return this.#flush(bytes, count);
    this.pending -= count;
    this.sent += count;
    this.#writer = "idle";
  };

  #onTransferFailed = (error: unknown): void => {
    this.#transferred = nothing;
    this.#fail(error);
    this.#endFlush();
  };

  end(): void {
    if (this.#output !== "open") return;
    this.#output = "ending";
    if (this.#writer === "idle") this.#flush();
  }

  closeSoon(): void {
    if (this.#writer === "idle") this.close();
    else if (!this.isClosed) this.#output = "closing";
  }

  close(): void {
    if (this.isClosed) return;
    this.#output = "closed";
    cancelSharedTimer(this.#keepAlive);
    this.#connection.close();
    this.#onReleased();
    this.#onEnd("");
    // Bytes that are being sent are still in use until the write ends.
    const waiting = this.#writes.splice(
      this.#writer === "idle" ? 0 : this.#joined,
    );
    for (const { sent } of waiting) sent?.();
    this.pending = 0;
    this.#readSize.release();
    this.#handler?.onClose();
  }

  /**
   * It is no async function, and what its promise calls is made once: it runs
   * for each read, and is all that an idle connection keeps of it.
   */
  #read(): Promise<void> {
    const begun = this.#begun;
    if (begun !== undefined) {
      this.#begun = undefined;
      this.#memory = begun.memory;
      return begun.count.then(this.#onRead, this.#onReadFailed);
    }
    const memory = takeMemory(this.#readSize.bytes);
    this.#memory = memory;
    return this.#connection.read(memory)
      .then(this.#onRead, this.#onReadFailed);
  }

  #onRead = (length: number | null): void | Promise<void> => {
    const turn = giveWay(this.reader, length ?? 0);
    return turn === undefined
      ? this.#take(length)
      : turn.then(() => this.#take(length));
  };

  #onReadFailed = (error: unknown): void => {
    giveMemory(this.#memory);
    this.#fail(error);
  };

  #take(length: number | null): void {
    const memory = this.#memory;
    this.#reading = undefined;
    if (this.isClosed) {
      giveMemory(memory);
    } else if (length === null) {
      giveMemory(memory);
      this.#onEnd("");
      if (this.#output === "ended") this.close();
    } else {
      // The read also fills the room for a header.
      this.#readSize.follow(length - headroom);
      this.#handler!.onData();
      if (this.#input === "dropping") {
        giveMemory(memory);
        this.readAhead();
      } else {
        this.#chunk = memory.subarray(0, length);
      }
    }
  }

  #queue(bytes: Uint8Array, sent: (() => void) | undefined): void {
    if (!this.#isWritable) {
      sent?.();
      return;
    }
    const isIdle = this.#writer === "idle";
    this.#writes.push({ bytes, sent });
    this.#count(bytes.length);
    if (isIdle) this.#flush();
  }

  #count(length: number): void {
    this.pending += length;
    if (this.pending >= highWaterMark) this.#writer = "full";
  }

  /**
   * Sends what waits, then ends our side if requested.
   *
   * @param first What is sent before.
   * @param taken Bytes of it that the system has taken.
   */
  async #flush(first?: Uint8Array, taken = 0): Promise<void> {
    if (this.#writer === "idle") this.#writer = "writing";
    this.#joined = 0;
    try {
      for (
        let bytes = first ?? this.#join();
        bytes !== undefined;
        bytes = this.#join()
      ) {
        while (bytes.length > 0) {
          const count: number = taken > 0
            ? taken
            : await this.#connection.write(bytes);
          taken = 0;
          if (this.isClosed) return this.#endFlush();
          this.pending -= count;
          this.sent += count;
          if (count === bytes.length) break;
          bytes = bytes.subarray(count);
        }
        this.#endJoined();
      }
      if (this.#output === "ending") await this.#endOutput();
      if (this.#output === "closing") this.close();
    } catch (error) {
      this.#fail(error);
    }
    this.#endFlush();
  }

  /** Handles that nothing is being sent any more. */
  #endFlush(): void {
    this.#endJoined();
    const wasFull = this.isFull;
    this.#writer = "idle";
    if (wasFull && !this.isClosed) this.#handler!.onDrain();
  }

  /** Ends our side once all is sent. */
  async #endOutput(): Promise<void> {
    await this.#connection.closeWrite();
    // It may have been closed meanwhile, or be closing.
    if (this.#output !== "ending") return;
    this.#output = "ended";
    if (this.hasEnded) this.close();
  }

  /** Resolves the writes that were sent together, or have failed. */
  #endJoined(): void {
    // A message that was transferred has no write: this runs for each.
    if (this.#joined === 0) return;
    for (const { sent } of this.#writes.splice(0, this.#joined)) sent?.();
    this.#joined = 0;
  }

  /** Takes the waiting writes that are joined to one. */
  #join(): Uint8Array | undefined {
    let count = 0;
    let length = 0;
    for (const { bytes } of this.#writes) {
      length += bytes.length;
      if (count > 0 && length > joinLimit) break;
      count++;
    }
    this.#joined = count;
    return count < 2
      ? this.#writes[0]?.bytes
      : Buffer.concat(this.#writes.slice(0, count).map(({ bytes }) => bytes));
  }

  #onEnd(reason: string): void {
    if (this.hasEnded) return;
    this.#input = "ended";
    this.#handler?.onGone(reason);
  }

  /** Handles a lost connection, unless we have closed it. */
  #fail(error: unknown): void {
    if (this.isClosed) return;
    this.#onEnd(error instanceof Error ? error.message : String(error));
    this.close();
  }
}
