import {
  assert,
  assertEquals,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import { ConnectionStream } from "../core/engines/connection_stream.ts";

const permissions = "none";

/** So many reads that a timer of a millisecond is long due. */
const mostReads = 1_000_000;

/** A client's connection that is never waited for, until a timer has its turn. */
class ReadyConnection {
  /** Chunks that it has given. */
  chunks = 0;
  /** A timer has had its turn. */
  leftTurn = false;
  readonly connection = {
    read: (buffer: Uint8Array): Promise<number | null> => {
      const isOver = this.leftTurn || this.chunks === mostReads;
      if (!isOver) this.chunks++;
      return Promise.resolve(isOver ? null : buffer.length);
    },
    close: (): void => {},
  } as unknown as Deno.Conn;

  constructor() {
    setTimeout(() => this.leftTurn = true, 0);
  }
}

function start(connection: Deno.Conn, onGone: () => void): ConnectionStream {
  const detached = { connection, begun: undefined };
  const stream = new ConnectionStream(detached, new Uint8Array());
  const nothing = (): void => {};
  const [onData, onDrain, onClose] = [nothing, nothing, nothing];
  stream.start({ onData, onDrain, onClose, onGone });
  return stream;
}

Deno.test(
  "ConnectionStream leaves others a turn while its client never pauses",
  { permissions },
  async () => {
    const client = new ReadyConnection();
    const stream = start(client.connection, () => {});
    let chunks = 0;
    for (;;) {
      if (stream.next() !== undefined) chunks++;
      else if (stream.hasEnded) break;
      else await stream.more();
    }
    assertEquals(chunks, client.chunks);
    assertLess(chunks, mostReads);
    stream.close();
  },
);

Deno.test(
  "ConnectionStream leaves others a turn while it drops what its client sends",
  { permissions },
  async () => {
    const client = new ReadyConnection();
    const { promise, resolve } = Promise.withResolvers<void>();
    const stream = start(client.connection, resolve);
    stream.drop();
    await promise;
    assertLess(client.chunks, mostReads);
    stream.close();
  },
);

/** A client's connection whose reads end when the test says so. */
class ManualConnection {
  /** The memory of the read that waits. */
  memory: ArrayBufferLike | undefined;
  #reading: PromiseWithResolvers<number | null> | undefined;
  readonly connection = {
    read: (buffer: Uint8Array): Promise<number | null> => {
      this.memory = buffer.buffer;
      this.#reading = Promise.withResolvers();
      return this.#reading.promise;
    },
    close: (): void => {},
  } as unknown as Deno.Conn;
  readonly stream = start(this.connection, () => {});

  /** The client sends so many bytes. */
  async say(count: number): Promise<void> {
    const more = this.stream.more();
    this.#reading!.resolve(count);
    await more;
  }

  /** The read that waits fails, as it does when the connection is closed. */
  async fail(): Promise<void> {
    const more = this.stream.more();
    this.#reading!.reject(new Deno.errors.Interrupted("operation canceled"));
    await more;
  }
}

Deno.test("ConnectionStream gives memory away once it is done with it", {
  permissions,
}, async () => {
  const busy = new ManualConnection();
  const { memory } = busy;
  await busy.say(100);
  assertStrictEquals(busy.stream.next()!.buffer, memory);
  // While what was read is in use, it is not read into.
  busy.stream.readAhead();
  const ahead = busy.memory;
  const others = [new ManualConnection()];
  assert(memory !== ahead);
  assert(memory !== others[0]!.memory);

  await busy.say(1);
  assertStrictEquals(busy.stream.next()!.buffer, ahead);
  others.push(new ManualConnection());
  assertStrictEquals(others[1]!.memory, memory);

  // What a read may still write to is not given away by a close.
  busy.stream.readAhead();
  const last = busy.memory;
  busy.stream.close();
  others.push(new ManualConnection());
  assert(last !== others[2]!.memory);
  await busy.fail();
  others.push(new ManualConnection());
  assertStrictEquals(others[3]!.memory, last);
  for (const { stream } of others) stream.close();
});
