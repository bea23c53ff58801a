import { assertEquals, assertLess } from "@std/assert";
import { ConnectionStream } from "../core/engines/connection_stream.ts";

const permissions = "none";

/** How many reads a client that never pauses has given; then its stream ends. */
const mostReads = 1000;

/** A client's connection that is never waited for. */
function readyConnection(): { connection: Deno.Conn; reads: () => number } {
  let reads = 0;
  const connection = {
    read: (buffer: Uint8Array) =>
      Promise.resolve(reads++ < mostReads ? buffer.length : null),
    close: () => {},
  } as unknown as Deno.Conn;
  return { connection, reads: () => reads };
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
    const { connection, reads } = readyConnection();
    let readsAtTurn = Infinity;
    setTimeout(() => readsAtTurn = reads(), 0);
    const stream = start(connection, () => {});
    let chunks = 0;
    for (;;) {
      if (stream.next() !== undefined) chunks++;
      else if (stream.hasEnded) break;
      else await stream.more();
    }
    assertEquals(chunks, mostReads);
    assertLess(readsAtTurn, mostReads);
    stream.close();
  },
);

Deno.test(
  "ConnectionStream leaves others a turn while it drops what its client sends",
  { permissions },
  async () => {
    const { connection, reads } = readyConnection();
    let readsAtTurn = Infinity;
    setTimeout(() => readsAtTurn = reads(), 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    const stream = start(connection, resolve);
    stream.drop();
    await promise;
    assertLess(readsAtTurn, mostReads);
    stream.close();
  },
);
