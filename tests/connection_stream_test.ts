import { assertEquals, assertLess } from "@std/assert";
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
