import { assert, assertEquals, assertLess } from "@std/assert";
import {
  beginWork,
  chargeSince,
  createReader,
  giveWay,
} from "../../../core/memory/read_budget.ts";

const permissions = "none" as const;
const large = 1024 * 1024;

/** Readers that read as much as they may, until they are stopped. */
class Readers {
  /** How often each has had its turn. */
  readonly turns: number[];
  #running: Promise<void>[];
  #isOver = false;

  /** Starts so many readers of so many bytes at a time. */
  constructor(count: number, bytes: number) {
    this.turns = new Array(count).fill(0);
    this.#running = this.turns.map((_, index) => this.#run(index, bytes));
  }

  get sum(): number {
    return this.turns.reduce((sum, count) => sum + count, 0);
  }

  async #run(index: number, bytes: number): Promise<void> {
    const reader = createReader();
    while (!this.#isOver) {
      this.turns[index]!++;
      await giveWay(reader, bytes);
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }
}

/** Waits until all readers have had so many turns. */
async function until(readers: Readers, turns: number): Promise<void> {
  while (Math.min(...readers.turns) < turns) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("giveWay() lets one who reads little go before all who read much", {
  permissions,
}, async () => {
  const others = new Readers(50, large);
  try {
    await until(others, 3);
    const reader = createReader();
    for (let round = 0; round < 10; round++) {
      const before = others.sum;
      await giveWay(reader, 100);
      assertLess(others.sum - before, 5, `in round ${round}`);
    }
  } finally {
    await others.stop();
  }
});

Deno.test(
  "giveWay() lets one whose few bytes take long wait with those who read much",
  { permissions },
  async () => {
    const others = new Readers(50, large);
    try {
      await until(others, 3);
      const reader = createReader();
      const before = others.sum;
      for (let round = 0; round < 3; round++) {
        await giveWay(reader, 100);
        // As if it had taken a millisecond.
        chargeSince(reader, performance.now() - 1);
      }
      assert(others.sum - before >= 2 * 49, `${others.sum - before}`);
    } finally {
      await others.stop();
    }
  },
);

Deno.test(
  "giveWay() gives each connection that reads much its turn beside those that read little",
  { permissions },
  async () => {
    const modest = new Readers(500, 1000);
    const others = new Readers(5, large);
    try {
      await until(others, 3);
      await until(modest, 3);
      const [least, most] = [
        Math.min(...others.turns),
        Math.max(...others.turns),
      ];
      assertLess(most - least, 2);
    } finally {
      await Promise.all([modest.stop(), others.stop()]);
    }
  },
);

/** Two ends of a connection. */
class Connection implements Disposable {
  readonly client: Deno.TcpConn;
  readonly socket: Deno.TcpConn;

  private constructor(client: Deno.TcpConn, socket: Deno.TcpConn) {
    this.client = client;
    this.socket = socket;
  }

  static async open(): Promise<Connection> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted = listener.accept();
    const { hostname, port } = listener.addr;
    const client = await Deno.connect({ hostname, port });
    return new Connection(client, await accepted);
  }

  [Symbol.dispose](): void {
    this.client.close();
    this.socket.close();
  }
}

for (
  const [kind, bytes, milliseconds, mostReads] of [
    ["whose reads are slow work", 1000, 11, 50],
    ["that reads much, where small reads come, too", large, 0, 100],
  ] as const
) {
  Deno.test(`giveWay() lets sockets be looked at soon beside one ${kind}`, {
    permissions: { net: true },
  }, async () => {
    using connection = await Connection.open();
    const { client, socket } = connection;
    const small = createReader();
    let reads = 0;
    let late = 0;
    let isOver = false;
    async function readOn(): Promise<void> {
      const reader = createReader();
      for (; !isOver; reads++) {
        const start = performance.now();
        while (performance.now() - start < milliseconds);
        chargeSince(reader, start);
        await giveWay(reader, bytes);
      }
    }
    const reading = readOn();
    try {
      for (let round = 0; round < 5; round++) {
        const arrival = socket.read(new Uint8Array(1));
        const before = reads;
        // Deno looks at a socket that had nothing when its loop comes to it.
        while (reads === before) await new Promise((go) => setTimeout(go, 0));
        await giveWay(small, 1);
        await client.write(new Uint8Array(1));
        const written = reads;
        await arrival;
        late += reads - written;
      }
    } finally {
      isOver = true;
      await reading;
    }
    assertLess(late, mostReads);
  });
}

Deno.test("giveWay() delays no read while there is little to do", {
  permissions,
}, async () => {
  // What was counted before ends with a turn.
  const reader = createReader();
  while (giveWay(reader, large) === undefined);
  await giveWay(reader, 0);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(giveWay(createReader(), 100), undefined);
  assertEquals(giveWay(createReader(), large), undefined);
});

Deno.test(
  "beginWork() does not measure small reads after a quick one, and measures slow and large ones",
  { permissions },
  () => {
    const reader = createReader();
    assert(beginWork(reader, 100) > 0);
    // As if it had taken no time.
    chargeSince(reader, performance.now() + 1000);
    reader.used = 0;
    assert(beginWork(reader, 2000) > 0);
    assertEquals(reader.used, 0);
    let unmeasured = 0;
    while (beginWork(reader, 100) === 0) unmeasured++;
    assertEquals(unmeasured, 7);
    assert(reader.used > 0);
    // As if it had taken a millisecond.
    chargeSince(reader, performance.now() - 1);
    assert(beginWork(reader, 100) > 0);
  },
);
