import {
  assert,
  assertEquals,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import { headroom, tailroom } from "../../../../core/memory/buffer_pool.ts";
import { ConnectionStream } from "../../../../core/websocket/stream/connection_stream.ts";
import { settled } from "../../../support/bridge_fakes.ts";

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
  const detached = {
    connection,
    begun: undefined,
    keepAlive: undefined,
    reader: { used: 0, quick: 0 },
    onReleased: (): void => {},
  };
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

/** A client's connection whose reads and writes end when the test says so. */
class ManualConnection {
  /** The memory of the read that waits, and how much of it there is room for. */
  memory: ArrayBufferLike | undefined;
  room = 0;
  /** What is being written. */
  written: Uint8Array | undefined;
  #reading: PromiseWithResolvers<number | null> | undefined;
  #writing: PromiseWithResolvers<number> | undefined;
  readonly connection = {
    read: (buffer: Uint8Array): Promise<number | null> => {
      this.memory = buffer.buffer;
      this.room = buffer.length;
      this.#reading = Promise.withResolvers();
      return this.#reading.promise;
    },
    write: (bytes: Uint8Array): Promise<number> => {
      this.written = bytes;
      this.#writing = Promise.withResolvers();
      return this.#writing.promise;
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

  /** All of what is being written is sent. */
  send(): void {
    this.#writing!.resolve(this.written!.length);
  }

  /** What is being written fails, as it does when the connection is closed. */
  failWrite(): void {
    this.#writing!.reject(new Deno.errors.Interrupted("operation canceled"));
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

Deno.test("ConnectionStream ends a transfer no sooner than its write", {
  permissions,
}, async () => {
  const client = new ManualConnection();
  const ended: string[] = [];
  function transfer(name: string): Promise<void> {
    return client.stream.transfer(new Uint8Array(20_000)).then(() => {
      ended.push(name);
    });
  }
  // It waits for a pong, say, and is then written from where it lies.
  client.stream.write(new Uint8Array(6));
  const first = transfer("first");
  const second = transfer("second");
  client.send();
  await settled();
  assertEquals(client.written!.length, 20_000);
  assertEquals(ended, []);
  client.stream.close();
  // The second will never be sent. Of the first, the system may still take some.
  await second;
  assertEquals(ended, ["second"]);
  client.failWrite();
  await first;
  assertEquals(ended, ["second", "first"]);
  await client.fail();
});

Deno.test(
  "ConnectionStream leaves its place for large reads when it is closed",
  {
    permissions,
  },
  async () => {
    async function grow(): Promise<ManualConnection> {
      const client = new ManualConnection();
      for (let turn = 0; turn < 4; turn++) {
        await client.say(client.room);
        client.stream.next();
        client.stream.readAhead();
      }
      await client.say(client.room - 1);
      client.stream.next();
      client.stream.readAhead();
      return client;
    }
    for (let turn = 0; turn < 100; turn++) {
      const client = await grow();
      assertLess(256 * 1024, client.room);
      client.stream.close();
      await client.fail();
    }
    // A message of 16 KiB fills no read: it does not look as if more were to come.
    const client = new ManualConnection();
    for (const count of [1040, 4112, 16 * 1024]) {
      await client.say(count);
      client.stream.next();
      client.stream.readAhead();
    }
    assertEquals(client.room, headroom + 16 * 1024 + tailroom);
    client.stream.close();
    await client.fail();
  },
);
